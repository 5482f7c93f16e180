"""Compiled libraries are told apart by the machine they are for."""

import struct
from pathlib import Path

import pytest

from services.local.topology import topology
from services.packages.platforms import ELF_MACHINES, elf_machine, lambda_platform, refuse_other_machines
from shared.errors import ConfigurationError


def library(path: Path, machine: str) -> Path:
    """The first bytes of an ELF file, which is all that is read."""
    path.write_bytes(b"\x7fELF".ljust(18, b"\0") + struct.pack("<H", ELF_MACHINES[machine]) + b"rest")
    return path


def test_a_library_of_another_machine_is_refused_by_its_name(tmp_path: Path):
    there = lambda_platform(topology().platform)
    fitting = {"numpy.libs/libgfortran-daac5196.so.5.0.0": library(tmp_path / "a", "aarch64")}

    refuse_other_machines({**fitting, "six.py": Path(__file__)}, there)

    with pytest.raises(ConfigurationError, match="libraries for aarch64, found another machine's in numpy/core"):
        refuse_other_machines({**fitting, "numpy/core.so": library(tmp_path / "b", "x86_64")}, there)


def test_what_is_no_elf_file_is_for_no_machine(tmp_path: Path):
    (tmp_path / "short.so").write_bytes(b"\x7fELF")

    assert elf_machine(tmp_path / "short.so") is None
    assert elf_machine(Path(__file__)) is None


def test_the_topology_s_architecture_is_the_wheels_machine():
    described = topology().platform.model_copy(update={"architecture": "x86_64"})

    assert lambda_platform(described).wheels[-1] == "x86_64-manylinux_2_34"
