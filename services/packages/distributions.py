"""The locked distributions, installed by uv for a platform into a folder, and what each of them is and needs.

Invariant: every byte is one whose hash stands in the lock. uv, not pip: it evaluates markers for the platform asked
for, where pip does so for the interpreter that runs it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution as Installed
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from services.packages.platforms import GLIBC, Platform
from shared.errors import ConfigurationError

LOCK = "requirements.lock"
MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(\w+)")
OLD_MANYLINUX = re.compile(r"manylinux(?:1|2010|2014)_(\w+)")
"""Names from before the glibc stood in them; all older than any in use."""


@dataclass(frozen=True)
class Distribution:
    """One installed distribution; `files` by their names below the folder of installation."""

    name: str
    version: str
    requires: frozenset[str]
    tags: frozenset[Tag]
    files: Mapping[str, Path]


def install(lock: Path, platform: Platform, folder: Path) -> Mapping[str, Distribution]:
    """Install all that the lock names and that the platform needs. Raises ConfigurationError with uv's own words."""
    _uv(
        "pip",
        "install",
        *("--target", f"{folder}", "--require-hashes", "--no-deps", "--only-binary", ":all:"),
        *platform.wheels,
        *("--requirement", f"{lock}"),
        doing=f"installing {lock.name} for {platform.name}",
    )
    return installed(folder, platform)


def installed(folder: Path, platform: Platform) -> Mapping[str, Distribution]:
    """What lies in a folder of installation, by normalised name."""
    found = (_distribution(each, platform, folder) for each in distributions(path=[f"{folder}"]))
    return {distribution.name: distribution for distribution in found}


def closure(names: Iterable[str], known: Mapping[str, Distribution]) -> frozenset[str]:
    """Distributions with all that they need. Raises ConfigurationError if one is not locked."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in known:
            raise ConfigurationError(f"Expected {name} in {LOCK}: name it in requirements.txt and run make lock.")
        if name not in seen:
            seen.add(name)
            waiting.extend(known[name].requires)
    return frozenset(seen)


def refuse_unfit_wheels(found: Iterable[Distribution], platform: Platform) -> None:
    """Raises ConfigurationError at the first distribution whose wheel would not load on the platform."""
    for distribution in found:
        if not any(fits(tag, platform) for tag in distribution.tags):
            raise ConfigurationError(
                f"Expected a wheel for python{platform.python} on {platform.machine} with glibc "
                f"{GLIBC[0]}.{GLIBC[1]} or older, found {sorted(map(str, distribution.tags))} of {distribution.name}: "
                "pin a version that has one in requirements.txt and run make lock."
            )


def fits(tag: Tag, platform: Platform) -> bool:
    """Whether a wheel of that tag loads on a platform."""
    python = platform.python.replace(".", "")
    loads = tag.abi in (f"cp{python}", "abi3") or (tag.abi == "none" and tag.interpreter.startswith("py3"))
    return loads and (tag.platform == "any" or _glibc(tag.platform, platform.machine) <= GLIBC)


def _glibc(wheel: str, machine: str) -> tuple[int, int]:
    """The glibc that a wheel's platform asks for; an unreachable one if it is not for the machine."""
    if (found := MANYLINUX.fullmatch(wheel)) and found[3] == machine:
        return int(found[1]), int(found[2])
    old = OLD_MANYLINUX.fullmatch(wheel)
    return (2, 17) if old and old[1] == machine else (1000, 0)


def interpreter(python: str) -> Path | None:
    """An interpreter of that version: this one, or one on this machine that uv knows of, if any.

    pyenv's stand-ins for interpreters, over which uv would stumble, work only if they are told the version.
    """
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sys.executable)
    command = [find_uv_bin(), "python", "find", "--no-python-downloads", "--no-project", python]
    answer = subprocess.run(  # noqa: S603 - uv, asked to look
        command, capture_output=True, text=True, env={**os.environ, "PYENV_VERSION": python}, check=False
    )
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None


def _distribution(found: Installed, platform: Platform, folder: Path) -> Distribution:
    return Distribution(
        name=canonicalize_name(found.metadata["Name"]),
        version=found.version,
        requires=frozenset(_needed(found.requires or [], platform)),
        tags=frozenset(_tags(found.read_text("WHEEL") or "")),
        files={file.as_posix(): folder / file for file in found.files or [] if ".." not in file.parts},
    )


def _needed(requirements: Iterable[str], platform: Platform) -> Iterator[str]:
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate(dict(platform.markers)):
            yield canonicalize_name(requirement.name)


def _tags(wheel: str) -> Iterator[Tag]:
    for line in wheel.splitlines():
        if line.startswith("Tag: "):
            yield from parse_tag(line.removeprefix("Tag: "))


def _uv(*arguments: str, doing: str) -> None:
    command = [find_uv_bin(), *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if answer.returncode:
        raise ConfigurationError(f"uv failed while {doing}: {answer.stderr.strip()}")
