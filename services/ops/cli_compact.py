"""The command `totes compact`: options in, one call, words out.

Invariant: importing this imports nothing that takes long. A second run finds nothing to do.
"""

import json
from datetime import datetime
from typing import Annotated

import typer

from services.ops.command import StateDir


def register(app: typer.Typer) -> None:
    """Make it a command of the app."""
    app.command()(compact)


def compact(
    *,
    table: Annotated[
        list[str] | None, typer.Option(help="Only this star table; may be repeated.", metavar="TABLE")
    ] = None,
    day: Annotated[
        datetime | None, typer.Option(help="Only this day, in UTC.", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, keys in snake_case.")] = False,
    state_dir: StateDir = None,
) -> None:
    """Write the many small Parquet files of past days once more as a few large ones, in a running stack.

    The small files stay; readers follow a manifest. Only days that have been over for an hour (UTC) are touched. A
    schedule does the same each hour; by hand it also takes files that came later than 18 days.
    """
    from rich.console import Console

    from services.local.settings import CommandSettings
    from services.ops import compact as compacting
    from services.ops.running import find

    task = compacting.task_of(table or [], day, dry_run=dry_run)
    description = find(state_dir)
    report = compacting.compactor_of(description, CommandSettings()).run(task)
    if as_json:
        typer.echo(json.dumps(compacting.as_json(report, dry_run=dry_run), indent=2))
    else:
        Console().print(compacting.render(report, dry_run=dry_run))
