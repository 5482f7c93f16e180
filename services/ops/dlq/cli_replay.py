"""`totes dlq replay`, `purge` and `audit`: options in, words and an exit code out.

Invariant: nothing is sent or deleted unasked, and both are written down before they begin. Standard output is the
result alone; the plan, the question and the progress go to standard error.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.command import NOT_FIT, StateDir
from services.ops.dlq.filter_options import AsJson, Causes, Feeds, Ids, Limit, Queues, Since, Until
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from services.ops.dlq.replay import Plan, Source, Tally, Task
    from services.ops.dlq.send_again import Run
    from services.ops.installation import Installation

CAP = 3
"""As services.ops.dlq.replay.CAP, without importing it; a test holds them equal."""
PLAIN_EVERY = 1000
"""Messages between two lines of progress where there is no terminal."""
_MOMENT = "2026-11-24T17:00 (UTC), or 2h for two hours ago"
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Why = Annotated[str | None, typer.Option("--why", help="The reason, for the audit.", metavar="TEXT")]


def register(dlq: typer.Typer) -> None:
    """Add the commands to `totes dlq`."""
    dlq.command()(replay)
    dlq.command()(purge)
    dlq.command()(audit)


def replay(  # noqa: PLR0913 - one parameter an option
    *,
    queue: Queues = None,
    feed: Feeds = None,
    cause: Causes = None,
    since: Since = None,
    until: Until = None,
    ident: Ids = None,
    limit: Limit = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.1, help="Messages a second at most.", metavar="N")
    ] = None,
    cap: Annotated[int, typer.Option("--cap", min=1, help="Refuse what was replayed so often.", metavar="N")] = CAP,
    only_passing: Annotated[
        bool, typer.Option("--only-passing", help="Only what would pass today's contract, as `check` finds it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and send nothing.")] = False,
    yes: Yes = False,
    why: Why = None,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """Send parked messages and quarantined rows again: the first three of each cause, and then the rest.

    It stops by itself when they fail again. A message is sent before it is deleted, rows go as a batch of their own at
    their old position, so broken off it doubles nothing and loses nothing: run again, it goes on. Exit codes: 0 all
    replayed; 1 some failed again or were refused; 3 a queue, bucket or the warehouse did not answer.
    """
    from services.ops.dlq import operate
    from services.ops.dlq.check import Checker
    from services.ops.dlq.filters import filter_of
    from services.ops.dlq.places import places_of
    from services.ops.dlq.replay import Task, survey
    from services.ops.dlq.send_again import Run
    from services.ops.running import utc_now

    began = utc_now()
    chosen = filter_of(now=began, queues=queue, feeds=feed, causes=cause, ids=ident, span=(since, until))
    description = _description(state_dir)
    places = places_of(description)
    with Checker(places) if only_passing else nullcontext() as checker:
        wanted = operate.wanted_of(chosen, cap, checker)
        plan = survey(operate.sources_of(places, chosen, wanted, Run("", began)))
        if not as_json:
            _print(operate.plan_view(plan))
        if dry_run:
            typer.echo(json.dumps(operate.plan_json(plan), indent=2) if as_json else "Nothing was sent: a dry run.")
            return
        count = operate.to_send(plan)
        if count:
            _ask(f"Send {min(count, limit or count):,} messages and rows again?", yes=yes)
        what = f"{chosen}{' --only-passing' if only_passing else ''}{f' --limit {limit}' if limit else ''}"
        sources = partial(operate.sources_of, places, chosen, wanted)
        run, tally = _send(description, sources, plan, Task(limit, rate), what=what, why=why)
    typer.echo(operate.outcome_json(run, tally) if as_json else "\n".join(operate.sentences(tally)))
    if not tally.complete:
        raise typer.Exit(NOT_FIT)


def purge(  # noqa: PLR0913 - one parameter an option
    *,
    queue: Queues = None,
    feed: Feeds = None,
    cause: Causes = None,
    since: Since = None,
    until: Until = None,
    ident: Ids = None,
    yes: Yes = False,
    why: Why = None,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """Give up parked messages and quarantined rows, which the warehouse then never gets.

    Messages are archived under `_purged/` in the processed bucket before they are deleted; quarantined rows are marked,
    and stay where they are. Exit codes: 0 done; 3 a queue or bucket did not answer: run it again, it goes on.
    """
    from services.ops.audit import audited
    from services.ops.dlq import operate
    from services.ops.dlq.filters import filter_of
    from services.ops.dlq.places import places_of
    from services.ops.dlq.purge import Purged, Store, count
    from services.ops.dlq.purge import purge as give_up
    from services.ops.quarantine import PLACE
    from services.ops.running import trail_of, utc_now

    began = utc_now()
    chosen = filter_of(now=began, queues=queue, feeds=feed, causes=cause, ids=ident, span=(since, until))
    description = _description(state_dir)
    places, looks = places_of(description), operate.looks_of(places_of(description), chosen)
    found = count(looks, places.quarantine.objects() if chosen.looks_at(PLACE) else (), chosen)
    if found.messages or found.rows:
        _ask(
            f"Give up {found.messages:,} parked messages and {found.rows:,} quarantined rows, "
            "which the warehouse will never get?",
            yes=yes,
        )
    with (
        audited(trail_of(description), action="dlq purge", what=str(chosen), why=why) as outcome,
        _progress(found.messages + found.rows) as show,
    ):

        def tell(done: Purged) -> None:
            outcome.counts = done.counts()
            show(done.messages + done.rows)

        store = Store(places.objects, places.processed_bucket, outcome.id, began)
        done = give_up(looks, chosen, store, tell)
        outcome.text = f"Archived and deleted {done.messages:,} messages, marked {done.rows:,} rows as purged."
        outcome.counts = done.counts()
    typer.echo(json.dumps({"run": outcome.id, **done.counts()}, indent=2) if as_json else outcome.text)


def audit(
    *,
    since: Annotated[str | None, typer.Option(help=f"What was done from then on: {_MOMENT}.", metavar="T")] = None,
    until: Annotated[str | None, typer.Option(help="What was done up to then.", metavar="T")] = None,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """Show who did what to the pipeline, when, why, and with what outcome; an action that died shows as begun."""
    from rich.console import Console

    from services.ops.dlq import operate
    from services.ops.moments import parse
    from services.ops.running import trail_of, utc_now

    now = utc_now()
    span = (parse(each, now) if each else None for each in (since, until))
    actions = trail_of(_description(state_dir)).actions(*span)
    if as_json:
        typer.echo(operate.audit_json(actions))
    else:
        Console().print(operate.audit_view(actions))


def _send(
    description: "Installation",
    sources: "Callable[[Run], list[Source]]",
    plan: "Plan",
    task: "Task",
    *,
    what: str,
    why: str | None,
) -> "tuple[str, Tally]":
    """Replay between two lines of the audit, under a bar; the run's id and what it came to."""
    import time

    from services.ops.audit import audited
    from services.ops.dlq import operate
    from services.ops.dlq.places import QUEUES
    from services.ops.dlq.replay import Clock, Replay
    from services.ops.dlq.send_again import Run
    from services.ops.dlq.watch import PipelineWatch
    from services.ops.running import trail_of, utc_now, warehouse_of
    from shared.queues import Queue

    sqs = description.client("sqs")
    watch = PipelineWatch(warehouse_of(description), [Queue(sqs, description.queues[name]) for name in QUEUES])
    count = min(operate.to_send(plan), task.limit or operate.to_send(plan))
    with audited(trail_of(description), action="dlq replay", what=what, why=why) as outcome, _progress(count) as show:

        def tell(tally: "Tally") -> None:
            outcome.counts = tally.counts()
            show(tally.sent)

        clock = Clock(time.monotonic, time.sleep)
        tally = Replay(sources(Run(outcome.id, utc_now())), watch, task, clock=clock, progress=tell).run(plan)
        outcome.text, outcome.counts = " ".join(operate.sentences(tally)), tally.counts()
    return outcome.id, tally


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, else a line now and then; both on standard error."""
    if not sys.stderr.isatty():
        yield _plain_lines(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def _plain_lines(total: int) -> Callable[[int], None]:
    said = 0

    def tell(done: int) -> None:
        nonlocal said
        if done - said >= PLAIN_EVERY:
            said = done
            typer.echo(f"{done:,} of {total:,}", err=True)

    return tell


def _ask(question: str, *, yes: bool) -> None:
    """Go on if that is meant. Raises ConfigurationError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"There is no terminal to ask at: {question} Say --yes if it is meant.")
    typer.confirm(question, abort=True, err=True)


def _print(what: Any) -> None:
    from rich.console import Console

    Console(stderr=True).print(what)


def _description(state_dir: Path | None) -> "Installation":
    from services.ops.running import find

    return find(state_dir)
