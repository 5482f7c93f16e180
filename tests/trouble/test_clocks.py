"""Clocks that are wrong, step, round, or show an hour twice: what the poll still finds, what is left to the nets.

Each test says which net found a row: `started(..., scan_max_rows=0)` has the poll alone. Both readers are tried where
the start of a transaction matters.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.poller.conftest import Bench
from tests.trouble.conftest import Pipeline, SourceClock
from tests.trouble.rows import expect_same, ids, insert
from tests.trouble.test_late import HOUR, seeded

POLL_ALONE = {"scan_max_rows": 0}
LONDON = "Europe/London"


@pytest.mark.parametrize("seconds", [-59, -1, 0.5, 3600, 10 * 365 * 86400])
def test_an_application_s_clock_may_be_behind_by_the_margin_and_ahead_by_anything(bench: Bench, seconds: float):
    seeded(bench)
    poller = bench.started("design", **POLL_ALONE)
    stamp = f"(now() + interval '{seconds} s') AT TIME ZONE 'UTC'"
    found = []
    for number in (1, 2, 3):
        bench.run(insert(number, stamp))
        found += ids(bench.polled(poller))

    assert found == [1, 2, 3]


def test_a_row_dated_ahead_hides_no_later_row_of_a_right_clock(bench: Bench):
    seeded(bench)
    poller = bench.started("design", margin_seconds=0.001, **POLL_ALONE)
    bench.run(insert(1, "'2999-01-01'"))
    first = ids(bench.polled(poller))
    bench.drain(poller)
    bench.run(insert(2))

    assert (first, ids(bench.polled(poller))) == ([1], [2])


def test_a_row_dated_further_behind_than_the_margin_is_found_by_the_next_scan(bench: Bench):
    seeded(bench)
    poller = bench.started("design")
    bench.run(insert(1, "(now() - interval '61 s') AT TIME ZONE 'UTC'"))
    by_the_poll = ids(bench.polled(poller))
    bench.scan_next()

    assert (by_the_poll, ids(bench.polled(poller))) == ([], [1])


def test_a_row_dated_further_behind_than_the_margin_is_found_by_the_reconciler_without_any_scan(pipeline: Pipeline):
    pipeline.source("ANALYZE")
    pipeline.capture()
    pipeline.source(insert(900, "(now() - interval '1 day') AT TIME ZONE 'UTC'"))
    pipeline.capture()
    before = pipeline.rows("SELECT count(*) FROM dim_design WHERE design_id = 900")
    pipeline.mend()

    assert before == [[0]]
    expect_same(pipeline)


def rounding(bench: Bench, poller, *, down: bool) -> str:
    """A moment just after the poll's clock that timestamp(3) rounds to one before it, or ahead of it."""
    while True:
        bench.drain(poller)
        clock = poller.checkpoint.feed("design").as_of
        if 100 <= clock.microsecond % 1000 < 400 if down else clock.microsecond % 1000 >= 600:
            return (clock + timedelta(microseconds=1)).replace(tzinfo=None).isoformat(" ")


@pytest.mark.parametrize("down", [True, False], ids=["before the clock it came after", "into the future"])
def test_a_time_that_the_column_rounds_is_found(bench: Bench, down: bool):
    seeded(bench)
    poller = bench.started("design", margin_seconds=0.001, **POLL_ALONE)
    moment = rounding(bench, poller, down=down)
    bench.run(insert(1, f"'{moment}'"))

    kept = bench.run("SELECT last_updated::text FROM design WHERE design_id = 1")[0][0]
    assert (kept < moment) is down
    assert ids(bench.polled(poller)) == [1]


@pytest.mark.parametrize("seconds", [50, HOUR], ids=["less than the margin", "an hour"])
def test_a_clock_that_steps_back_loses_nothing(bench: Bench, seconds: float):
    seeded(bench)
    clock = SourceClock(bench)
    poller = bench.started("design", wrap=clock.through, **POLL_ALONE)
    clock.step(-seconds)
    found = []
    for number in range(1, 5):
        bench.run(insert(number, clock.shows("now()")))
        found.append(ids(bench.polled(poller)))
        clock.step(30)

    assert found == [[1], [2], [3], [4]]


def test_what_was_written_after_a_step_back_and_long_before_the_next_poll_is_found_by_the_scan(bench: Bench):
    seeded(bench)
    clock = SourceClock(bench)
    poller = bench.started("design", wrap=clock.through)
    clock.step(-HOUR)
    bench.run(insert(1, clock.shows("now()")))
    clock.step(61)
    bench.run(insert(2, clock.shows("now()")))
    by_the_poll = ids(bench.polled(poller))
    bench.scan_next()

    assert (by_the_poll, ids(bench.polled(poller))) == ([2], [1])


def test_a_transaction_begun_after_a_step_back_is_found_whenever_it_ends(both: Bench):
    seeded(both)
    clock, late = SourceClock(both), both.writer()
    poller = both.started("design", wrap=clock.through, **POLL_ALONE)
    clock.step(-HOUR)
    late.run("BEGIN")
    late.run(insert(1, clock.shows("now()")))
    both.drain(poller)
    for number in range(2, 5):
        clock.step(300)
        both.run(insert(number, clock.shows("now()")))
        assert ids(both.polled(poller)) == [number]
    late.run("COMMIT")

    assert ids(both.polled(poller)) == [1]


def test_a_transaction_open_while_the_clock_steps_back_is_found(both: Bench):
    seeded(both)
    clock, late = SourceClock(both), both.writer()
    poller = both.started("design", margin_seconds=0.001, wrap=clock.through, **POLL_ALONE)
    late.run("BEGIN")
    late.run(insert(1))
    both.drain(poller)
    clock.step(-HOUR)
    both.drain(poller)
    both.drain(poller)
    late.run("COMMIT")

    assert ids(both.polled(poller)) == [1]


def test_an_heir_after_a_step_back_keeps_the_starts_that_were_listed_last(bench: Bench):
    """The scan's horizon is older than the poll's and shows the later time."""
    seeded(bench)
    clock, late = SourceClock(bench), bench.writer()
    poller = bench.started("design", wrap=clock.through)
    clock.step(-HOUR)
    late.run("BEGIN")
    late.run(insert(1, clock.shows("now()")))
    bench.run(insert(4, clock.shows("now()")))
    assert ids(bench.polled(poller)) == [4]
    poller.rest()
    clock.step(HOUR / 2)
    heir = bench.poller("design", owner="heir", wrap=clock.through, **POLL_ALONE)
    assert heir.claim()
    for number in (2, 3):
        bench.run(insert(number, clock.shows("now()")))
        assert number in ids(bench.polled(heir))
        clock.step(300)
    late.run("COMMIT")

    assert 1 in ids(bench.polled(heir))


def set_to(clock: SourceClock, moment: datetime) -> None:
    """Let the source's clock show this moment."""
    [[now]] = clock.bench.run(f"SELECT {clock.turned('clock_timestamp()')}")
    clock.step((moment - now).total_seconds())


AUTUMN, SPRING = datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)
"""When London's clocks are set back from 02:00 to 01:00, and ahead from 01:00 to 02:00."""


@pytest.mark.parametrize("change", [AUTUMN, SPRING], ids=["autumn", "spring"])
def test_no_row_written_around_the_hour_that_comes_twice_or_never_is_lost(both: Bench, change: datetime):
    seeded(both)
    clock, late = SourceClock(both), both.writer()
    set_to(clock, change - timedelta(hours=1, minutes=10))
    poller = both.started("design", time_zone=LONDON, margin_seconds=1, wrap=clock.through, **POLL_ALONE)
    late.run("BEGIN")
    late.run(insert(1000, clock.shows("now()", LONDON)))
    both.drain(poller)
    found = []
    for number in range(1, 15):
        both.run(insert(number, clock.shows("now()", LONDON)))
        found.append(ids(both.polled(poller)))
        clock.step(600)
    late.run("COMMIT")
    found.append(ids(both.polled(poller)))

    assert found == [[number] for number in range(1, 15)] + [[1000]]


def test_a_poller_that_slept_through_the_autumn_hour_finds_its_rows(bench: Bench):
    seeded(bench)
    clock = SourceClock(bench)
    set_to(clock, AUTUMN - timedelta(seconds=5))
    poller = bench.started("design", time_zone=LONDON, margin_seconds=1, wrap=clock.through, **POLL_ALONE)
    clock.step(10)
    bench.run(insert(1, clock.shows("now()", LONDON)))
    wall = bench.run("SELECT last_updated FROM design WHERE design_id = 1")[0][0]

    assert wall < poller.checkpoint.feed("design").as_of.astimezone(ZoneInfo(LONDON)).replace(tzinfo=None)
    assert ids(bench.polled(poller)) == [1]
