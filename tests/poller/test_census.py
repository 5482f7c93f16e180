"""A scan counts: a row that is gone is told as a deletion by the next one, once, and by nothing that never knew it."""

from array import array
from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pg8000.native import DatabaseError

from contracts.feeds import FEEDS
from services.poller.census import Keys
from shared.errors import PipelineError
from shared.totesys.session import Source
from tests.poller.archived import Batch, objects, receive
from tests.poller.conftest import Bench, Calls, design
from tests.poller.test_crash import MOST_CALLS, failing
from tests.poller.test_generations import OwnServer, own, own_server

__all__ = ["own", "own_server"]

OLD = "2022-01-01"
LISTING = "SELECT encode(string_agg("
"""How the statement begins that lists keys."""


def seed(bench: Bench, last: int, first: int = 1) -> None:
    """Designs with these keys, older than any look-back, so that only a scan finds what becomes of them."""
    bench.run(
        "INSERT INTO design (design_id, design_name, file_location, file_name, created_at, last_updated)"
        " SELECT i, 'A', 'b', 'c', '2022-01-01', '2022-01-01' FROM generate_series(CAST(:a AS int), CAST(:z AS int)) i",
        a=first,
        z=last,
    )


def told(batches: list[Batch]) -> list[tuple[str, str, list[str]]]:
    """Operation, origin and keys of each batch, in the order of their positions."""
    return [
        (batch.data["operation"], batch.data["origin"], [next(iter(row.values())) for row in batch.rows])
        for batch in batches
    ]


def scanned(bench: Bench, poller) -> list[tuple[str, str, list[str]]]:
    bench.scan_next()
    return told(bench.polled(poller))


@pytest.mark.parametrize("at_once", [1, 2, 3, 4, 5])
def test_keys_are_listed_whole_and_in_their_order_however_many_at_a_time(bench: Bench, at_once: int):
    known = [-(2**31), -1, 0, 2**31 - 1]
    for key in reversed(known):
        seed(bench, key, key)
    source = Source(bench._connect, schema="public", statement_timeout_seconds=60, lock_timeout_seconds=60)
    bench.opened.append(source)
    source.open()

    with source.snapshot(FEEDS["design"]):
        listed = list(source.all_keys(FEEDS["design"], at_once))
        empty = list(source.all_keys(FEEDS["payment"], at_once))

    assert list(Keys(listed)) == known
    assert [len(keys) for keys in listed[:-1]] == [at_once] * (len(known) // at_once)
    assert [list(keys) for keys in empty] == [[]]


numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)


@given(known=st.sets(numbers), asked=st.sets(numbers), shared=st.data())
def test_ascending_keys_that_are_not_listed_are_told(known: set[int], asked: set[int], shared: st.DataObject):
    asked |= shared.draw(st.sets(st.sampled_from(sorted(known)))) if known else set()

    assert Keys([array("q", sorted(known))]).lacking(sorted(asked)) == sorted(asked - known)


def test_a_deletion_is_found_by_the_next_scan_and_by_nothing_sooner(bench: Bench):
    seed(bench, 5)
    poller = bench.started("design")
    poller.poll()
    before = poller.checkpoint.feed("design")
    bench.run("DELETE FROM design WHERE design_id IN (2, 4)")

    sooner = bench.polled(poller)
    bench.scan_next()
    [batch] = bench.polled(poller)

    assert sooner == []
    assert told([batch]) == [("deleted", "scan", ["2", "4"])]
    assert batch.event["type"] == "totesys.design.deleted.v1"
    assert batch.data["columns"] == ["design_id"]
    assert datetime.fromisoformat(batch.data["since"]) == before.scanned.clock
    assert (batch.data["page"], bench.checkpoint().feed("design").page) == (before.page, before.page + 1)


def test_a_deletion_is_told_once(bench: Bench):
    seed(bench, 5)
    poller = bench.started("design")
    bench.run("DELETE FROM design WHERE design_id = 2")
    assert len(scanned(bench, poller)) == 1
    design(bench.writer(), 9)

    again = scanned(bench, poller)

    assert again == [("changed", "poll", ["9"])]


def test_a_row_that_was_inserted_after_the_listing_is_missed_when_it_goes(bench: Bench):
    poller = bench.started("design")
    design(bench.writer(), 1)
    assert told(bench.polled(poller)) == [("changed", "poll", ["1"])]
    bench.run("DELETE FROM design")

    assert scanned(bench, poller) == [("deleted", "scan", ["1"])]


def test_a_row_inserted_and_one_deleted_are_not_set_off_against_each_other(bench: Bench):
    seed(bench, 5)
    poller = bench.started("design")
    bench.run("DELETE FROM design WHERE design_id = 3")
    seed(bench, 6, first=6)

    assert scanned(bench, poller) == [("changed", "scan", ["6"]), ("deleted", "scan", ["3"])]


@pytest.mark.parametrize("name", ["A", "B"], ids=["equal", "changed"])
def test_a_row_that_comes_back_is_sent_whether_or_not_it_is_the_same(bench: Bench, name: str):
    seed(bench, 5)
    poller = bench.started("design")
    bench.run("DELETE FROM design WHERE design_id = 3")
    scanned(bench, poller)
    seed(bench, 3, first=3)
    bench.run("UPDATE design SET design_name = :name WHERE design_id = 3", name=name)
    bench.scan_next()

    [batch] = bench.polled(poller)

    assert told([batch]) == [("changed", "scan", ["3"])]
    assert batch.rows[0]["design_name"] == name


def test_a_row_deleted_and_inserted_again_between_two_scans_is_no_deletion(bench: Bench):
    seed(bench, 5)
    poller = bench.started("design")
    bench.run("DELETE FROM design WHERE design_id IN (3, 4)")
    bench.polled(poller)
    seed(bench, 4, first=3)
    bench.run("UPDATE design SET design_name = 'B' WHERE design_id = 4")

    assert scanned(bench, poller) == [("changed", "scan", ["4"])]


def test_a_changed_key_is_a_deletion_and_a_new_row(bench: Bench):
    seed(bench, 3)
    poller = bench.started("design")
    bench.run("UPDATE design SET design_id = 33 WHERE design_id = 3")

    assert scanned(bench, poller) == [("changed", "scan", ["33"]), ("deleted", "scan", ["3"])]


def test_a_deletion_of_a_transaction_still_open_is_found_when_it_commits(bench: Bench):
    seed(bench, 3)
    poller, late = bench.started("design"), bench.writer()
    late.run("BEGIN")
    late.run("DELETE FROM design WHERE design_id = 2")
    during = scanned(bench, poller)
    late.run("COMMIT")

    assert during == []
    assert scanned(bench, poller) == [("deleted", "scan", ["2"])]


def test_a_joined_feed_loses_its_own_rows_and_not_those_it_is_joined_with(bench: Bench):
    bench.run(
        "INSERT INTO department (department_name) VALUES ('Sales'), ('IT');"
        "INSERT INTO staff (first_name, last_name, department_id, email_address)"
        " VALUES ('A', 'B', 1, 'c'), ('D', 'E', 1, 'f')"
    )
    poller = bench.started("staff", "department")
    bench.run("DELETE FROM department WHERE department_id = 2; DELETE FROM staff WHERE staff_id = 1")
    bench.scan_next()

    found = {batch.data["feed"]: told([batch]) for batch in bench.polled(poller)}

    assert found == {"staff": [("deleted", "scan", ["1"])], "department": [("deleted", "scan", ["2"])]}


def test_deletions_come_in_pages_with_numbers_of_their_own(bench: Bench):
    seed(bench, 100)
    poller = bench.started("design", page_rows=4)
    first = bench.checkpoint().feed("design").page
    bench.run("DELETE FROM design WHERE design_id <= 10")
    bench.scan_next()

    found = bench.polled(poller)

    assert [len(batch.rows) for batch in found] == [4, 4, 2]
    assert [batch.data["page"] for batch in found] == [first, first + 1, first + 2]


def test_a_mass_deletion_is_left_to_the_reconciler_and_hides_no_later_one(bench: Bench):
    seed(bench, 50)
    poller = bench.started("design")
    bench.run("DELETE FROM design WHERE design_id <= 20")
    held_back = scanned(bench, poller)
    bench.run("DELETE FROM design WHERE design_id = 50")

    assert held_back == []
    assert scanned(bench, poller) == [("deleted", "scan", ["50"])]


def test_rows_of_a_mass_deletion_that_come_back_are_sent(bench: Bench):
    seed(bench, 50)
    poller = bench.started("design")
    bench.run("DELETE FROM design WHERE design_id <= 20")
    scanned(bench, poller)
    seed(bench, 20)

    assert scanned(bench, poller) == [("changed", "scan", [str(key) for key in range(1, 21)])]


def test_a_truncate_is_a_deletion_of_what_does_not_come_back(bench: Bench):
    seed(bench, 5)
    poller = bench.started("design")
    bench.run(
        "BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM design WHERE design_id <> 4; TRUNCATE design CASCADE;"
        "INSERT INTO design SELECT * FROM kept; COMMIT"
    )

    assert scanned(bench, poller) == [("deleted", "scan", ["4"])]


def begin_a_long_scan(bench: Bench):
    """A poller in the middle of a scan that takes several turns, before which the design 40 was deleted."""
    seed(bench, 50)
    poller = bench.started("design", page_rows=5, pages_per_turn=2, margin_seconds=1)
    bench.run("UPDATE design SET file_location = '/private'; DELETE FROM design WHERE design_id = 40")
    bench.scan_next()
    poller.poll()
    while "design" not in poller._scans:  # an autovacuum that ended meanwhile leaves no lower bound: the poll reads all
        assert poller.busy
        poller.poll()
    return poller


def test_a_scan_of_several_turns_counts_at_its_end(bench: Bench):
    poller = begin_a_long_scan(bench)
    bench.run("DELETE FROM design WHERE design_id = 50")

    assert told(bench.polled(poller))[-1] == ("deleted", "scan", ["40", "50"])


def test_a_row_that_appears_behind_a_scan_hides_a_deletion_until_the_next_scan_and_not_its_age(bench: Bench):
    poller = begin_a_long_scan(bench)
    began = poller._scans["design"].first.clock.isoformat().replace("+00:00", "Z")
    seed(bench, 0, first=0)
    during = told(bench.polled(poller))
    bench.scan_next()
    afterwards = bench.polled(poller)

    assert {operation for operation, _, _ in during} == {"changed"}
    assert told(afterwards) == [("changed", "scan", ["0"]), ("deleted", "scan", ["40"])]
    assert afterwards[1].data["since"] < began


def test_a_feed_too_large_to_be_scanned_has_no_census(bench: Bench):
    seed(bench, 5)
    bench.run("ANALYZE design")
    poller = bench.started("design", scan_max_rows=4)
    bench.run("DELETE FROM design WHERE design_id = 2")

    assert scanned(bench, poller) == []


def test_a_feed_that_outgrew_its_scans_keeps_no_key_in_memory(bench: Bench):
    seed(bench, 5)
    bench.run("ANALYZE design")
    poller = bench.started("design", scan_max_rows=9)
    assert len(poller._censuses["design"]) == 5
    seed(bench, 10, first=6)
    bench.run("ANALYZE design")

    assert scanned(bench, poller) == []
    assert len(poller._censuses["design"]) == 0


def test_what_was_deleted_before_a_poller_listed_the_keys_is_the_reconciler_s(bench: Bench):
    seed(bench, 5)
    bench.started("design", owner="first").rest()
    bench.run("DELETE FROM design WHERE design_id = 2")
    second = bench.poller("design", owner="second")
    assert second.claim()
    before = scanned(bench, second)
    bench.run("DELETE FROM design WHERE design_id = 3")

    assert before == []
    assert scanned(bench, second) == [("deleted", "scan", ["3"])]


def test_a_poller_that_starts_when_nothing_is_new_lists_the_keys_at_once(bench: Bench):
    seed(bench, 5)
    bench.started("design", owner="first").rest()
    second = bench.poller("design", owner="second")
    assert second.claim()
    bench.drain(second)
    bench.run("DELETE FROM design WHERE design_id = 2")

    assert scanned(bench, second) == [("deleted", "scan", ["2"])]


def test_a_poller_whose_place_another_took_knows_no_keys_any_more(bench: Bench):
    seed(bench, 5)
    first, second = bench.started("design", owner="first"), bench.poller("design", owner="second")
    first.rest()
    second.run(1, bench.clock.sleep)
    seed(bench, 6, first=6)
    bench.scan_next()
    second.run(1, bench.clock.sleep)
    receive(bench.aws)
    bench.run("DELETE FROM design WHERE design_id = 1")
    bench.scan_next()
    first.run(1, bench.clock.sleep)
    assert receive(bench.aws) == []
    bench.run("DELETE FROM design WHERE design_id = 6")
    bench.scan_next()

    first.run(1, bench.clock.sleep)

    assert told(receive(bench.aws)) == [("deleted", "scan", ["6"])]


def test_a_new_connection_forgets_no_key(bench: Bench):
    seed(bench, 5)
    poller = bench.started("design")
    bench.run("DELETE FROM design WHERE design_id = 2")
    poller._source.close()

    assert scanned(bench, poller) == [("deleted", "scan", ["2"])]


def test_a_crash_of_the_source_hides_no_deletion(own: Bench, own_server: OwnServer):
    seed(own, 5)
    poller = own.started("design")
    own.run("DELETE FROM design WHERE design_id = 2")
    own.close()
    own_server.restart("immediate")
    generation = poller.checkpoint.generation
    own.scan_next()

    sent = own.polled(poller)

    assert told(sent)[-1] == ("deleted", "scan", ["2"])
    assert sent[-1].data["position"]["generation"] == generation + 1


class BusyAt:
    """A connection that cancels the next statement beginning so, once armed, as the statement timeout does."""

    def __init__(self, real) -> None:
        self._real, self.beginning = real, None

    def __getattr__(self, name):
        return getattr(self._real, name)

    def run(self, sql, **arguments):
        if self.beginning is not None and sql.startswith(self.beginning):
            self.beginning = None
            raise DatabaseError({"C": "57014", "M": "canceling statement due to statement timeout"})
        return self._real.run(sql, **arguments)


@pytest.mark.parametrize("beginning", ["SELECT count(*)", LISTING], ids=["count", "list"])
def test_a_census_that_timed_out_is_taken_by_the_next_scan(bench: Bench, beginning: str):
    seed(bench, 5)
    busy = []
    poller = bench.started("design", wrap=lambda real: busy.append(BusyAt(real)) or busy[-1])
    bench.run("DELETE FROM design WHERE design_id = 2")
    busy[-1].beginning = beginning
    during = scanned(bench, poller)

    assert busy[-1].beginning is None
    assert during == []
    assert scanned(bench, poller) == [("deleted", "scan", ["2"])]


class Counting:
    """A connection that keeps what was asked."""

    def __init__(self, real, asked: list[str]) -> None:
        self._real, self._asked = real, asked

    def __getattr__(self, name):
        return getattr(self._real, name)

    def run(self, sql, **arguments):
        self._asked.append(sql)
        return self._real.run(sql, **arguments)


def test_nothing_new_is_not_counted_and_what_agrees_is_not_listed(bench: Bench):
    seed(bench, 5)
    asked: list[str] = []
    poller = bench.started("design", wrap=lambda real: Counting(real, asked))
    assert sum(sql.startswith(LISTING) for sql in asked) == 1
    asked.clear()
    scanned(bench, poller)
    resting = len(asked)
    design(bench.writer(), 9)
    asked.clear()
    scanned(bench, poller)

    assert resting == 1
    assert sum(sql.startswith("SELECT count(*)") for sql in asked) == 1
    assert sum(sql.startswith("COPY") for sql in asked) == 2


def begin_anew(bench: Bench) -> None:
    """Nine designs, an empty archive and no checkpoint."""
    bench.run("TRUNCATE design CASCADE")
    seed(bench, 9)
    bench.aws.s3.delete_object(Bucket="control", Key="checkpoint.json")
    for key in objects(bench.aws):
        bench.aws.s3.delete_object(Bucket="archive", Key=key)


def pages(batches: list[Batch]) -> set[int]:
    return {batch.data["page"] for batch in batches}


@pytest.mark.no_cover
@pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "after it took effect"])
def test_deletions_survive_a_failure_at_any_call_or_are_left_to_the_reconciler(bench: Bench, after: bool):
    """An heir knows no keys: it tells what was stored, and nothing that was not gone is ever told."""
    for fail_at in range(1, MOST_CALLS):
        begin_anew(bench)
        calls = Calls(after=after)
        poller = bench.poller("design", owner=f"dies-{fail_at}", page_rows=2, **failing(bench, calls))
        poller.run(0.5, bench.clock.sleep)
        sent = receive(bench.aws)
        bench.run("DELETE FROM design WHERE design_id <= 3")
        bench.scan_next()
        calls.count, calls.fail_at = 0, fail_at
        with suppress(PipelineError):
            poller.run(0.5, bench.clock.sleep)
        sent += receive(bench.aws)
        covered, finished = set(range(bench.checkpoint().feed("design").page)), calls.count < fail_at
        assert covered <= pages(sent), fail_at

        bench.let_the_lease_run_out()
        bench.poller("design", owner=f"heir-{fail_at}", page_rows=2).run(0.5, bench.clock.sleep)
        sent += receive(bench.aws)
        bench.close()

        gone = {key for operation, _, keys in told(sent) if operation == "deleted" for key in keys}
        assert gone in (set(), {"1", "2"}, {"1", "2", "3"}), fail_at
        assert len(objects(bench.aws)) == len(pages(sent)), fail_at
        if finished:
            assert gone == {"1", "2", "3"}
            return
    pytest.fail("the run never ended without a failure")


KEY = st.sampled_from([-20_001, -1, 0, 9_999, 10_000, 10_001])
STEP = st.one_of(
    st.tuples(st.just("put"), KEY, st.sampled_from("AB"), st.booleans()),
    st.tuples(st.just("delete"), KEY),
    st.tuples(st.just("reload"), KEY),
    st.tuples(st.just("poll")),
    st.tuples(st.just("scan")),
    st.tuples(st.just("reconnect")),
)
FEW = {"page_rows": 3, "pages_per_turn": 2, "margin_seconds": 0.002}
"""Six keys are more than a page and as many as a turn reads, so that scans are cut too."""


def put(bench: Bench, key: int, name: str, *, moves: bool) -> None:
    """Insert or update; `moves` says whether last_updated tells it."""
    bench.run(
        "INSERT INTO design (design_id, design_name, file_location, file_name, created_at, last_updated)"
        " VALUES (:key, :name, 'b', 'c', '2022-01-01', CASE WHEN :moves THEN now() ELSE '2022-01-01' END)"
        " ON CONFLICT (design_id) DO UPDATE SET design_name = EXCLUDED.design_name,"
        " last_updated = CASE WHEN :moves THEN now() ELSE design.last_updated END",
        key=key,
        name=name,
        moves=moves,
    )


RELOAD = (
    "BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM design WHERE design_id <> {key}; TRUNCATE design CASCADE;"
    "INSERT INTO design SELECT * FROM kept; COMMIT"
)


@pytest.mark.no_cover
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=5, max_size=40))
def test_after_each_scan_what_was_sent_is_what_the_source_holds(bench: Bench, steps: list[tuple]):
    """The model is a dictionary: what was sent last for a key, nothing once it was told deleted."""
    begin_anew(bench)
    poller = bench.poller("design", **FEW)
    assert poller.claim()
    sent: dict[int, str | None] = {}

    def take() -> None:
        for batch in bench.polled(poller):
            sent.update((int(row["design_id"]), row.get("design_name")) for row in batch.rows)

    try:
        take()
        for verb, *arguments in [*steps, ("scan",)]:
            if verb == "put":
                put(bench, *arguments[:2], moves=arguments[2])
            elif verb == "delete":
                bench.run("DELETE FROM design WHERE design_id = :key", key=arguments[0])
            elif verb == "reload":
                bench.run(RELOAD.format(key=arguments[0]))
            elif verb == "reconnect":
                poller._source.close()
            elif verb == "poll":
                take()
            else:
                for _ in range(2):  # what appears behind a long scan hides a deletion until the next one
                    bench.scan_next()
                    take()
                there = dict(bench.run("SELECT design_id, design_name FROM design"))
                assert {key: name for key, name in sent.items() if name is not None} == there
    finally:
        bench.close()
