"""`python -m services.packages`: build every package for Lambda and for this machine, and print what came out."""

import argparse
import sys
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.local.topology import Topology, topology
from services.packages.build import build, measure
from services.packages.described import DESCRIPTION, Description
from services.packages.distributions import LOCK
from services.packages.plan import MEGABYTE
from services.packages.platforms import Platform, lambda_platform, local_platform
from shared.errors import ConfigurationError

FOLDER = Path("build/packages")
LOCAL, LAMBDA = "local", "lambda"
MEANING = {LAMBDA: "Lambda", LOCAL: "this machine"}


def main(arguments: list[str] | None = None) -> int:
    """0 if all packages lie in the folder; 1, with a sentence on what is wrong, if they could not be built."""
    parser = argparse.ArgumentParser(prog="python -m services.packages", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the packages go (default: %(default)s)")
    parser.add_argument("platform", choices=MEANING, nargs="?", help="one of the two alone (default: both)")
    chosen = parser.parse_args(arguments)
    try:
        _make(topology(), chosen.folder, {chosen.platform} if chosen.platform else MEANING.keys())
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _make(described: Topology, folder: Path, names: Collection[str]) -> None:
    """Both platforms at once, then the import times: of the local packages, since Lambda's do not run here."""
    began = time.monotonic()
    platforms = [each for each in (lambda_platform(described.platform), local_platform()) if each.name in names]
    for platform in platforms:
        print(_beginning(platform), flush=True)
    with ThreadPoolExecutor() as pool:
        built = pool.map(lambda platform: build(described, platform, folder / platform.name), platforms)
        made = {each.platform: each for each in built}
    told = _timed(made, described, folder)
    Console(width=110).print(_table(next(iter(told.values()))))
    for each in told.values():
        each.write(folder / each.platform)
        print(_ending(each, folder / each.platform))
    print(f"Done in {time.monotonic() - began:.0f} s; what is there already and would be the same is not made again.")


def _timed(made: Mapping[str, Description], described: Topology, folder: Path) -> Mapping[str, Description]:
    if LOCAL not in made:
        return made
    print("Importing each handler from its package alone", flush=True)
    local = measure(made[LOCAL], described, folder / LOCAL)
    return {name: each.timed(local.import_seconds()) for name, each in made.items()}


def _beginning(platform: Platform) -> str:
    return (
        f"Building packages for {MEANING[platform.name]} (Python {platform.python}, {platform.machine}) "
        f"from what {LOCK} names"
    )


def _table(made: Description) -> Table:
    table = Table("package", "with layer", box=None, pad_edge=False)
    for heading in ("zipped", "unzipped", "unzipped with layer", "import here"):
        table.add_column(heading, justify="right")
    for each in made.packages.values():
        together = each.unzipped_bytes + sum(made.packages[layer].unzipped_bytes for layer in each.layers)
        table.add_row(
            each.file,
            ", ".join(each.layers),
            *(f"{size / MEGABYTE:.1f} MB" for size in (each.zipped_bytes, each.unzipped_bytes, together)),
            "" if each.import_seconds is None else f"{each.import_seconds:.2f} s",
        )
    return table


def _ending(made: Description, folder: Path) -> str:
    bytecode = (
        "with bytecode: a cold start compiles nothing"
        if made.bytecode
        else (
            f"without bytecode for want of a Python {made.python} here (uv python install {made.python}): a cold start "
            "compiles what it imports, which takes three times as long"
        )
    )
    return f"{len(made.packages)} zips for {MEANING[made.platform]} and their {DESCRIPTION} in {folder}, {bytecode}."


if __name__ == "__main__":
    sys.exit(main())
