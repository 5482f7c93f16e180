"""`totes doctor`: options in, an examination and its exit code out.

Invariant: it only reads. Databases named by option are looked at alone; otherwise what runs in the state folder is.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.ops.command import NOT_FIT, UNREACHABLE, Schema, StateDir, WarehouseDsn, option

if TYPE_CHECKING:
    from services.ops.doctor.examine import Databases, Stack
    from services.ops.options import UpOptions

_JSON = typer.Option("--json", help="Print one JSON object, keys in snake_case.")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command()(doctor)


def doctor(
    *,
    source: Annotated[str | None, option("source_dsn", "--source", metavar="DSN")] = None,
    warehouse: WarehouseDsn = None,
    schema: Schema = None,
    as_json: Annotated[bool, _JSON] = False,
    state_dir: StateDir = None,
) -> None:
    """Examine an installation, and say of everything that is not in order what to do.

    With --source or --warehouse it looks at those databases alone, before anything is installed. Without, it looks at
    the running stack: both databases, buckets, queues, functions, schedules, alarms, the poller, the disk. It changes
    nothing. Exit codes: 0 all in order, warnings allowed; 1 something failed; 3 nothing could be reached.
    """
    from rich.console import Console

    from services.ops.doctor.examine import examine
    from services.ops.doctor.findings import Verdict
    from services.ops.doctor.view import as_json as printed
    from services.ops.doctor.view import lines
    from services.ops.options import UpOptions
    from services.ops.running import utc_now

    named, stack = _subject(
        UpOptions.of(source_dsn=source, warehouse_dsn=warehouse, warehouse_schema=schema),
        state_dir,
        alone=source is not None or warehouse is not None,
    )
    found = examine(named, stack, utc_now)
    typer.echo(printed(found) if as_json else "\n".join(lines(found, Console().width)))
    if not found.reached:
        raise typer.Exit(UNREACHABLE)
    if found.count(Verdict.FAIL):
        raise typer.Exit(NOT_FIT)


def _subject(options: "UpOptions", state_dir: Path | None, *, alone: bool) -> "tuple[Databases, Stack | None]":
    """What to look at: the databases that are named, else the stack that runs. Raises NothingRuns."""
    from services.ops.doctor.examine import Databases, known, stack_of
    from services.ops.preflight import SOURCE_SCHEMA
    from services.ops.running import find

    if alone:
        source, warehouse = (known(dsn) for dsn in (options.source_dsn, options.warehouse_dsn))
        return Databases(source, warehouse, SOURCE_SCHEMA, options.warehouse_schema), None
    found = find(state_dir)
    stack = stack_of(found)
    named = Databases(
        lambda: found.source_dsn,
        lambda: found.warehouse_dsn,
        SOURCE_SCHEMA,
        found.warehouse_schema,
        from_afar=not stack.account.embedded,
    )
    return named, stack
