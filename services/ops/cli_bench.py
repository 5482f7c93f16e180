"""The command `totes bench`: options in, figures out.

Invariant: importing this imports nothing that takes long. A second run measures anew; nothing is kept between two.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.ops.command import NOT_FIT, only_here
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from services.ops.bench.run import Measured

ORDERS = 1_000_000
RUNS = 3
PLAIN_WIDTH = 160
"""Columns of a table that no terminal shows."""


def register(app: typer.Typer) -> None:
    """Make it a command of the app."""
    app.command()(bench)


def bench(  # noqa: PLR0913 - one parameter an option
    *,
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            help="stages, path, growth, idle, freshness, starts, memory, costs; all without one.", metavar="PART…"
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each measurement; the median counts.", metavar="N")] = RUNS,
    orders: Annotated[int, typer.Option(min=1000, help="Sales orders in the source.", metavar="N")] = ORDERS,
    full: Annotated[
        bool, typer.Option("--full", help="Also with ten times the orders, where that tells more.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures there.", metavar="FILE")] = None,
    chart: Annotated[Path | None, typer.Option(help="Write a chart (SVG) there.", metavar="FILE")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Bring the tables of this document up to date.", metavar="FILE")
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Measure nothing, show what was written there before; repeatable.", metavar="FILE"),
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="Where servers keep their data while it runs; empty or new.", metavar="FOLDER")
    ] = Path(".totes/bench"),
) -> None:
    """Measure how fast the pipeline is on this machine, each figure beside a limit measured in the same run.

    It brings its own databases and its own emulated AWS. Exit codes: 0 all parts were measured, targets missed or not;
    1 a part failed.
    """
    only_here("bench", "its figures are in CloudWatch")
    from rich.console import Console

    from services.ops.bench import run, table
    from services.ops.bench.figures import Task
    from services.ops.bench.parts import chosen
    from services.ops.running import utc_now

    console = Console() if Console().is_terminal else Console(width=PLAIN_WIDTH)
    task = Task(runs=runs, orders=orders, full=full, folder=folder.absolute(), say=_say)
    files = run.Files(json_file, chart, write)
    files.expect_fit()
    if earlier and (parts or json_file):
        raise ConfigurationError("Expected --from alone, or parts to measure and --json to keep them, found both.")

    def show(done: "Sequence[Measured]") -> None:
        console.print()
        console.print(done[-1].failed or table.table(run.titled(done[-1].part), done[-1].figures))
        files.write(done, run.as_json(done, task, utc_now()))

    done = run.shown(earlier, show) if earlier else run.measure(chosen(parts or []), task, show)
    if any(one.failed for one in done):
        raise typer.Exit(NOT_FIT)


def _say(said: str) -> None:
    """What is being done is no figure: it goes where errors go."""
    typer.echo(said, err=True)
