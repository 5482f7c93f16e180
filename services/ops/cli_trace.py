"""`totes trace FEED KEY`: options in, the row's life out.

Invariant: it only reads; standard output is the trace alone, progress goes to stderr and to terminals only.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from services.ops.command import StateDir

if TYPE_CHECKING:
    from contracts.messages import ArchiveKey

_FEED = typer.Argument(help="The feed, such as sales_order.", metavar="FEED", show_default=False)
_KEY = typer.Argument(help="The row's key in the source.", metavar="KEY", show_default=False)
_SINCE = typer.Option(help="Snapshots from then on: 2026-11-24T17:00 (UTC), or 2h for two hours ago.", metavar="T")
_UNTIL = typer.Option(help="Snapshots up to then.", metavar="T")
_FULL = typer.Option("--full", help="Whole rows, not only what changed.")
_JSON = typer.Option("--json", help="Print one JSON object, keys in snake_case.")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command()(trace)


def trace(  # noqa: PLR0913 - one parameter an option
    feed: Annotated[str, _FEED],
    key: Annotated[str, _KEY],
    *,
    since: Annotated[str | None, _SINCE] = None,
    until: Annotated[str | None, _UNTIL] = None,
    full: Annotated[bool, _FULL] = False,
    as_json: Annotated[bool, _JSON] = False,
    state_dir: StateDir = None,
) -> None:
    """Tell the life of one row: every observation of it, and what became of each.

    Read from the archive of a running stack, which is the truth, then from quarantine, dead letters and the warehouse's
    books; never from the source. All of a feed's archive is read unless --since or --until names a part. A key that
    begins with a minus goes behind `--`. Exit codes: 0 traced; 1 nobody knows the key.
    """
    from rich.console import Console

    from services.ops.moments import parse
    from services.ops.running import find, utc_now
    from services.ops.trace.timeline import Span
    from services.ops.trace.tracer import feed_named, key_of, tracer_of
    from services.ops.trace.view import as_json as printed
    from services.ops.trace.view import lines

    chosen, now = feed_named(feed), utc_now()
    number = key_of(key, chosen)
    span = Span(parse(since, now) if since else None, parse(until, now) if until else None)
    tracer = tracer_of(find(state_dir))
    with closing(tracer.warehouse), _progress() as look:
        found = tracer.trace(chosen, number, span, look)
    if as_json:
        typer.echo(printed(found))
    else:
        typer.echo("\n".join(lines(found, Console().width, full=full)))


@contextmanager
def _progress() -> Iterator[Callable[[int, "ArchiveKey"], None]]:
    """One line on a terminal that says how far the archive is read; gone when it is."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("Reading the archive") as status:

        def look(objects: int, next_one: "ArchiveKey") -> None:
            status.update(f"Reading the archive: {objects:,} objects, now of {next_one.as_of:%Y-%m-%d %H:%M} UTC")

        yield look
