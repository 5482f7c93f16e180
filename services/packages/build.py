"""Builds all packages of a platform into a folder: install, slim, compile, zip, check, and then replace what is there.

Invariant: the same lock, code, topology and interpreter give the same bytes; a build that fails leaves the last one.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from services.local.code import code_files, code_root, zipped
from services.local.topology import Topology
from services.packages.alone import import_seconds, unzip
from services.packages.bytecode import bytecode_name, compile_modules
from services.packages.distributions import LOCK, Distribution, install, interpreter, refuse_unfit_wheels
from services.packages.plan import Package, plan, too_large
from services.packages.platforms import Platform, refuse_other_machines
from services.packages.slim import called_services, kept
from shared.errors import ConfigurationError

DESCRIPTION = "packages.json"

Files = Mapping[str, Path]


@dataclass(frozen=True)
class Built:
    """One zip and what was found out about it."""

    package: Package
    distributions: Mapping[str, str]
    zipped_bytes: int
    unzipped_bytes: int
    sha256: str
    import_seconds: float | None = None
    """Of the local package, on this machine; None of a layer, which has no handler."""


@dataclass(frozen=True)
class Build:
    """All zips of a platform, and whether they hold bytecode."""

    platform: Platform
    bytecode: bool
    built: tuple[Built, ...]

    def named(self, name: str) -> Built:
        """The zip of that name."""
        return next(built for built in self.built if built.package.name == name)


def build(topology: Topology, platform: Platform, folder: Path) -> Build:
    """Build into a folder of zips, which is replaced as a whole. Raises ConfigurationError, and leaves it as it was."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{platform.name}-") as scratch:
        work = Path(scratch)
        locked = install(code_root() / LOCK, platform, work / "installed")
        contents = {package: _contents(package, locked) for package in plan(topology, locked)}
        if platform.checked:
            _refuse_unfit(locked, contents.values(), platform)
        compiled = _bytecode(contents.values(), platform, work / "bytecode")
        (work / "zips").mkdir()
        built = tuple(
            _zip(package, {**files, **_of(files, compiled, platform)}, locked, work / "zips")
            for package, files in contents.items()
        )
        _check_sizes(built)
        shutil.rmtree(folder, ignore_errors=True)
        (work / "zips").rename(folder)
    return Build(platform, bool(compiled), built)


def measure(build: Build, topology: Topology, folder: Path) -> Build:
    """The same build with the import time of each handler."""
    with TemporaryDirectory() as scratch:
        unzip(folder, (built.package for built in build.built), Path(scratch))
        return replace(build, built=tuple(_measured(built, topology, Path(scratch)) for built in build.built))


def describe(build: Build, folder: Path) -> None:
    """Write what was built beside it, for whoever deploys it or compares two."""
    told = {
        "platform": build.platform.name,
        "python": build.platform.python,
        "machine": build.platform.machine,
        "bytecode": build.bytecode,
        "packages": {built.package.name: _told(built) for built in build.built},
    }
    (folder / DESCRIPTION).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _contents(package: Package, locked: Mapping[str, Distribution]) -> Files:
    """Names in the zip, before its root -> files: code of ours, and what it reads of the distributions."""
    code = dict(code_files(package.function)) if package.function else {}
    called = called_services(code.values())
    files = (file for name in package.distributions for file in locked[name].files.items())
    return {**{name: path for name, path in files if kept(name, called)}, **code}


def _bytecode(contents: Iterable[Files], platform: Platform, folder: Path) -> Files:
    """The bytecode of all modules by the modules' names; none if no interpreter of that version is here."""
    compiler = interpreter(platform.python)
    modules = {name: path for files in contents for name, path in files.items()}
    return compile_modules(compiler, modules, folder) if compiler else {}


def _of(files: Files, compiled: Files, platform: Platform) -> Files:
    """The bytecode of a package's modules, by its name in the package."""
    return {bytecode_name(name, platform.cache_tag): compiled[name] for name in files if name in compiled}


def _refuse_unfit(locked: Mapping[str, Distribution], contents: Iterable[Files], platform: Platform) -> None:
    refuse_unfit_wheels(locked.values(), platform)
    for files in contents:
        refuse_other_machines(files, platform)


def _zip(package: Package, files: Files, locked: Mapping[str, Distribution], folder: Path) -> Built:
    content = zipped({f"{package.root}{name}": path for name, path in files.items()})
    (folder / package.file).write_bytes(content)
    return Built(
        package,
        distributions={name: locked[name].version for name in sorted(package.distributions)},
        zipped_bytes=len(content),
        unzipped_bytes=sum(path.stat().st_size for path in files.values()),
        sha256=sha256(content).hexdigest(),
    )


def _check_sizes(built: Iterable[Built]) -> None:
    zipped = {each.package.name: each.zipped_bytes for each in built}
    unzipped = {each.package.name: each.unzipped_bytes for each in built}
    for each in built:
        if sentence := too_large(each.package, zipped, unzipped):
            raise ConfigurationError(sentence)


def _measured(built: Built, topology: Topology, folder: Path) -> Built:
    if built.package.function is None:
        return built
    module = topology.functions[built.package.function].handler.rpartition(".")[0]
    return replace(built, import_seconds=import_seconds(built.package, module, folder))


def _told(built: Built) -> Mapping[str, object]:
    return {
        "file": built.package.file,
        "sha256": built.sha256,
        "zipped_bytes": built.zipped_bytes,
        "unzipped_bytes": built.unzipped_bytes,
        "import_seconds": None if built.import_seconds is None else round(built.import_seconds, 3),
        "layers": built.package.layers,
        "distributions": built.distributions,
    }
