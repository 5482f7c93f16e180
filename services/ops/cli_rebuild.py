"""`totes rebuild` and `totes replay-archive`: options in, one call, words and an exit code out.

Invariant: nothing begins unasked, and both are written down in the audit. Standard output is the result alone.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.command import NOT_FIT, StateDir
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from services.ops.archived import Selection
    from services.ops.audit import Outcome
    from services.ops.installation import Installation
    from services.ops.rebuild import Failed, Progress
    from services.ops.replay_archive import Replayed

_MOMENT = "2026-11-24T17:00 (UTC), or 2h for two hours ago"
Feeds = Annotated[list[str] | None, typer.Option("--feed", help="Only this feed; may be repeated.", metavar="F")]
Since = Annotated[str | None, typer.Option(help=f"Snapshots from then on: {_MOMENT}.", metavar="T")]
Until = Annotated[str | None, typer.Option(help="Snapshots before then.", metavar="T")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Why = Annotated[str | None, typer.Option(help="The reason, for the audit.", metavar="TEXT")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, keys in snake_case.")]
_LONGEST_NAME = 63
"""Of a schema, in Postgres."""


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command()(rebuild)
    app.command("replay-archive")(replay_archive)


def rebuild(  # noqa: PLR0913 - one parameter an option
    *,
    feed: Feeds = None,
    since: Since = None,
    until: Until = None,
    into: Annotated[
        str | None, typer.Option(help="Another schema, beside the one the pipeline loads.", metavar="SCHEMA")
    ] = None,
    yes: Yes = False,
    why: Why = None,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """Rebuild the warehouse of a running stack from the archive alone; the source is not asked.

    The schema is made if it is missing. Every archived batch that it does not hold is transformed and loaded here, in
    this process: what it holds stays as it is, so a rebuild that was broken off goes on where it was. To make all of
    it anew, use --into, or drop the schema first. It may run beside the live pipeline. Exit codes: 0 done; 1 some
    batches failed, and are named; 3 it had to stop, run it again.
    """
    from services.local.settings import CommandSettings
    from services.ops.audit import audited
    from services.ops.rebuild import Rebuilt, make_schema, rebuilder_of
    from services.ops.rebuild_view import watching
    from services.ops.running import trail_of

    selection, description = _selected(feed, since, until), _description(state_dir)
    schema = _schema(into, description.warehouse_schema)
    _ask(f"Rebuild {selection} in the schema {schema}, from the archive?", yes=yes)
    done, rebuilder = Rebuilt(), rebuilder_of(description, schema, CommandSettings())
    began = time.monotonic()
    with audited(trail_of(description), action="rebuild", what=f"{selection} into {schema}", why=why) as outcome:
        _say(_what_is_there(schema, make_schema(description, schema)))
        try:
            with watching(_stderr(), rebuilder.missing(selection), time.monotonic) as progress:
                rebuilder.run(selection, done, progress)
        finally:
            outcome.counts.update(done.counts())
            rebuilder.warehouse.close()
    result = {"schema": schema, **done.counts(), "seconds": round(time.monotonic() - began, 3)}
    _print_result(result, done.failed, as_json=as_json)


def replay_archive(  # noqa: PLR0913 - one parameter an option
    *,
    feed: Feeds = None,
    since: Since = None,
    until: Until = None,
    rate: Annotated[float | None, typer.Option(help="Batches a second at most.", metavar="N", min=0.001)] = None,
    limit: Annotated[int | None, typer.Option(help="Batches at most.", metavar="N", min=1)] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also what the warehouse holds already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be sent and send nothing.")] = False,
    yes: Yes = False,
    why: Why = None,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """Send archived change batches once more through the live functions of a running stack.

    Without --all only those that the warehouse does not hold; with it, a change of the code is applied to what was
    loaded before it. They go in the order of their snapshots; one that was broken off says where to go on. Exit codes:
    0 done; 1 some batches could not be read, and are named; 3 it had to stop.
    """
    from services.local.settings import CommandSettings
    from services.ops.archived import Archive, NoBooks, WarehouseBooks
    from services.ops.audit import audited
    from services.ops.rebuild import loading
    from services.ops.replay_archive import Pace, Replayer
    from services.ops.running import trail_of
    from shared.objects import ObjectStore
    from shared.queues import Queue

    selection, description = _selected(feed, since, until), _description(state_dir)
    warehouse = loading(description, description.warehouse_schema, CommandSettings())
    replayer = Replayer(
        Archive(ObjectStore(description.client("s3")), description.buckets["archive"]),
        NoBooks() if all_ else WarehouseBooks(warehouse),
        Queue(description.client("sqs"), description.queues["changes"]),
        Pace(rate, time.monotonic, time.sleep),
    )
    try:
        total = sum(1 for _ in replayer.selected(selection, limit))
        if dry_run:
            _print_result({"would_send": total}, (), as_json=as_json)
            return
        _ask(f"Send {total:,} change batches of {selection} once more?", yes=yes)
        what = f"{selection}{', loaded or not' if all_ else ''}"
        with audited(trail_of(description), action="replay-archive", what=what, why=why) as outcome:
            done = _replay(partial(replayer.run, selection, limit), total, outcome, limited=total == limit)
    finally:
        warehouse.close()
    _print_result(done.counts(), done.failed, as_json=as_json)


def _replay(
    send: "Callable[[Replayed, Progress], None]", total: int, outcome: "Outcome", *, limited: bool
) -> "Replayed":
    """Send, and say where to go on if that was not all."""
    from services.ops.moments import shown
    from services.ops.rebuild_view import watching
    from services.ops.replay_archive import Replayed

    done = Replayed()
    try:
        with watching(_stderr(), total, time.monotonic) as progress:
            send(done, progress)
    finally:
        outcome.counts.update(done.counts())
        if done.up_to is not None and (limited or done.batches + done.failures < total):
            _say(f"Sent up to the snapshot of {shown(done.up_to)}: go on from there with --since.")
    return done


def _selected(feeds: Sequence[str] | None, since: str | None, until: str | None) -> "Selection":
    from services.ops.archived import Selection
    from services.ops.moments import parse
    from services.ops.running import utc_now

    now = utc_now()
    return Selection.of(feeds or (), parse(since, now) if since else None, parse(until, now) if until else None)


def _description(state_dir: Path | None) -> "Installation":
    from services.ops.running import find

    return find(state_dir)


def _schema(into: str | None, own: str) -> str:
    if into is not None and not 0 < len(into) <= _LONGEST_NAME:
        raise ConfigurationError(f"Expected a schema's name of 1 to {_LONGEST_NAME} characters, found {into!r}.")
    return own if into is None else into


def _ask(question: str, *, yes: bool) -> None:
    """Go on if that is meant. Raises ConfigurationError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{question} There is no terminal to ask at: say --yes if it is meant.")
    typer.confirm(question, abort=True, err=True)


def _what_is_there(schema: str, applied: Sequence[str]) -> str:
    if applied:
        return f"The schema {schema} was brought up to date: applied {', '.join(applied)}."
    return f"The schema {schema} is there: what it lacks is filled, what it holds stays as it is."


def _print_result(result: Mapping[str, Any], failed: "Sequence[Failed]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from services.ops.rebuild_view import failures

    if as_json:
        typer.echo(json.dumps({**result, "failed": [asdict(one) for one in failed]}, indent=2))
    else:
        shown = (f"{value:,}" if isinstance(value, int | float) else value for value in result.values())
        words = (f"{name.replace('_', ' ')} {value}" for name, value in zip(result, shown, strict=True))
        typer.echo(", ".join(words))
        typer.echo("\n".join(failures(result.get("failures", 0), failed)), nl=bool(failed))
    if failed:
        raise typer.Exit(NOT_FIT)


def _stderr() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
