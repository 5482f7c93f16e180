"""`totes reconcile`: compare source and warehouse of a running stack now, whole, and show what was decided.

Invariant: the repairs go the way of every change, so the command ends before they are loaded; run again, it finds them
arrived. A dry run publishes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from contracts.feeds import FEEDS
from services.ops.installation import Installation
from services.ops.view import BAD, GOOD, QUIET, new_table
from services.reconciler.handler import compose
from services.reconciler.plan import Decision, Totals
from services.reconciler.reconcile import Reconciler, Report
from shared.errors import ConfigurationError
from shared.postgres import Dsn, connect
from shared.settings import Settings

NO_DRIFT, DRIFT, NOT_COMPARED = 0, 1, 3
COLUMNS = ("missing", "stale", "extra", "damaged")
KILOBYTE = 1000


def reconciler_of(description: Installation, settings: Settings) -> Reconciler:
    """The reconciler of a running stack, in this process; what it would log is in the report."""
    named = {
        "archive_bucket": description.buckets["archive"],
        "control_bucket": description.buckets["control"],
        "changes_queue_url": description.queues["changes"],
        "loads_queue_url": description.queues["loads"],
        "warehouse_schema": description.warehouse_schema,
        "time_zone": description.time_zone,
        "log_level": "CRITICAL",
    }
    return compose(
        settings.model_copy(update=named),
        s3=description.client("s3"),
        sqs=description.client("sqs"),
        to_source=partial(connect, Dsn.parse(description.source_dsn)),
        to_warehouse=partial(connect, Dsn.parse(description.warehouse_dsn)),
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
    parts += [Text(f" {sentence}", style=style) for sentence, style in _verdict(report, dry_run=dry_run)]
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


def _verdict(report: Report, *, dry_run: bool) -> Iterator[tuple[str, str]]:
    total = report.total
    if _left_alone(total):
        yield _what_was_left(total), QUIET
    if not total.drift:
        yield _no_drift(report), QUIET if report.skipped else GOOD
    elif dry_run:
        yield f"Drift: {total.drift:,} rows; nothing was published, because this was a dry run.", BAD
    else:
        yield f"Drift: {total.drift:,} rows. {_published(total)}", BAD
    if total.held_back:
        meant = "if they are meant, run it again with --yes."
        yield f"{total.held_back:,} deletions are held back, because they are so many: {meant}", BAD


def _no_drift(report: Report) -> str:
    """Never more than was seen: what was left alone or not compared may differ."""
    if report.skipped:
        return "No drift in what was compared." if report.feeds else "Nothing was compared."
    return "No drift." if _left_alone(report.total) else "No drift: the warehouse shows what the source holds."


def _what_was_left(total: Totals) -> str:
    return (
        f"Left alone: {total.in_flight:,} in flight, {total.quarantined:,} quarantined, "
        f"{total.inferred:,} inferred long ago and described by no row, {total.held_back:,} held back."
    )


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
