"""Transactions that commit late, in every shape, read by either login: nothing is lost to the poll, nothing stalls.

The scan is off throughout: what is found here, the poll found by itself.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.poller.conftest import Bench, design
from tests.trouble.conftest import Pipeline, SourceClock
from tests.trouble.rows import expect_same, ids, insert, names, wait_for_lock, wait_for_next_millisecond
from tests.trouble.servers import PRIVILEGED

TIGHT = {"margin_seconds": 0.001, "scan_max_rows": 0}
HOUR = 3600.0


def seeded(bench: Bench) -> None:
    """A table with rows of long ago, so that its estimated size forbids the scan."""
    bench.run(
        "INSERT INTO design (design_id, design_name, file_location, file_name, created_at, last_updated)"
        " SELECT i, 'old', 'b', 'c', '2022-01-01', '2022-01-01' FROM generate_series(1001, 1100) i; ANALYZE design"
    )


def test_the_older_transaction_is_found_when_it_commits_last(both: Bench):
    seeded(both)
    older, younger = both.writer(), both.writer()
    poller = both.started("design", **TIGHT)
    older.run("BEGIN")
    older.run("SELECT now()")
    younger.run("BEGIN")
    design(younger, 2)
    both.drain(poller)
    design(older, 1)
    younger.run("COMMIT")
    first = both.polled(poller)
    both.drain(poller)
    older.run("COMMIT")

    assert (ids(first), ids(both.polled(poller))) == ([2], [1])


def test_the_older_transaction_that_updates_the_same_row_last_has_the_last_word_in_the_warehouse(pipeline: Pipeline):
    older, younger = pipeline.bench.writer(), pipeline.bench.writer()
    change = "UPDATE sales_order SET units_sold = {units}, last_updated = now() WHERE sales_order_id = 7"
    older.run("BEGIN")
    wait_for_next_millisecond(older)
    younger.run(change.format(units=200))
    pipeline.capture()
    older.run(change.format(units=100))
    older.run("COMMIT")
    pipeline.capture()

    history = "SELECT last_updated_time FROM history_sales_order WHERE sales_order_id = 7 ORDER BY valid_from"
    stamps = pipeline.rows(history)
    assert pipeline.rows("SELECT units_sold FROM current_sales_order WHERE sales_order_id = 7") == [[100]]
    assert stamps[1] > stamps[2]
    expect_same(pipeline)


def test_rows_of_more_savepoints_than_a_snapshot_lists_are_found(both: Bench):
    seeded(both)
    late = both.writer()
    poller = both.started("design", **TIGHT)
    late.run("BEGIN")
    for number in range(1, 81):
        late.run("SAVEPOINT s")
        design(late, number)
        if number % 20 == 0:
            design(both.writer(), 2000 + number)
            assert ids(both.polled(poller)) == [2000 + number]
        late.run("ROLLBACK TO s" if number % 3 == 0 else "RELEASE s")
    late.run("COMMIT")

    assert ids(both.polled(poller)) == [number for number in range(1, 81) if number % 3]


def test_each_part_of_a_long_chain_is_found_after_its_own_commit(both: Bench):
    seeded(both)
    late = both.writer()
    poller = both.started("design", **TIGHT)
    late.run("BEGIN")
    found = []
    for number in range(1, 6):
        design(late, number)
        design(both.writer(), 2000 + number)
        assert ids(both.polled(poller)) == [2000 + number]
        both.drain(poller)
        late.run("COMMIT AND CHAIN")
        found.append(ids(both.polled(poller)))
    late.run("ROLLBACK")

    assert found == [[1], [2], [3], [4], [5]]


@contextmanager
def message_under_way(bench: Bench, clock: SourceClock, middle: str):
    """Two transactions in one message, each waiting to be let on; 30 s pass within the first one."""
    gate, writer = bench.writer(), bench.writer()
    gate.run("SELECT pg_advisory_lock(1), pg_advisory_lock(2)")
    message = (
        f"BEGIN; {insert(1)}; SELECT pg_advisory_lock_shared(1); {middle}; {insert(2)};"
        "SELECT pg_advisory_lock_shared(2); COMMIT"
    )
    with ThreadPoolExecutor(1) as thread:
        sent = thread.submit(writer.run, message)
        try:
            wait_for_lock(bench)
            clock.step(30)
            yield gate
        finally:
            gate.run("SELECT pg_advisory_unlock_all()")
            sent.result()


@pytest.mark.parametrize("middle", ["COMMIT AND CHAIN", "COMMIT; BEGIN"])
@pytest.mark.parametrize("margin_seconds", [60, 1])
def test_a_second_transaction_of_a_message_is_found_within_the_margin_and_beyond_it_if_its_start_is_told(
    both: Bench, middle: str, margin_seconds: int
):
    """Its `now()` lies before its lock by all that the first one took: beyond the margin only its exact start tells."""
    seeded(both)
    clock = SourceClock(both)
    poller = both.started("design", margin_seconds=margin_seconds, scan_max_rows=0, wrap=clock.through)
    with message_under_way(both, clock, middle) as gate:
        both.drain(poller)
        gate.run("SELECT pg_advisory_unlock(1)")
        wait_for_lock(both)
        first = ids(both.polled(poller))
        both.drain(poller)
    second = ids(both.polled(poller))

    told = PRIVILEGED in both.totesys.reader_dsn
    assert (first, second) == ([1], [2] if told or margin_seconds == 60 else [])


@pytest.mark.parametrize("writes", [False, True], ids=["reader", "writer"])
def test_an_idle_transaction_of_an_hour_neither_stalls_the_feed_nor_makes_polls_dear(both: Bench, writes: bool):
    seeded(both)
    clock, idle = SourceClock(both), both.writer()
    poller = both.started("design", wrap=clock.through, **TIGHT)
    idle.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM design")
    if writes:
        idle.run(insert(1))
    both.drain(poller)
    clock.step(HOUR)
    clock.rows_read = 0
    for number in range(2, 12):
        both.run(insert(number, clock.shows("now()")))
        assert ids(both.polled(poller)) == [number]
    as_of = poller.checkpoint.feed("design").as_of
    both.drain(poller)
    idle.run("COMMIT")
    found = ids(both.polled(poller))

    assert found == ([1] if writes else [])
    assert poller.checkpoint.feed("design").as_of > as_of
    assert clock.rows_read <= 10 + writes * 11, "each row once, and those above the idle writer's id once more"


def test_what_was_committed_while_the_poller_was_down_for_an_hour_is_found_by_its_heir(both: Bench):
    seeded(both)
    clock = SourceClock(both)
    before, during = both.writer(), both.writer()
    first = both.started("design", wrap=clock.through, **TIGHT)
    before.run("BEGIN")
    before.run(insert(1))
    both.drain(first)
    first.rest()
    clock.step(HOUR / 2)
    both.run(insert(2, clock.shows("now()")))
    during.run("BEGIN")
    during.run(insert(3, clock.shows("now()")))
    before.run("COMMIT")
    clock.step(HOUR / 2)
    heir = both.poller("design", owner="heir", wrap=clock.through, **TIGHT)
    assert heir.claim()
    first_found = ids(both.polled(heir))
    both.drain(heir)
    during.run("COMMIT")

    assert (first_found, ids(both.polled(heir))) == ([1, 2], [3])


def test_a_row_updated_twice_within_a_millisecond_is_sent_as_it_is_last(both: Bench):
    seeded(both)
    both.run(insert(1, name="A"))
    poller = both.started("design", scan_max_rows=0)
    moment = both.run("SELECT (now() AT TIME ZONE 'UTC')::timestamp(3)::text")[0][0]
    change = "UPDATE design SET design_name = '{name}', last_updated = '{moment}' WHERE design_id = 1"
    both.run(change.format(name="B", moment=moment))
    first = both.polled(poller)
    both.run(change.format(name="C", moment=moment))
    both.run(change.format(name="D", moment=moment))

    assert (names(first), names(both.polled(poller))) == (["B"], ["D"])
