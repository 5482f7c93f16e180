"""`totes compact`: compact the processed files of a running stack now, and show what that came to.

Invariant: it does what the function does, in this process, for every day that is over and without a limit of time; the
function at work meanwhile does no harm. A dry run writes nothing. A second run finds nothing to do.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from services.compactor.compact import TABLES, Compactor, DayReport, Report, Task
from services.compactor.handler import compose
from services.ops.installation import Installation
from services.ops.view import BAD, GOOD, QUIET, new_table
from shared.errors import ConfigurationError
from shared.settings import Settings

KILOBYTE = 1000


def compactor_of(description: Installation, settings: Settings) -> Compactor:
    """The compactor of a running stack, in this process; what it would log is in the report."""
    named = {"processed_bucket": description.buckets["processed"], "log_level": "CRITICAL"}
    return compose(settings.model_copy(update=named), s3=description.client("s3"))


def task_of(tables: list[str], day: datetime | None, *, dry_run: bool) -> Task:
    """What is meant. Raises ConfigurationError for a table that has no files."""
    unknown = [name for name in tables if name not in TABLES]
    if unknown:
        raise ConfigurationError(f"Expected star tables out of {', '.join(TABLES)}, found {', '.join(unknown)}.")
    only: date | None = None if day is None else day.date()
    return Task(tables=tuple(tables or TABLES), day=only, whole=True, dry_run=dry_run)


def as_json(report: Report, *, dry_run: bool) -> dict[str, Any]:
    """The report for a program."""
    return {"dry_run": dry_run, **report.as_answer()}


def render(report: Report, *, dry_run: bool) -> RenderableType:
    """The report for a person, readable from 80 columns."""
    if not report.days:
        return Text(" Nothing to compact: every day that has been over for an hour is compacted.", style=GOOD)
    table = new_table("table", "day", "small", "compacted", "KB before", "KB after")
    for each in report.days:
        table.add_row(*_cells(each, dry_run=dry_run))
    return Group(table, Text(), *(Text(f" {line}", style=style) for line, style in _verdict(report, dry_run=dry_run)))


def _cells(each: DayReport, *, dry_run: bool) -> tuple[str, ...]:
    numbers = (f"{each.small_files:,}", f"{each.compacted_files:,}", f"{each.bytes_before / KILOBYTE:,.0f}")
    after = "" if dry_run else f"{each.bytes_after / KILOBYTE:,.0f}"
    return (f" {each.table}", f"{each.day}", *numbers, after)


def _verdict(report: Report, *, dry_run: bool) -> Iterator[tuple[str, str]]:
    small, made = (sum(getattr(each, name) for each in report.days) for name in ("small_files", "compacted_files"))
    if dry_run:
        yield f"{small:,} small files would become {made:,}; nothing was written, because this was a dry run.", QUIET
    else:
        yield f"{small:,} small files are now read as {made:,}; they are still there, and readers find both.", GOOD
    unreadable = sum(each.unreadable for each in report.days)
    if unreadable:
        yield f"{unreadable:,} small files could not be read and stay as they are: see `left` in the manifest.", BAD
