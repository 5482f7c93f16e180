"""Something happens between two statements of a poll, whichever two they are, and the poll alone finds every row.

No statement is picked by hand: it happens before one after the other, until a poll makes fewer than were asked for.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.feeds import FEEDS
from shared.checkpoint import LEAST_KEY
from shared.totesys.session import Source
from shared.totesys.snapshot import Conditions
from tests.poller.archived import Batch
from tests.poller.conftest import Bench, design

POLL_ALONE = {"scan_max_rows": 0, "margin_seconds": 0.001}
"""The margin is a column's rounding and no more: a row that is older than it should be is lost."""
LEAST_STATEMENTS, MOST_STATEMENTS = 8, 60
"""Of a poll that sends rows: the look, the snapshot, its two lists, the COPY and the end among them."""


class Between:
    """A connection that lets something happen before its n-th statement."""

    def __init__(self, real: Any) -> None:
        self._real, self._left, self._act = real, 0, lambda: None

    def before(self, statement: int, act: Callable[[], None]) -> None:
        self._left, self._act = statement, act

    def happened(self) -> bool:
        """Whether so many statements were made; from now on nothing happens any more."""
        left, self._left = self._left, 0
        return left <= 0

    def run(self, sql: str, **arguments: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self._act()
        return self._real.run(sql, **arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def keys(batches: list[Batch]) -> set[int]:
    return {int(row["design_id"]) for batch in batches for row in batch.rows}


def begin(writer: Any, key: int) -> None:
    """A transaction with a row, whose start is further behind the source's clock than the margin when this is over."""
    writer.run("BEGIN")
    design(writer, key)
    while not writer.run("SELECT clock_timestamp() > now() + interval '5 ms'")[0][0]:
        pass


def begins_between(bench: Bench, poller: Any, between: Between, statement: int, key: int) -> set[int] | None:
    writer = bench.writer()
    between.before(statement, lambda: begin(writer, key))
    found = keys(bench.polled(poller))
    if not between.happened():
        return None
    writer.run("COMMIT")
    return found | keys(bench.polled(poller))


def ends_between(bench: Bench, poller: Any, between: Between, statement: int, key: int) -> set[int] | None:
    writer = bench.writer()
    begin(writer, key)
    found = keys(bench.polled(poller))
    bench.move()
    between.before(statement, lambda: writer.run("COMMIT"))
    found |= keys(bench.polled(poller))
    return found | keys(bench.polled(poller)) if between.happened() else None


def news(bench: Bench, poller: Any, statement: int) -> None:
    """There is something to read."""
    design(bench.writer(), 2000 + statement)


def rest(bench: Bench, poller: Any, statement: int) -> None:
    """Nothing was read for a while and something else moves, so that a glance is all there is to a poll."""
    for _ in range(2):
        bench.move()
        bench.polled(poller)
    bench.move()


@pytest.mark.parametrize("before", [news, rest])
@pytest.mark.parametrize("happen", [begins_between, ends_between])
def test_a_transaction_that_begins_or_ends_between_any_two_statements_of_a_poll_is_found(
    bench: Bench, happen: Any, before: Any
):
    made: list[Between] = []
    poller = bench.started("design", wrap=lambda real: made.append(Between(real)) or made[-1], **POLL_ALONE)
    for statement in range(1, MOST_STATEMENTS):
        key = 1000 + statement
        before(bench, poller, statement)

        found = happen(bench, poller, made[-1], statement, key)

        if found is None:
            break
        assert key in found, f"it happened before statement {statement}"
    assert LEAST_STATEMENTS <= statement < MOST_STATEMENTS - 1


def test_a_row_dated_exactly_where_the_reading_begins_is_read(bench: Bench):
    design(bench.writer(), 1, at="2026-11-20 09:30:00.123")
    source = Source(bench._connect, schema="public", statement_timeout_seconds=60, lock_timeout_seconds=60)
    bench.opened.append(source)
    source.open()
    feed, asked = FEEDS["design"], Conditions(datetime(2026, 11, 20, 9, 30, 0, 123000, tzinfo=UTC).replace(tzinfo=None))

    with source.snapshot(feed) as seen:
        read = source.copy(feed, asked, Nowhere(), after=LEAST_KEY, limit=9, xmax=seen.vitals.snapshot.xmax)

    assert read == 1


class Nowhere:
    def writelines(self, rows: Sequence[bytes], /) -> None:
        """Forget the rows."""
