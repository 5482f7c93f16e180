"""`totes dlq`: look at what is parked and quarantined. Options in, words and an exit code out.

Invariant: list, show and check only look: whatever they received is visible again when they end, also broken off.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.ops.command import NOT_FIT, StateDir
from services.ops.dlq import cli_replay
from services.ops.dlq.filter_options import AsJson, Causes, Feeds, Ids, Limit, Queues, Since, Until

if TYPE_CHECKING:
    from services.ops.dlq.places import Places

dlq = typer.Typer(
    help="What failed, why, whether it would pass by now, and how to send it again: the dead-letter queues and the "
    "quarantine.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_ID = typer.Argument(help="An id, or the first characters of one.", metavar="ID", show_default=False)


@dlq.command("list")
def list_parked(  # noqa: PLR0913 - one parameter an option
    *,
    queue: Queues = None,
    feed: Feeds = None,
    cause: Causes = None,
    since: Since = None,
    until: Until = None,
    ident: Ids = None,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """Show what is parked and quarantined, in groups of one place, feed, cause and contract version.

    Rows that break their contract are told apart by field and reason too. Looking never consumes: every message is
    visible again at the end, only SQS's own count of receives has grown. Exit codes: 0 whatever was found; 3 a queue
    or bucket did not answer.
    """
    from rich.console import Console

    from services.ops.dlq.entries import looking
    from services.ops.dlq.filters import Filter, filter_of
    from services.ops.dlq.listing import grouped
    from services.ops.dlq.report import Report, as_json_text, list_view
    from services.ops.running import utc_now

    now = utc_now()
    wanted = filter_of(now=now, queues=queue, feeds=feed, causes=cause, ids=ident, span=(since, until))
    with looking(_places(state_dir), wanted) as entries:
        report = Report(grouped(entries), complete=entries.complete)
    if as_json:
        typer.echo(as_json_text(report))
    else:
        Console().print(list_view(report, now, filtered=wanted != Filter()))


@dlq.command()
def show(ident: Annotated[str, _ID], *, as_json: AsJson = False, state_dir: StateDir = None) -> None:
    """Show one parked message or quarantined row whole: reason, counts, rows, object, and where to look in the logs.

    Account numbers stay masked. Exit codes: 0 shown; 2 the id means nothing, or several, which are named.
    """
    from services.ops.dlq.show import Shower, find, lines

    places = _places(state_dir)
    detail = Shower(places).detail(find(places, ident))
    typer.echo(detail.model_dump_json(indent=2) if as_json else "\n".join(lines(detail)))


@dlq.command()
def check(  # noqa: PLR0913 - one parameter an option
    *,
    queue: Queues = None,
    feed: Feeds = None,
    cause: Causes = None,
    since: Since = None,
    until: Until = None,
    ident: Ids = None,
    limit: Limit = None,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """Validate each parked message and quarantined row against today's code and contract, and send nothing.

    A change batch is transformed without being stored, a load batch staged in the warehouse and rolled back, a
    quarantined row read again from the archive. Exit codes: 0 all would pass; 1 some would still fail.
    """
    from rich.console import Console

    from services.ops.dlq.check import Checker, checked
    from services.ops.dlq.entries import looking
    from services.ops.dlq.filters import Filter, filter_of
    from services.ops.dlq.report import as_json_text, check_view, report_of
    from services.ops.running import utc_now

    wanted = filter_of(now=utc_now(), queues=queue, feeds=feed, causes=cause, ids=ident, span=(since, until))
    places = _places(state_dir)
    with looking(places, wanted, limit=limit) as entries, Checker(places) as checker:
        report = report_of(checked(checker, entries), complete=lambda: limit is not None or entries.complete)
    if as_json:
        typer.echo(as_json_text(report))
    else:
        Console().print(check_view(report, filtered=wanted != Filter()))
    if report.fails:
        raise typer.Exit(NOT_FIT)


cli_replay.register(dlq)


def _places(state_dir: Path | None) -> "Places":
    """Those of the installation that is meant."""
    from services.ops.dlq.places import places_of
    from services.ops.running import find

    return places_of(find(state_dir))
