"""The decisions of a poll, each by itself: no database, no clock."""

from datetime import UTC, datetime, timedelta
from typing import Never
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import Origin
from services.poller import reading
from services.poller.reading import Claim, Memory, Pace, Rules
from shared.checkpoint import Checkpoint, FeedState, Horizon, Read, SourceIdentity
from shared.errors import ConfigurationError, SourceChanged
from shared.totesys.snapshot import Conditions, Snapshot, Transaction, Vitals, expect_same_source

NOON = datetime(2026, 8, 19, 12, tzinfo=UTC)
MARGIN = timedelta(seconds=60)
LONDON = ZoneInfo("Europe/London")
RULES = Rules(ZoneInfo("UTC"), MARGIN, scan_interval_seconds=1, scan_share=0.1, scan_max_rows=100)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def horizon(clock: datetime = NOON, xmax: int = 100, xip: tuple[int, ...] = (), **started: datetime) -> Horizon:
    return Horizon(
        clock=clock, xmax=xmax, xip=xip, open={name.replace("_", "/"): start for name, start in started.items()}
    )


def ordinary(virtual: str, *ids: int, started: datetime | None = None) -> Transaction:
    return Transaction(virtual, prepared=False, ids=ids, started=started)


def prepared(*ids: int) -> Transaction:
    return Transaction("-1/9", prepared=True, ids=ids)


def test_a_transaction_not_listed_before_began_after_the_previous_clock():
    assert reading.starts([ordinary("3/7")], horizon()) == {"3/7": NOON}


def test_a_transaction_listed_before_keeps_its_start():
    assert reading.starts([ordinary("3/7")], horizon(at(9), **{"3_7": NOON})) == {"3/7": NOON}


def test_an_exact_start_is_used_for_the_virtual_id_and_not_for_the_id_that_may_be_prepared():
    found = reading.starts([ordinary("3/7", 95, started=at(5))], horizon())

    assert found == {"3/7": at(5), "x95": NOON}


def test_a_prepared_transaction_keeps_the_start_it_had_under_its_id():
    met_open = reading.starts([ordinary("3/7", 95, 96)], horizon())
    later = Horizon(clock=at(60), xmax=100, open=met_open)

    assert reading.starts([prepared(95, 96)], later) == {"p95": NOON, "p96": NOON}


def test_an_unknown_prepared_transaction_takes_the_earliest_start_known_or_none():
    assert reading.starts([prepared(95)], horizon(at(9), **{"3_7": at(-50)})) == {"p95": at(-50)}
    assert reading.starts([prepared(95)], horizon(at(9))) == {"p95": at(9)}
    assert reading.starts([prepared(95)], None) == {"p95": reading.NO_LOWER_BOUND}


def test_a_prepared_transaction_is_open_only_while_the_snapshot_hides_it():
    snapshot = Snapshot(100, (95,))

    assert reading.still_open([prepared(95)], snapshot) >= {"p95"}
    assert reading.still_open([prepared(101)], snapshot) >= {"p101"}
    assert reading.still_open([prepared(94)], snapshot) == frozenset()


def test_look_back_reaches_the_start_of_what_ended_and_ignores_what_is_open():
    base = horizon(NOON, **{"3_7": at(-30), "4_1": at(-900), "x95": at(-5000)})

    assert reading.look_back(base, {"4/1"}, MARGIN) == at(-30) - MARGIN
    assert reading.look_back(base, {"3/7", "4/1"}, MARGIN) == NOON - MARGIN
    assert reading.look_back(horizon(NOON, **{"3_7": reading.NO_LOWER_BOUND}), set(), MARGIN) is None


def test_the_oldest_new_id_is_the_smallest_that_ended_since():
    assert reading.oldest_new_id(horizon(xmax=100, xip=(90, 95)), Snapshot(120, (90,))) == 95
    assert reading.oldest_new_id(horizon(xmax=100, xip=(90,)), Snapshot(120, (90, 110))) == 100


def test_ids_are_widened_across_two_to_the_thirty_second():
    snapshot = Snapshot(2**32 + 5, (2**32 - 3,))

    assert snapshot.hides(2**32 - 3)
    assert not snapshot.hides(2**32 - 4)
    assert snapshot.hides(7)
    assert not snapshot.hides(1)


def test_a_snapshot_is_read_from_postgres_own_text():
    assert Snapshot.parse("10:20:10,14") == Snapshot(20, (10, 14))
    assert Snapshot.parse("10:10:").revision == 10
    assert Snapshot.parse("10:20:10,14").revision == 18


@pytest.mark.parametrize(
    ("moment", "now", "expected"),
    [
        ("2026-07-01 12:00", "2026-07-01 12:01", "2026-07-01 13:00"),
        ("2026-01-01 12:00", "2026-01-01 12:01", "2026-01-01 12:00"),
        ("2026-10-25 00:50", "2026-10-25 01:11", "2026-10-25 00:50"),
        ("2026-03-29 00:50", "2026-03-29 01:11", "2026-03-29 00:50"),
    ],
)
def test_the_zone_s_clock_is_read_at_its_earlier_meaning(moment: str, now: str, expected: str):
    utc, present = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (moment, now))

    assert reading.in_zone(utc, LONDON, present) == datetime.fromisoformat(expected)


@given(written=st.integers(0, 86400 * 366 * 2), ago=st.integers(0, 7200), later=st.integers(0, 7200))
def test_a_row_written_after_the_look_back_is_never_before_it_on_the_wall(written: int, ago: int, later: int):
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=written)
    wall = moment.astimezone(LONDON).replace(tzinfo=None)

    bound = reading.in_zone(moment - timedelta(seconds=ago), LONDON, moment + timedelta(seconds=later))

    assert bound <= wall


def test_a_scan_asks_for_ids_alone_and_a_distrusted_base_for_none():
    asked = {"seen": horizon(at(9), 120), "open_now": set(), "rules": RULES}

    poll = reading.conditions(Origin.POLL, horizon(), trusted=True, **asked)
    scan = reading.conditions(Origin.SCAN, horizon(), trusted=True, **asked)

    assert (poll.look_back, poll.oldest_new_id) == ((NOON - MARGIN).replace(tzinfo=None), 100)
    assert (scan.look_back, scan.oldest_new_id) == (None, 100)
    assert reading.conditions(Origin.POLL, horizon(), trusted=False, **asked).oldest_new_id is None
    assert reading.conditions(Origin.BACKFILL, None, trusted=True, **asked) == Conditions()


IDENTITY = SourceIdentity(system_identifier=1, database=2, timeline=3)
KNOWN = Checkpoint(identity=IDENTITY, stats_reset=NOON, revision=100, wal=1000)


def vitals(**changes) -> Vitals:
    at_rest = {
        "in_recovery": False,
        "identity": IDENTITY,
        "wal": 1000,
        "stats_reset": NOON,
        "snapshot": Snapshot(100, ()),
    }
    return Vitals(**{**at_rest, **changes})


@pytest.mark.parametrize(
    ("changes", "generation"),
    [
        ({}, 1),
        ({"snapshot": Snapshot(101, (100,)), "wal": 2000}, 1),
        ({"snapshot": Snapshot(99, ())}, 2),
        ({"wal": 999}, 2),
        ({"stats_reset": at(1)}, 2),
        ({"stats_reset": None}, 2),
    ],
)
def test_only_a_step_back_or_a_reset_begins_a_generation(changes: dict, generation: int):
    assert reading.met(KNOWN, vitals(**changes)).generation == generation


def test_the_first_meeting_begins_no_generation():
    assert reading.met(Checkpoint(), vitals()).generation == 1


def test_a_new_generation_counts_from_what_it_finds():
    met = reading.met(KNOWN, vitals(snapshot=Snapshot(50, ()), wal=500))

    assert (met.revision, met.wal) == (50, 500)


def test_a_changed_identity_and_a_standby_are_refused_in_words():
    with pytest.raises(SourceChanged, match="totes rebase --source-changed"):
        expect_same_source(SourceIdentity(system_identifier=1, database=2, timeline=4), vitals())
    with pytest.raises(ConfigurationError, match="hot standby"):
        expect_same_source(None, vitals(in_recovery=True))


@pytest.mark.parametrize(
    ("checkpoint", "age", "expected"),
    [
        (Checkpoint(), float("inf"), Claim.TAKE),
        (Checkpoint(owner="me"), 1, Claim.MINE),
        (Checkpoint(owner="other"), 14.9, Claim.LEAVE),
        (Checkpoint(owner="other"), 15, Claim.TAKE),
        (Checkpoint(owner="other", resting=True), 1, Claim.TAKE),
        (Checkpoint(owner="me", paused=True), 100, Claim.LEAVE),
        (Checkpoint(owner="me", draining=True), 100, Claim.LEAVE),
    ],
)
def test_a_poller_claims_what_no_live_owner_holds(checkpoint: Checkpoint, age: float, expected: Claim):
    assert reading.claim(checkpoint, age_seconds=age, owner="me", lease_seconds=15) is expected


def test_a_read_that_ended_starts_the_next_one_from_its_first_horizon():
    read = Read(base=horizon(at(-9)), first=horizon(), after=7)
    state = reading.ended(FeedState(reading=read), Origin.POLL, read)

    assert (state.polled, state.reading, state.as_of, state.scanned) == (read.first, None, NOON, None)
    assert reading.ended(state, Origin.BACKFILL, read).scanned == read.first
    assert reading.ended(FeedState(), Origin.SCAN, read) == FeedState(scanned=read.first)


def test_rows_moved_wholesale_are_read_whole_even_in_the_middle_of_a_read():
    state = FeedState(relations=((1, 1),), reading=Read(base=horizon(), first=horizon(), after=7))

    assert reading.next_read(state, horizon(at(9)), ((1, 1),)) == state.reading
    assert reading.next_read(state, horizon(at(9)), ((1, 2),)).base is None
    assert not reading.moved_wholesale(FeedState(), ((1, 2),))


@pytest.mark.parametrize(
    ("pace", "due"),
    [
        (Pace(), True),
        (Pace(rows=101), False),
        (Pace(ended_at=9.5, rows=100), False),
        (Pace(ended_at=9.0), True),
        (Pace(ended_at=2.0, took_seconds=1.0), False),
        (Pace(ended_at=1.0, took_seconds=1.0), True),
    ],
)
def test_a_scan_keeps_to_its_interval_its_share_and_its_size(pace: Pace, due: bool):
    assert reading.scan_due(pace, None, at=10.0, rules=RULES) is due


def test_a_scan_waits_behind_a_bulk_read_and_a_second_one_puts_it_off_no_further():
    first, second = (Read(base=None, first=horizon(at(second)), after=7) for second in (0, 1))
    waiting = reading.put_off(None, first, at=100.0)

    assert not reading.scan_due(Pace(), waiting, at=103.9, rules=RULES)
    assert reading.scan_due(Pace(), waiting, at=104.0, rules=RULES)
    assert reading.put_off(waiting, first, at=102.0).until == 106.0
    assert reading.put_off(waiting, second, at=102.0) == waiting


def test_the_memory_forgets_the_least_recently_used_and_only_knows_the_latest():
    memory = Memory(limit=2)
    memory.keep({1: 10, 2: 20}, 2)
    assert memory.held([(1, 10), (2, 21)]) == {1: 10}
    memory.keep({3: 30}, 3)

    assert memory.held([(1, 10), (2, 20), (3, 30)]) == {1: 10, 3: 30}
    memory.keep({1: 11}, 1)
    assert memory.held([(1, 10)]) == {}
    assert memory.held([(1, 11)]) == {1: 11}
    memory.clear()
    assert memory.held([(3, 30)]) == {}


def test_the_memory_tells_from_which_key_on_it_holds_none_until_it_is_emptied():
    memory = Memory(limit=2)
    assert memory.holds_none_from(-5)
    memory.keep({1: 10, 7: 70}, 7)
    memory.keep({3: 30}, 4)

    assert not memory.holds_none_from(7)
    assert memory.holds_none_from(8)
    memory.clear()
    assert memory.holds_none_from(7)


class Unread(dict[int, int | None]):
    """Hashes that nobody may look at."""

    def keys(self) -> Never:  # type: ignore[override]
        raise AssertionError("Expected nobody to look.")


def test_hashes_that_fill_the_memory_alone_are_not_read_before_a_row_is_asked_about():
    memory = Memory(limit=2)
    memory.keep({1: 10}, 1)

    memory.keep(Unread({2: 20, 3: 30}), 3)
    memory.keep({4: 40, 5: 50, 6: 60}, 6)

    assert memory.held([(1, 10), (2, 20), (3, 30), (4, 40), (5, 50), (6, 60)]) == {5: 50, 6: 60}


def test_a_memory_that_nobody_asked_keeps_only_keys_that_are_there():
    memory = Memory(limit=3)
    memory.keep({1: 10, 2: 20, 3: 30}, 3)
    memory.keep_only([4, 3, 1])

    assert memory.held([(1, 10), (2, 20), (3, 30)]) == {1: 10, 3: 30}


STEPS = st.lists(
    st.tuples(st.booleans(), st.dictionaries(st.integers(0, 9), st.integers(0, 1), min_size=1, max_size=4)), max_size=20
)


@given(steps=STEPS, limit=st.integers(1, 10))
def test_a_row_is_skipped_only_where_its_hash_is_the_latest_sent(steps: list[tuple[bool, dict[int, int]]], limit: int):
    memory, latest = Memory(limit), {}

    for sent, rows in steps:
        held, equal = memory.held(rows.items()), dict(latest.items() & rows.items())
        assert held.items() <= equal.items()
        assert limit < len(latest) or held == equal
        above = [(key, row_hash) for key, row_hash in latest.items() if memory.holds_none_from(key)]
        assert memory.held(above) == {}
        if sent:
            memory.keep(rows, max(rows))
            latest.update(rows)
