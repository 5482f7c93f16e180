"""What was built, as it stands in packages.json beside the zips, and whether it is still what would be built.

Invariant: a description is written last, so that where it stands the zips are whole. Reading it again gives the same.
"""

import zlib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.local.code import code_files, code_root
from services.local.topology import FILE, Topology
from services.packages.distributions import LOCK
from services.packages.platforms import Platform

DESCRIPTION = "packages.json"


class Part(BaseModel):
    """Base of the description's parts."""

    model_config = ConfigDict(frozen=True)


class Built(Part):
    """One zip and what was found out about it."""

    file: str
    sha256: str
    zipped_bytes: int
    unzipped_bytes: int
    import_seconds: float | None = None
    """Of the handler, from the local package on the machine that built it; None of a layer, which has no handler."""
    layers: tuple[str, ...]
    """The names of the zips that a function has as layers."""
    distributions: Mapping[str, str]


class Description(Part):
    """All zips of a platform by their names, whether they hold bytecode, and the hash of all that they follow from."""

    platform: str
    python: str
    machine: str
    bytecode: bool
    inputs: str
    packages: Mapping[str, Built]

    def timed(self, seconds: Mapping[str, float]) -> "Description":
        """The same with import times."""
        told = {
            name: each.model_copy(update={"import_seconds": seconds.get(name)}) for name, each in self.packages.items()
        }
        return self.model_copy(update={"packages": told})

    def import_seconds(self) -> dict[str, float]:
        """The import times that are known."""
        return {name: each.import_seconds for name, each in self.packages.items() if each.import_seconds is not None}

    def write(self, folder: Path) -> None:
        """Beside the zips."""
        (folder / DESCRIPTION).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> Description | None:
    """The description of what lies in a folder; None if there is none, or a zip is not what it says."""
    try:
        found = Description.model_validate_json((folder / DESCRIPTION).read_bytes())
        whole = all(
            sha256((folder / each.file).read_bytes()).hexdigest() == each.sha256 for each in found.packages.values()
        )
    except (OSError, ValidationError):
        return None
    return found if whole else None


def inputs(topology: Topology, platform: Platform, compiler: str | None) -> str:
    """One hash of all that packages follow from: lock, topology, code, what builds them and with what."""
    files = dict(_files(topology))
    total = sha256(
        f"{platform.name} {platform.machine} {platform.python} {compiler} {zlib.ZLIB_RUNTIME_VERSION}".encode()
    )
    for name, path in sorted(files.items()):
        total.update(f"\n{name} {sha256(path.read_bytes()).hexdigest()}".encode())
    return total.hexdigest()


def _files(topology: Topology) -> Iterable[tuple[str, Path]]:
    yield LOCK, code_root() / LOCK
    yield "topology", FILE
    for name in topology.functions:
        yield from code_files(name)
    builders = (code_root() / "services" / "packages").glob("*.py")
    for path in (*builders, code_root() / "services" / "local" / "code.py"):
        yield f"builder {path.name}", path
