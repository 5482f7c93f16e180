"""`python -m services.packages`: build every package for Lambda and for this machine, and print what came out."""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.local.topology import Topology, topology
from services.packages.build import DESCRIPTION, Build, build, describe, measure
from services.packages.plan import MEGABYTE
from services.packages.platforms import lambda_platform, local_platform
from shared.errors import ConfigurationError

FOLDER = Path("build/packages")


def main(arguments: list[str] | None = None) -> int:
    """0 if all packages lie in the folder; 1, with a sentence on what is wrong, if they could not be built."""
    parser = argparse.ArgumentParser(prog="python -m services.packages", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the packages go (default: %(default)s)")
    folder = parser.parse_args(arguments).folder
    try:
        _build(topology(), folder)
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _build(described: Topology, folder: Path) -> None:
    """The local packages first: what does not even run here need not be built for Lambda."""
    began = time.monotonic()
    here, there = local_platform(), lambda_platform(described.platform)
    print(f"Building packages for this machine (Python {here.python}, {here.machine}), to try them", flush=True)
    local = measure(build(described, here, folder / here.name), described, folder / here.name)
    describe(local, folder / here.name)
    print(
        f"Building packages for Lambda (Python {there.python}, {there.machine}) from wheels of that machine", flush=True
    )
    deployed = _with_import_times(build(described, there, folder / there.name), local)
    describe(deployed, folder / there.name)
    Console(width=110).print(_table(deployed))
    print(_ending(deployed, folder / there.name, time.monotonic() - began))


def _with_import_times(build: Build, local: Build) -> Build:
    """The local packages hold the same code and versions, and Lambda's do not run here."""
    return replace(
        build,
        built=tuple(
            replace(each, import_seconds=local.named(each.package.name).import_seconds) for each in build.built
        ),
    )


def _table(build: Build) -> Table:
    table = Table("package", "with layer", box=None, pad_edge=False)
    for heading in ("zipped", "unzipped", "unzipped with layer", "import here"):
        table.add_column(heading, justify="right")
    for each in build.built:
        layers = [build.named(name) for name in each.package.layers]
        together = each.unzipped_bytes + sum(layer.unzipped_bytes for layer in layers)
        table.add_row(
            each.package.file,
            ", ".join(each.package.layers),
            *(f"{size / MEGABYTE:.1f} MB" for size in (each.zipped_bytes, each.unzipped_bytes, together)),
            "" if each.import_seconds is None else f"{each.import_seconds:.2f} s",
        )
    return table


def _ending(build: Build, folder: Path, seconds: float) -> str:
    python = build.platform.python
    bytecode = (
        "with bytecode: a cold start compiles nothing"
        if build.bytecode
        else (
            f"without bytecode for want of a Python {python} here (uv python install {python}): a cold start compiles "
            "what it imports, which takes three times as long"
        )
    )
    return (
        f"Packages for Lambda, {bytecode}.\n"
        f"{len(build.built)} zips and their {DESCRIPTION} in {folder}, the same for this machine in "
        f"{folder.with_name('local')}, after {seconds:.0f} s."
    )


if __name__ == "__main__":
    sys.exit(main())
