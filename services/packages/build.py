"""Builds all packages of a platform into a folder: install, slim, compile, zip, check, and then replace what is there.

Invariant: the same lock, code, topology and interpreter give the same bytes; a build that fails leaves the last one. A
second build of the same finds it there and changes nothing.
"""

import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from services.local.code import code_files, code_root, zipped
from services.local.topology import Topology
from services.packages.alone import import_seconds, unzip
from services.packages.bytecode import bytecode_name, compile_modules, version
from services.packages.described import Built, Description, inputs, read
from services.packages.distributions import LOCK, Distribution, install, interpreter, refuse_unfit_wheels
from services.packages.plan import Package, plan, too_large
from services.packages.platforms import Platform, refuse_other_machines
from services.packages.slim import called_services, kept
from shared.errors import ConfigurationError

Files = Mapping[str, Path]


def build(topology: Topology, platform: Platform, folder: Path) -> Description:
    """Build into a folder of zips, which is replaced as a whole. Raises ConfigurationError, and leaves it as it was."""
    compiler = interpreter(platform.python)
    follows_from = inputs(topology, platform, version(compiler) if compiler else None)
    known = read(folder)
    if known and known.inputs == follows_from:
        return known
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{platform.name}-") as scratch:
        zips = Path(scratch) / "zips"
        zips.mkdir()
        built = _build(topology, platform, compiler, Path(scratch))
        made = Description(
            platform=platform.name,
            python=platform.python,
            machine=platform.machine,
            bytecode=compiler is not None,
            inputs=follows_from,
            packages=built,
        )
        made.write(zips)
        shutil.rmtree(folder, ignore_errors=True)
        zips.rename(folder)
    return made


def measure(made: Description, topology: Topology, folder: Path) -> Description:
    """The same with the import time of each handler, unless it is known already."""
    if made.import_seconds():
        return made
    with TemporaryDirectory() as scratch:
        unzip(folder, made, Path(scratch))
        modules = {name: function.handler.rpartition(".")[0] for name, function in topology.functions.items()}
        return made.timed({name: import_seconds(made, name, module, Path(scratch)) for name, module in modules.items()})


def _build(topology: Topology, platform: Platform, compiler: Path | None, work: Path) -> Mapping[str, Built]:
    locked = install(code_root() / LOCK, platform, work / "installed")
    contents = {package: _contents(package, locked) for package in plan(topology, locked)}
    if platform.checked:
        _refuse_unfit(locked, contents.values(), platform)
    modules = {name: path for files in contents.values() for name, path in files.items()}
    compiled = compile_modules(compiler, modules, work / "bytecode") if compiler else {}
    built = {
        package: _zip(package, {**files, **_of(files, compiled, platform)}, locked, work / "zips")
        for package, files in contents.items()
    }
    _check_sizes(built)
    return {package.name: each for package, each in built.items()}


def _contents(package: Package, locked: Mapping[str, Distribution]) -> Files:
    """Names in the zip, before its root -> files: code of ours, and what it reads of the distributions."""
    code = dict(code_files(package.function)) if package.function else {}
    called = called_services(code.values())
    files = (file for name in package.distributions for file in locked[name].files.items())
    return {**{name: path for name, path in files if kept(name, called)}, **code}


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
        file=package.file,
        sha256=sha256(content).hexdigest(),
        zipped_bytes=len(content),
        unzipped_bytes=sum(path.stat().st_size for path in files.values()),
        layers=package.layers,
        distributions={name: locked[name].version for name in sorted(package.distributions)},
    )


def _check_sizes(built: Mapping[Package, Built]) -> None:
    zipped_bytes = {package.name: each.zipped_bytes for package, each in built.items()}
    unzipped_bytes = {package.name: each.unzipped_bytes for package, each in built.items()}
    for package in built:
        if sentence := too_large(package, zipped_bytes, unzipped_bytes):
            raise ConfigurationError(sentence)
