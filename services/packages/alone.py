"""Runs a handler from its unzipped package alone: this interpreter without any site-packages, as Lambda would."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from services.packages.described import Description
from services.packages.plan import LAYER_ROOT
from shared.errors import ConfigurationError

RUNS = 3
"""Imports measured of a handler; the first also reads the files from the disk, the median does not."""
IMPORT = """
import sys, time
paths, module = sys.argv[1].split(":"), sys.argv[2]
sys.path[:0] = paths
began = time.perf_counter()
__import__(module)
print(time.perf_counter() - began)
"""


def unzip(zips: Path, made: Description, folder: Path) -> None:
    """Each package into a folder of its name."""
    for name, built in made.packages.items():
        with zipfile.ZipFile(zips / built.file) as archive:
            archive.extractall(folder / name)


def search_path(made: Description, function: str, folder: Path) -> tuple[Path, ...]:
    """Where a function's modules are found: its own package first, then its layers, as on Lambda."""
    layers = made.packages[function].layers
    return (folder / function, *(folder / layer / LAYER_ROOT for layer in layers))


def run(script: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a script prints that runs with the standard library alone. Raises ConfigurationError with its last words.

    -S and -I keep site-packages, the current folder and PYTHONPATH away; -B because Lambda can write no bytecode.
    """
    command = [sys.executable, "-B", "-S", "-I", "-c", script, *arguments]
    variables = {**for_the_interpreter(), **(environment or {})}
    answer = subprocess.run(  # noqa: S603 - the package, to be tried
        command, capture_output=True, text=True, env=variables, check=False
    )
    if answer.returncode:
        raise ConfigurationError(f"Expected a package that runs alone, found: {answer.stderr.strip()}")
    return answer.stdout


def for_the_interpreter() -> Mapping[str, str]:
    """Where an interpreter that was not built for its place finds its own library."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


def import_seconds(made: Description, function: str, module: str, folder: Path) -> float:
    """How long the import of a handler's module takes in a fresh interpreter, the interpreter's own start aside."""
    paths = os.pathsep.join(map(str, search_path(made, function, folder)))
    return round(median(float(run(IMPORT, paths, module)) for _ in range(RUNS)), 3)
