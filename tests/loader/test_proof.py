"""A feed is proven complete as of a clock only when all that was captured before it is loaded, in whatever order."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pg8000.native import Connection

from contracts.messages import FeedBeat, Heartbeat, HeartbeatData, LoadBatch, Origin
from contracts.star import DimDesign, DimStaff
from services.loader.proof import _PROVE, prove, record, take
from tests.loader.conftest import LOADER, Fault, Star, load_all
from tests.loader.rows import AS_OF, STAFF, Made, at, changed
from tests.loader.test_rivals import wait_until_it_waits

MIGRATIONS = Path("services/loader/migrations/versions")
MOMENT = timedelta(seconds=1)
DESIGN = {"design_id": 1, "design_name": "Wooden", "file_location": "/usr", "file_name": "a.json"}


def clock(minute: int) -> datetime:
    return AS_OF + timedelta(minutes=minute)


def page(number: int, origin: Origin = Origin.POLL) -> Made:
    """A load batch of staff with the page's number; a repair has rows of its own."""
    kind = 500 if origin is Origin.REPAIR else 0
    made = changed(DimStaff, [{**STAFF, "staff_id": number}], at(1, 10 + number), origin=origin, as_of=clock(number))
    data = made.batch.data.model_copy(update={"page": number, "change_batch": f"staff/p{number}/{kind}"})
    return replace(made, batch=LoadBatch.of(data))


def beat(number: int, minute: int, feed: str = "staff", generation: int = 1) -> Heartbeat:
    """What a poller says that has published all pages before `number` when it looked at the source's `minute`."""
    said = FeedBeat(feed=feed, as_of=clock(minute), page=number)
    return Heartbeat.of(HeartbeatData(generation=generation, revision=10 + minute, as_of=clock(minute), feeds=(said,)))


def deliver(star: Star, *sent: Made | Heartbeat) -> None:
    warehouse = star.warehouse()
    for one in sent:
        if isinstance(one, Heartbeat):
            record(warehouse, one)
        else:
            load_all(warehouse, one)
    warehouse.close()


def proven(star: Star, feed: str = "staff") -> tuple[int, datetime | None] | None:
    """The feed's first page that is missing, and the clock as of which it is complete."""
    with star.connect() as reader:
        return said(reader, feed)


def said(reader: Connection, feed: str = "staff") -> tuple[int, datetime | None] | None:
    found = reader.run("SELECT page, as_of FROM _complete WHERE feed = :feed", feed=feed)
    return (found[0][0], found[0][1]) if found else None


def test_a_feed_is_complete_as_of_the_newest_heartbeat_whose_pages_are_all_loaded(star: Star):
    deliver(star, page(0), page(1), beat(2, minute=5))

    assert proven(star) == (2, clock(5))


def repair_of(made: Made) -> Made:
    """A repair that a quiet source made equal to a page: number, position and rows, and so the id."""
    data = made.batch.data.model_copy(update={"origin": Origin.REPAIR, "as_of": made.batch.data.as_of - MOMENT})
    return replace(made, batch=LoadBatch.of(data))


@pytest.mark.parametrize("together", [True, False], ids=["in one delivery", "one after the other"])
@pytest.mark.parametrize("again", [True, False], ids=["and again", "once"])
def test_a_page_that_a_repair_had_the_id_of_counts_once_it_is_captured(star: Star, together: bool, again: bool):
    repair, captured = repair_of(page(1)), page(1)
    deliver(star, page(0), beat(2, minute=5), repair)
    before = proven(star)

    sent = [repair, captured] if together else [captured]
    for _ in range(1 + again):
        warehouse = star.warehouse()
        load_all(warehouse, *sent)
        warehouse.close()
        deliver(star, repair)

    assert repair.batch.id == captured.batch.id
    assert before == (1, None)
    assert proven(star) == (2, clock(5))


def test_a_repair_and_its_equal_page_in_the_first_delivery_count_as_the_page(star: Star):
    deliver(star, page(0), beat(2, minute=5))
    warehouse = star.warehouse()
    load_all(warehouse, repair_of(page(1)), page(1))
    warehouse.close()

    assert proven(star) == (2, clock(5))


def test_an_idle_feed_stays_proven_as_of_now_and_takes_no_more_room(star: Star):
    deliver(star, page(0), beat(1, minute=5), beat(1, minute=6), beat(1, minute=7))

    assert proven(star) == (1, clock(7))
    assert star.rows("SELECT page, as_of FROM _heartbeat_feed") == [[1, clock(7)]]


def test_a_heartbeat_that_overtakes_its_batches_proves_nothing_until_they_are_loaded(star: Star):
    deliver(star, beat(2, minute=5), page(1))
    before = proven(star)

    deliver(star, page(0))

    assert before == (0, None)
    assert proven(star) == (2, clock(5))


def test_a_parked_batch_holds_its_feed_s_proof_until_it_is_replayed(star: Star):
    parked = page(1)
    deliver(star, page(0), beat(1, minute=1), page(2), beat(3, minute=3), beat(3, minute=4))
    while_parked = proven(star)

    deliver(star, parked)

    assert while_parked == (1, clock(1))
    assert proven(star) == (3, clock(4))


def test_one_feed_that_is_held_holds_no_other(star: Star):
    said = (FeedBeat(feed="staff", as_of=clock(1), page=1), FeedBeat(feed="design", as_of=clock(2), page=0))

    deliver(star, Heartbeat.of(HeartbeatData(generation=1, revision=9, as_of=clock(2), feeds=said)))

    assert proven(star, "staff") == (0, None)
    assert proven(star, "design") == (0, clock(2))


@pytest.mark.parametrize("origin", [Origin.REPAIR, Origin.REPLAY])
def test_a_repair_or_replay_is_not_the_page_whose_number_it_bears(star: Star, origin: Origin):
    deliver(star, page(0), page(1, origin), beat(2, minute=5))

    assert proven(star) == (1, None)


def test_a_number_that_two_pollers_filled_counts_once(star: Star):
    other = page(0, Origin.SCAN)
    other = replace(other, batch=LoadBatch.of(other.batch.data.model_copy(update={"change_batch": "staff/rival"})))

    deliver(star, page(0), other, beat(2, minute=5))

    assert proven(star) == (1, None)


def test_a_feed_without_star_table_and_one_that_nobody_knows_are_left_out(star: Star):
    deliver(star, beat(0, minute=1, feed="department"), beat(0, minute=1, feed="of a newer poller"))

    assert star.rows("SELECT count(*) FROM _complete") == [[0]]
    assert star.rows("SELECT count(*) FROM _heartbeat") == [[1]]


def test_the_newest_heartbeat_is_kept_whatever_comes_after_it(star: Star):
    newest = beat(0, minute=3, generation=2)

    deliver(star, beat(0, minute=7), newest, beat(0, minute=9), newest)

    assert star.rows("SELECT id, generation, as_of FROM _heartbeat") == [[newest.id, 2, clock(3)]]


def test_a_heartbeat_that_comes_twice_proves_once(star: Star):
    deliver(star, page(0), beat(1, minute=5))
    before = star.rows("SELECT * FROM _complete, _heartbeat, _heartbeat_feed")

    deliver(star, beat(1, minute=5), page(0), beat(1, minute=5))

    assert star.rows("SELECT * FROM _complete, _heartbeat, _heartbeat_feed") == before


def test_the_freshness_view_shows_what_is_proven(star: Star):
    deliver(star, page(0), beat(1, minute=5))

    assert star.rows(
        "SELECT feed, as_of, complete_page, complete_as_of, proven_at > now() - interval '1 hour' FROM freshness"
    ) == [["staff", clock(0), 1, clock(5), True]]


@pytest.mark.parametrize("after", [False, True], ids=["before the server did it", "after it"])
@pytest.mark.parametrize("call", [4, 5, 6, 7, 8])
def test_a_heartbeat_whose_connection_is_lost_is_recorded_by_the_next_try(star: Star, call: int, after: bool):
    deliver(star, page(0))

    record(star.warehouse(Fault(at=call, error=ConnectionResetError("lost"), after=after)), beat(1, minute=5))

    assert proven(star) == (1, clock(5))


def test_a_page_and_a_heartbeat_at_the_same_moment_know_of_each_other(star: Star):
    """Neither sees what the other has not committed: the later one waits, or none of them would prove anything."""
    loading = star.connect(LOADER)
    loading.run("BEGIN")
    loading.run(
        "INSERT INTO _load_batch VALUES ('b', 'c', 'staff', 'dim_staff', 'changed', 'poll', 1, 1, 1, 0, NULL, now(), 1,"
        " 0, 'k', now())"
    )
    take(loading, ["staff"])
    prove(loading, ["staff"])

    with ThreadPoolExecutor(1) as other:
        recording = other.submit(record, star.warehouse(), beat(1, minute=5))
        wait_until_it_waits(star, recording)
        loading.run("COMMIT")
        recording.result()

    assert proven(star) == (1, clock(5))


PAGES = [page(number) for number in range(4)]
FILLED = (
    "fact_sales_order",
    "fact_purchase_order",
    "dim_staff",
    "_load_batch",
    "_feed",
    "_heartbeat_feed",
    "_heartbeat",
    "_complete",
)
"""What is emptied for each example, and what other tests on the same database may have left to refer to it."""
BEATS = [beat(number, minute=10 * number + minute) for number in range(5) for minute in (0, 1)]


def expected(sent: Sequence[Made | Heartbeat]) -> tuple[int, datetime | None]:
    """What may be said after these, computed by hand."""
    loaded = {one.batch.data.page for one in sent if isinstance(one, Made)}
    first = next(number for number in range(len(PAGES) + 1) if number not in loaded)
    said = [one.data for one in sent if isinstance(one, Heartbeat) and one.data.feeds[0].page <= first]
    return first, max((one.as_of for one in said), default=None)


@pytest.mark.no_cover
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_and_repetition_of_pages_and_heartbeats_proves_the_same_and_never_too_much(
    common_star: Star, choose: st.DataObject
):
    everything: list[Any] = [*PAGES, *BEATS]
    order = choose.draw(st.permutations(everything))
    again = choose.draw(st.lists(st.sampled_from(everything), max_size=4))
    warehouse, sent = common_star.warehouse(), []
    with closing(warehouse), common_star.connect() as reader:
        reader.run(f"DELETE FROM {'; DELETE FROM '.join(FILLED)}")
        for one in [*order[:9], *again, *order[9:]]:
            record(warehouse, one) if isinstance(one, Heartbeat) else load_all(warehouse, one)
            sent.append(one)
            assert said(reader) == expected(sent)
        assert said(reader) == (4, clock(41))


def old_database(star: Star) -> None:
    """As it was before heartbeats."""
    star.rows("DROP VIEW freshness; DROP TABLE _heartbeat, _heartbeat_feed, _complete; DROP INDEX _load_batch_captured")
    first = (MIGRATIONS / "0001_star_schema.sql").read_text(encoding="utf-8")
    star.rows(first[first.index("CREATE VIEW freshness") :])


def test_a_database_from_before_heartbeats_begins_at_its_first_missing_page(star: Star):
    designs = changed(DimDesign, [DESIGN], at(1, 10))
    deliver(star, page(0), page(1, Origin.REPAIR), page(2), page(4))
    deliver(star, replace(designs, batch=LoadBatch.of(designs.batch.data.model_copy(update={"page": 1}))))
    old_database(star)

    star.rows((MIGRATIONS / "0002_heartbeat.sql").read_text(encoding="utf-8"))

    assert star.rows("SELECT feed, page, as_of FROM _complete ORDER BY feed") == [
        ["design", 0, None],
        ["staff", 3, None],
    ]
    assert star.rows("SELECT feed, complete_page FROM freshness ORDER BY feed") == [["design", 0], ["staff", 3]]


def test_an_idle_minute_costs_the_same_however_much_was_loaded(star: Star):
    """The frontier is stepped on from where it is, over an index; nothing counts what was ever loaded."""
    star.rows(
        "INSERT INTO _load_batch SELECT 'b' || n, 'c' || n, 'staff', 'dim_staff', 'changed', 'poll', 1, n, 1, n, NULL,"
        " now(), 1, 0, 'k', now() FROM generate_series(0, 19999) n; INSERT INTO _complete VALUES ('staff', 20000)"
    )
    star.rows("ANALYZE _load_batch")

    plan = "\n".join(line for [line] in star.rows(f"EXPLAIN {_PROVE}", feeds=["staff"]))

    assert "Index Only Scan using _load_batch_captured" in plan
    assert "Seq Scan on _load_batch" not in plan
