"""Compiles modules for packages: Lambda can write no bytecode, so without it every cold start compiles all it imports.

On two cores of x86_64 a handler's import took 0.5 to 1.0 s with it and 1.5 to 4.4 s without.
Invariant: a module's bytecode follows from its source, its name in the package and the interpreter alone. It is never
checked against its source (unchecked hash): a zip's times are all one, and nobody can change the source.
"""

import json
import py_compile
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath


def compile_modules(interpreter: Path, modules: Mapping[str, Path], folder: Path) -> Mapping[str, Path]:
    """The bytecode of modules by the modules' names; of one that is no Python of this version there is none."""
    targets = {name: folder / f"{name}c" for name in sorted(modules) if name.endswith(".py")}
    for parent in {target.parent for target in targets.values()}:
        parent.mkdir(parents=True, exist_ok=True)
    work = json.dumps([(f"{modules[name]}", name, f"{target}") for name, target in targets.items()])
    command = [f"{interpreter}", "-S", "-I", "-W", "ignore", __file__]
    subprocess.run(command, input=work, text=True, check=True)  # noqa: S603 - this file
    return {name: target for name, target in targets.items() if target.exists()}


def version(interpreter: Path) -> str:
    """All that an interpreter says about itself: its version, its build and its compiler."""
    command = [f"{interpreter}", "-c", "import sys; print(sys.version)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - one that uv found


def bytecode_name(module: str, cache_tag: str) -> str:
    """Where an interpreter looks for a module's bytecode; both as names in a package."""
    path = PurePosixPath(module)
    return (path.parent / "__pycache__" / f"{path.stem}.{cache_tag}.pyc").as_posix()


def _compile_each() -> None:
    """The child, which may be of another version: (source, name in the package, target) from standard input."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for source, name, target in json.load(sys.stdin):
        with suppress(py_compile.PyCompileError):
            py_compile.compile(source, target, dfile=name, doraise=True, invalidation_mode=unchecked)


if __name__ == "__main__":
    _compile_each()
