"""`totes reconcile`: compare source and warehouse of a running stack now, whole, and show what was decided.

Invariant: the repairs go the way of every change, so the command ends before they are loaded; run again, it finds them
arrived. A dry run publishes nothing.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from contracts.feeds import FEEDS
from services.local.description import StackDescription
from services.ops.view import BAD, GOOD, QUIET, new_table
from services.reconciler.handler import APPLICATION_NAME
from services.reconciler.plan import Decision, Totals
from services.reconciler.progress import ProgressStore
from services.reconciler.reconcile import Adapters, Reconciler, Report
from services.reconciler.warehouse import Warehouse
from shared.archive import Publisher
from shared.checkpoint import CheckpointStore
from shared.errors import ConfigurationError
from shared.objects import ObjectStore
from shared.postgres import Connection, Dsn, connect
from shared.queues import Queue
from shared.settings import Settings
from shared.telemetry import logger
from shared.totesys.session import Source

NO_DRIFT, DRIFT, NOT_COMPARED = 0, 1, 3
COLUMNS = ("missing", "stale", "extra", "damaged")
KILOBYTE = 1000


def reconciler_of(description: StackDescription, settings: Settings) -> Reconciler:
    """The reconciler of a running stack, in this process."""
    objects = ObjectStore(description.client("s3"))
    sqs = description.client("sqs")
    changes, loads = (Queue(sqs, description.queues[name]) for name in ("changes", "loads"))
    settings = settings.model_copy(update={"time_zone": description.time_zone})
    adapters = Adapters(
        source=Source(
            partial(_connect, description.source_dsn, settings, settings.lock_timeout_seconds),
            schema=settings.source_schema,
            statement_timeout_seconds=settings.statement_timeout_seconds,
            lock_timeout_seconds=settings.lock_timeout_seconds,
        ),
        warehouse=Warehouse(
            partial(_connect, description.warehouse_dsn, settings, settings.warehouse_lock_timeout_seconds),
            description.warehouse_schema,
        ),
        publisher=Publisher(objects, description.buckets["archive"], changes),
        checkpoints=CheckpointStore(objects, description.buckets["control"]),
        progress=ProgressStore(objects, description.buckets["control"]),
        queues=(changes, loads),
        log=logger("reconciler", "CRITICAL"),
    )
    return Reconciler(
        feeds=list(FEEDS.values()), settings=settings, adapters=adapters, sleep=time.sleep, now=time.monotonic
    )


def _connect(dsn: str, settings: Settings, lock_timeout_seconds: float) -> Connection:
    return connect(
        Dsn.parse(dsn),
        application_name=APPLICATION_NAME,
        statement_timeout_seconds=settings.statement_timeout_seconds,
        lock_timeout_seconds=lock_timeout_seconds,
    )


def feeds_named(names: list[str]) -> tuple[str, ...]:
    """The feeds that are meant. Raises ConfigurationError for one that has no star table to compare with."""
    comparable = [feed.name for feed in FEEDS.values() if feed.star is not None]
    unknown = [name for name in names if name not in comparable]
    if unknown:
        raise ConfigurationError(f"Expected feeds out of {', '.join(comparable)}, found {', '.join(unknown)}.")
    return tuple(names)


def exit_code(report: Report) -> int:
    """What a script needs to know: no drift, drift found, or a feed that could not be compared."""
    if report.skipped:
        return NOT_COMPARED
    return DRIFT if report.total.drift else NO_DRIFT


def as_json(report: Report) -> dict[str, Any]:
    """The report for a program: totals, what was skipped and why, the first decisions of each feed."""
    decisions = {
        feed: [{"kind": one.kind.value, "key": one.key} for one in found] for feed, found in report.decisions.items()
    }
    return {**report.as_answer(), "drift": report.total.drift, "decisions": decisions}


def render(report: Report, *, dry_run: bool) -> RenderableType:
    """The report for a person, readable from 80 columns."""
    table = new_table("feed", "compared", *COLUMNS, "left alone")
    for name, totals in (*report.feeds.items(), ("all", report.total)):
        numbers = (*(asdict(totals)[column] for column in COLUMNS), _left_alone(totals))
        table.add_row(f" {name}", f"{totals.source:,}", *map(_cell, numbers))
    parts: list[RenderableType] = [table, Text()]
    parts += [Text(f" {line}", style=QUIET) for line in _examples(report)]
    parts += [Text(f" ! {name} was not compared: {reason}", style=BAD) for name, reason in report.skipped.items()]
    parts += [Text(f" {sentence}", style=style) for sentence, style in _verdict(report.total, dry_run=dry_run)]
    parts.append(Text(f" {_cost(report.total)}", style=QUIET))
    return Group(*parts)


def _left_alone(total: Totals) -> int:
    return total.in_flight + total.quarantined + total.inferred + total.held_back


def _cell(number: int) -> Text:
    return Text(f"{number:,}", style="bold" if number else QUIET)


def _examples(report: Report) -> Iterator[str]:
    """The first keys of each kind, a line a feed."""
    for feed, decisions in report.decisions.items():
        yield f"{feed}: " + ", ".join(map(_in_words, decisions))


def _in_words(one: Decision) -> str:
    return f"{one.key} {one.kind.replace('_', ' ')}"


def _verdict(total: Totals, *, dry_run: bool) -> Iterator[tuple[str, str]]:
    if _left_alone(total):
        yield (
            (
                f"Left alone: {total.in_flight:,} in flight, {total.quarantined:,} quarantined, "
                f"{total.inferred:,} inferred long ago and described by no row, {total.held_back:,} held back."
            ),
            QUIET,
        )
    if not total.drift:
        yield "No drift: the warehouse shows what the source holds.", GOOD
    elif dry_run:
        yield f"Drift: {total.drift:,} rows; nothing was published, because this was a dry run.", BAD
    else:
        yield f"Drift: {total.drift:,} rows. {_published(total)}", BAD
    if total.held_back:
        meant = "if they are meant, run it again with --yes."
        yield f"{total.held_back:,} deletions are held back, because they are so many: {meant}", BAD


def _published(total: Totals) -> str:
    return (
        f"Published: {total.changed:,} changed, {total.deleted:,} deleted, {total.restored:,} restored; "
        "they are loaded within seconds."
    )


def _cost(total: Totals) -> str:
    return (
        f"{total.ranges:,} ranges compared, {total.bytes / KILOBYTE:,.1f} KB moved, "
        f"{total.source_ms / 1000:.2f} s of the source's time."
    )


def asking(ask: Callable[[str], bool], *, yes: bool) -> Callable[[str, int, int], bool]:
    """Who answers whether so many deletions are meant: nobody where --yes has said so."""

    def allow(feed: str, gone: int, live: int) -> bool:
        return yes or ask(
            f"{gone:,} of {live:,} rows of {feed} are gone from the source. Delete them in the warehouse too?"
        )

    return allow
