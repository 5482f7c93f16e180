"""The lock, and whether what it names fits the platform."""

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name

from services.local.topology import topology
from services.packages.distributions import LOCK, closure, fits, installed, refuse_unfit_wheels
from services.packages.platforms import Platform, lambda_platform, local_platform
from shared.errors import ConfigurationError
from tests.packages.installed import distribution, locked

ROOT = Path(__file__).parents[2]


@pytest.fixture
def there() -> Platform:
    return lambda_platform(topology().platform)


def pins(name: str) -> dict[str, str]:
    """Distribution -> version, of a file of requirements."""
    lines = [line.split("#")[0].rstrip(" \\") for line in (ROOT / name).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith((" ", "-"))]
    return {canonicalize_name(each.name): str(each.specifier) for each in found}


def test_the_lock_holds_every_requirement_of_the_functions_in_the_version_that_is_constrained():
    found, constrained = pins(LOCK), pins("constraints.txt")

    assert pins("requirements.txt").keys() <= found.keys()
    assert {name: constrained.get(name) for name in found} == found


def test_every_locked_distribution_has_hashes_and_no_registry_is_named():
    text = (ROOT / LOCK).read_text()
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]

    assert len(entries) == len(pins(LOCK))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize(
    ("wheel", "loads"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py2-none-any", False),
        ("cp313-cp313-manylinux_2_27_aarch64.manylinux_2_28_aarch64", True),
        ("cp313-cp313-manylinux_2_34_aarch64", True),
        ("cp38-abi3-manylinux_2_17_aarch64.manylinux2014_aarch64", True),
        ("cp313-cp313-manylinux2014_aarch64", True),
        ("cp313-cp313-manylinux_2_35_aarch64", False),
        ("cp313-cp313-manylinux_2_28_x86_64", False),
        ("cp313-cp313-manylinux2014_x86_64", False),
        ("cp313-cp313-musllinux_1_2_aarch64", False),
        ("cp313-cp313t-manylinux_2_28_aarch64", False),
        ("cp312-cp312-manylinux_2_28_aarch64", False),
        ("cp313-cp313-macosx_11_0_arm64", False),
    ],
)
def test_a_wheel_fits_by_its_python_its_machine_and_its_glibc(there: Platform, wheel: str, loads: bool):
    assert any(fits(tag, there) for tag in parse_tag(wheel)) == loads


def test_a_distribution_without_a_fitting_wheel_is_refused_by_name(there: Platform):
    unfit = distribution("numpy", wheel="cp313-cp313-manylinux_2_28_x86_64")

    with pytest.raises(ConfigurationError, match=r"on aarch64 with glibc 2\.34 or older, found .*x86_64.* of numpy"):
        refuse_unfit_wheels([distribution("six"), unfit], there)


def test_what_a_distribution_needs_is_decided_for_the_platform_and_not_for_this_machine(
    tmp_path: Path, there: Platform
):
    folder = tmp_path / "Some_Thing-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.0\n"
        "Requires-Dist: Always.Needed>=1\n"
        "Requires-Dist: for-lambda ; platform_machine == 'aarch64' and python_version == '3.13'\n"
        "Requires-Dist: for-windows ; sys_platform == 'win32'\n"
        "Requires-Dist: if-asked ; extra == 'more'\n"
    )
    (folder / "WHEEL").write_text("Tag: py2-none-any\nTag: py3-none-any\n")
    (folder / "RECORD").write_text("some_thing.py,,\n../../bin/some,,\n")

    found = installed(tmp_path, there)["some-thing"]

    assert found.requires == {"always-needed", "for-lambda"}
    assert found.files == {"some_thing.py": tmp_path / "some_thing.py"}
    assert {str(tag) for tag in found.tags} == {"py2-none-any", "py3-none-any"}


def test_distributions_that_need_each_other_are_closed_over_once():
    known = locked(distribution("egg", "hen"), distribution("hen", "egg"), distribution("fox"))

    assert closure(["egg"], known) == {"egg", "hen"}


def test_this_machine_s_platform_is_the_running_interpreter():
    assert local_platform().cache_tag == sys.implementation.cache_tag
