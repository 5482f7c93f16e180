"""Every row once, at every moment, whatever dies, comes late or runs twice."""

import os
from collections import Counter
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import Operation
from services.compactor import plan
from services.compactor.compact import TABLES, Task
from shared import parquet
from shared.errors import CorruptObject, Unavailable
from shared.processed import COMPACTED, MANIFEST, Manifest
from tests.attack.baton import Actor, interleave
from tests.attack.calls import Fault, Gate, Killed, Mode
from tests.compactor.site import BUCKET, DAY, NEXT_NOON, TABLE, Site, Small

ONE_TABLE = Task(tables=(TABLE,))
DELETED = Operation.DELETED
FOUR = (Small(1, count=3, second=5), Small(2, second=9), Small(3, DELETED, count=2), Small(4, count=0))
LATE = Small(9, count=2, second=7)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def groups_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few files are several groups."""
    monkeypatch.setattr(plan, "MAX_GROUP_FILES", 2)


def test_a_day_that_is_over_becomes_one_file_of_rows_and_one_of_deletions(site: Site):
    site.arrive(*FOUR)

    report = site.compactor().run(ONE_TABLE)

    (day,) = report.days
    assert (day.small_files, day.compacted_files, day.rows, day.unreadable) == (4, 2, 6, 0)
    assert (day.bytes_before, day.bytes_after) == (
        sum(len(file.body) for file in FOUR),
        sum(len(site.s3.body(BUCKET, key) or b"") for key in site.keys(COMPACTED)),
    )
    assert site.files() == sorted(site.keys(COMPACTED))
    site.expect_every_row_once()
    site.expect_nothing_overwritten()


def test_the_example_in_the_documents_sees_what_the_rule_in_python_sees(site: Site):
    site.arrive(*FOUR)
    site.compactor().run(ONE_TABLE)
    site.arrive(LATE, Small(20, day=date(2026, 11, 24)))

    assert site.rows_as_documented() == site.expected(Operation.CHANGED)
    site.expect_every_row_once()


def test_types_stay_and_a_row_s_origin_moves_from_the_name_into_columns(site: Site, tmp_path: Path):
    site.arrive(FOUR[1])
    site.compactor().run(ONE_TABLE)

    (key,) = site.keys(COMPACTED)
    (tmp_path / "small").write_bytes(FOUR[1].body)
    (tmp_path / "large").write_bytes(site.s3.body(BUCKET, key) or b"")
    with duckdb.connect() as duck:
        small, large = (
            duck.execute(f"DESCRIBE SELECT * FROM read_parquet('{tmp_path / name}')").fetchall()
            for name in ("small", "large")
        )
        origin = duck.execute(
            f"SELECT _batch, _generation, _revision, _contract, _as_of FROM read_parquet('{tmp_path / 'large'}')"
        ).fetchall()
    assert large[: len(small)] == small
    assert [column[:2] for column in large[len(small) :]] == [
        ("_batch", "VARCHAR"), ("_generation", "INTEGER"), ("_revision", "BIGINT"), ("_contract", "INTEGER"),
        ("_as_of", "TIMESTAMP"),
    ]  # fmt: skip
    assert origin == [("transaction/g2.r2.v1.p7/abababababababab", 2, 2, 1, FOUR[1].as_of.replace(tzinfo=None))]


def test_a_day_is_left_alone_until_it_has_been_over_for_an_hour(site: Site):
    site.arrive(*FOUR)
    midnight = NEXT_NOON - timedelta(hours=12)

    site.now = midnight + timedelta(minutes=59)
    early = site.compactor().run(Task(tables=(TABLE,), day=DAY))
    site.now = midnight + timedelta(hours=1)

    assert early.days == ()
    assert len(site.compactor().run(ONE_TABLE).days) == 1


def test_a_second_run_finds_nothing_to_do_and_writes_nothing(site: Site):
    site.arrive(*FOUR)
    site.compactor().run(ONE_TABLE)
    before = site.s3.keys(BUCKET)

    again = site.compactor().run(ONE_TABLE)

    assert again.days == ()
    assert site.s3.keys(BUCKET) == before


def test_a_late_file_is_read_as_it_is_until_the_next_run_adds_a_file_for_it(site: Site):
    site.arrive(*FOUR)
    site.compactor().run(ONE_TABLE)
    site.arrive(LATE)
    meanwhile = site.files()
    site.expect_every_row_once()

    site.compactor().run(ONE_TABLE)

    assert LATE.key in meanwhile
    assert LATE.key not in site.files()
    assert len(site.keys(COMPACTED)) == len(site.keys(MANIFEST)) == 3
    site.expect_every_row_once()
    site.expect_nothing_overwritten()


def test_a_file_too_late_for_the_schedule_is_compacted_by_hand(site: Site):
    site.arrive(*FOUR)
    site.compactor().run(ONE_TABLE)
    site.now = NEXT_NOON + timedelta(days=30)
    site.arrive(LATE)

    scheduled = site.compactor().run(ONE_TABLE)
    by_hand = site.compactor().run(Task(tables=(TABLE,), whole=True))

    assert scheduled.days == ()
    assert [day.small_files for day in by_hand.days] == [1]
    site.expect_every_row_once()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(site: Site, groups_of_two: None):
    site.arrive(*FOUR)
    before = site.s3.keys(BUCKET)

    (day,) = site.compactor().run(Task(tables=(TABLE,), dry_run=True)).days

    assert (day.small_files, day.compacted_files) == (4, 3)
    assert day.bytes_before == sum(len(file.body) for file in FOUR)
    assert site.s3.keys(BUCKET) == before


def test_a_run_whose_time_is_up_keeps_what_it_has_done_and_the_next_goes_on(site: Site, groups_of_two: None):
    site.arrive(*FOUR)

    first = site.compactor(budget_seconds=1.5).run(ONE_TABLE)
    done = len(site.keys(MANIFEST))
    second = site.compactor().run(ONE_TABLE)

    assert (first.broken_off, done) == (True, 1)
    assert (second.broken_off, len(site.keys(MANIFEST))) == (False, 3)
    site.expect_every_row_once()


def test_a_damaged_file_stays_what_is_to_be_read_and_stops_nothing(site: Site):
    site.arrive(*FOUR)
    damaged = Small(5)
    site.s3.put_object(Bucket=BUCKET, Key=damaged.key, Body=damaged.body[:-9])

    first = site.compactor().run(ONE_TABLE)
    second = site.compactor().run(ONE_TABLE)

    assert (first.days[0].small_files, first.days[0].unreadable) == (4, 1)
    assert second.days == ()
    assert damaged.key in site.files()


def test_a_day_of_damaged_files_alone_is_looked_through_once(site: Site):
    damaged = Small(5)
    site.s3.put_object(Bucket=BUCKET, Key=damaged.key, Body=b"")

    assert [site.compactor().run(ONE_TABLE).days != () for _ in range(2)] == [True, False]
    assert site.keys(COMPACTED) == []


def test_a_manifest_that_is_none_is_told_and_not_passed_over(site: Site):
    site.arrive(*FOUR)
    site.s3.put_object(Bucket=BUCKET, Key=f"{MANIFEST}/{TABLE}/date={DAY}/0000000001.json", Body=b'{"files": 1}')

    with pytest.raises(CorruptObject, match="Expected a manifest"):
        site.compactor().run(ONE_TABLE)


def test_keys_of_another_shape_are_nobody_s(site: Site):
    site.arrive(*FOUR)
    for key in (f"{TABLE}/date=soon/x.parquet", f"{TABLE}/date={DAY}/x.parquet", f"{TABLE}/notes"):
        site.s3.put_object(Bucket=BUCKET, Key=key, Body=b"")

    site.compactor().run(ONE_TABLE)

    site.expect_every_row_once()


def test_every_table_with_a_feed_is_compacted():
    assert set(Task().tables) == set(TABLES) == {name for name in TABLES if name != "dim_date"}
    assert len(TABLES) == 10


WAYS = [(mode, after) for mode in Mode for after in (False, True)]
EVERY = 1 if os.environ.get("TOTES_ATTACK") == "full" else len(WAYS)
"""Each call fails in all ways, or, to be quick, in one of them in turn."""


@pytest.mark.no_cover
@pytest.mark.parametrize("way", range(len(WAYS)), ids=["killed before", "killed after", "lost before", "lost after"])
def test_whichever_call_fails_every_row_is_there_once_and_the_next_run_finishes(
    tmp_path: Path, groups_of_two: None, way: int
):
    call, struck = 1 + way - EVERY, True
    while struck:
        call += EVERY
        site, gate = Site(tmp_path / f"{call}"), Gate()
        site.arrive(*FOUR, LATE)
        gate.arm(Fault(call, *WAYS[way]))

        try:
            site.compactor(gate).run(ONE_TABLE)
        except (Killed, Unavailable):
            site.expect_every_row_once()
        struck = gate.struck
        site.compactor().run(ONE_TABLE)

        site.expect_every_row_once()
        site.expect_nothing_overwritten()
        assert all(COMPACTED in key for key in site.files())
        assert sorted(site.keys(COMPACTED)) == sorted(site.files()), "a run that died and the next made different files"
    assert call > 20


def test_files_that_came_between_a_death_and_the_next_run_leave_one_file_that_nobody_reads(site: Site):
    site.arrive(*FOUR[:2])
    gate = Gate()

    def die_at_the_manifest() -> None:
        gate.dead = site.keys(COMPACTED) != []

    gate.wait_for_turn = die_at_the_manifest
    with pytest.raises(Killed):
        site.compactor(gate).run(ONE_TABLE)
    site.arrive(LATE)

    site.compactor().run(ONE_TABLE)

    assert (len(site.keys(COMPACTED)), len(site.files())) == (2, 1)
    site.expect_every_row_once()


OPERATIONS = st.sampled_from(Operation)
FILES = st.lists(
    st.builds(Small, st.integers(1, 40), OPERATIONS, st.integers(0, 3), st.integers(0, 50)),
    min_size=1,
    max_size=9,
    unique_by=lambda file: file.revision,
)
FIRST, SECOND, ARRIVAL, LOOK = range(4)


@pytest.mark.no_cover
@settings(max_examples=60, deadline=None)
@given(files=FILES, at_first=st.integers(0, 9), choices=st.lists(st.sampled_from([0, 0, 1, 1, 2, 3]), max_size=90))
def test_two_compactors_at_once_and_files_that_come_meanwhile_never_hide_or_double_a_row(
    tmp_path_factory: pytest.TempPathFactory, files: list[Small], at_first: int, choices: list[int]
):
    site, waiting = Site(tmp_path_factory.mktemp("site")), files[at_first:]
    site.arrive(*files[:at_first])

    def between(choice: int) -> None:
        if choice == ARRIVAL and waiting:
            site.arrive(waiting.pop())
        elif choice == LOOK:
            site.expect_every_row_once()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "MAX_GROUP_FILES", 3)
        patch.setattr(parquet, "ROW_GROUP_ROWS", 2)
        actors = [Actor(gate, lambda gate=gate: site.compactor(gate).run(ONE_TABLE)) for gate in (Gate(), Gate())]
        interleave(actors, choices, blocked=lambda backend: False, between=between)
        site.arrive(*waiting)
        site.expect_every_row_once()
        site.compactor().run(ONE_TABLE)

    site.expect_every_row_once()
    site.expect_nothing_overwritten()
    assert all(key.startswith(COMPACTED) for key in site.files())


@pytest.mark.no_cover
@settings(max_examples=40, deadline=None)
@given(files=FILES, at_call=st.integers(1, 6), late=st.booleans())
def test_a_reader_that_a_compaction_overtakes_reads_every_row_of_its_beginning_once(
    tmp_path_factory: pytest.TempPathFactory, files: list[Small], at_call: int, late: bool
):
    site, gate = Site(tmp_path_factory.mktemp("site")), Gate()
    site.arrive(*files[1:], files[0])
    before = {operation: site.expected(operation) for operation in Operation}
    turns = iter(range(1, 100))

    def overtake() -> None:
        if next(turns) == at_call:
            site.compactor().run(ONE_TABLE)
            if late:
                site.arrive(Small(77))
                site.compactor().run(ONE_TABLE)

    gate.wait_for_turn = overtake
    keys = [file.key for file in site.processed(gate).files_of(TABLE, DAY, DAY)]

    for operation in Operation:
        found = site.rows(operation, keys)
        assert before[operation] <= found <= site.expected(operation)


@pytest.mark.no_cover
@settings(max_examples=30, deadline=None)
@given(rounds=st.lists(FILES, min_size=1, max_size=4), data=st.data())
def test_whatever_arrives_between_runs_and_wherever_one_dies_the_rows_are_there_once(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[Small]], data: st.DataObject
):
    site = Site(tmp_path_factory.mktemp("site"))
    known: set[int] = set()
    for files in rounds:
        site.arrive(*(file for file in files if file.revision not in known))
        known |= {file.revision for file in files}
        gate = Gate()
        gate.arm(Fault(data.draw(st.integers(1, 25)), data.draw(st.sampled_from(Mode)), data.draw(st.booleans())))
        with suppress(Killed, Unavailable):
            site.compactor(gate).run(ONE_TABLE)
        site.expect_every_row_once()
    site.expect_nothing_overwritten()


def test_manifests_count_on_and_the_newest_is_complete(site: Site, groups_of_two: None):
    site.arrive(*FOUR)
    site.compactor().run(ONE_TABLE)

    found = [Manifest.model_validate_json(site.s3.body(BUCKET, key) or b"") for key in site.keys(MANIFEST)]

    assert [one.sequence for one in found] == [1, 2, 3]
    assert [one.key for one in found] == site.keys(MANIFEST)
    assert Counter(found[-1].covers) == Counter(file.key for file in FOUR)
    assert [file.key.split("-")[-2] for file in found[-1].files] == ["0000000001", "0000000002", "0000000003"]
    assert {file.key for file in found[-1].files} == set(site.keys(COMPACTED))
