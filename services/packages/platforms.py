"""The two platforms that packages are built for: Lambda's, and this interpreter's, where they can be tried.

Invariant: what differs between the two stands here alone, so that the package tried is made as the one deployed.
"""

import platform
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import default_environment

from services.local.topology import Lambda
from shared.errors import ConfigurationError

GLIBC = (2, 34)
"""Amazon Linux 2023's, on which every Lambda runtime since python3.12 runs."""
ELF = b"\x7fELF"
ELF_MACHINES = {"aarch64": 0xB7, "x86_64": 0x3E}
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Lambda's word for an architecture -> the wheels'."""


@dataclass(frozen=True)
class Platform:
    """Where a package is to run. `checked` where the wheels must fit a machine that is not this one."""

    name: str
    python: str
    machine: str
    wheels: tuple[str, ...]
    """How uv is told which wheels to take."""
    markers: Mapping[str, str]
    """What a requirement's condition is held against."""
    checked: bool

    @property
    def cache_tag(self) -> str:
        """What the platform's Python has its bytecode named."""
        return f"cpython-{self.python.replace('.', '')}"


def lambda_platform(described: Lambda) -> Platform:
    """The topology's."""
    machine = MACHINES[described.architecture]
    glibc = "_".join(f"{part}" for part in GLIBC)
    python = described.python_version
    return Platform(
        name="lambda",
        python=python,
        machine=machine,
        wheels=("--python-version", python, "--python-platform", f"{machine}-manylinux_{glibc}"),
        markers=_markers(
            python_version=python,
            python_full_version=f"{python}.0",
            platform_machine=machine,
            implementation_name="cpython",
            platform_python_implementation="CPython",
            os_name="posix",
            sys_platform="linux",
            platform_system="Linux",
            platform_release="",
            platform_version="",
        ),
        checked=True,
    )


def local_platform() -> Platform:
    """This interpreter's."""
    return Platform(
        name="local",
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        machine=platform.machine(),
        wheels=("--python", sys.executable),
        markers=_markers(),
        checked=False,
    )


def _markers(**differing: str) -> Mapping[str, str]:
    return {**{name: f"{value}" for name, value in default_environment().items()}, **differing, "extra": ""}


def refuse_other_machines(files: Mapping[str, Path], expected: Platform) -> None:
    """Raises ConfigurationError at the first compiled library that is not for the platform's machine."""
    for name, path in files.items():
        if ".so" in Path(name).suffixes and elf_machine(path) != ELF_MACHINES[expected.machine]:
            raise ConfigurationError(
                f"Expected compiled libraries for {expected.machine}, found another machine's in {name}: "
                "remove the folder build and run make package again."
            )


def elf_machine(path: Path) -> int | None:
    """The machine in a compiled library's head; None if it is no ELF file."""
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or not head.startswith(ELF):  # noqa: PLR2004 - e_machine ends there
        return None
    return int(struct.unpack_from("<H", head, 18)[0])
