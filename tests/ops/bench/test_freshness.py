"""Every change of the journal counts, and a rate holds only as long as all before it did."""

import os
import re
from itertools import count
from math import ceil, inf
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ops.bench.delays import Change, Delays, Sight, delays
from services.ops.bench.figures import Task
from services.ops.bench.freshness import Faults, Step, figures, freshness, growth, sustained
from services.ops.bench.processes import Load
from services.ops.bench.writers import NEW_SHARE, REFERRED, TABLES, Crew, Writer, pool_rows

CLEAN = Faults(0, 0)
IDLE = Load({"poller": 0.25, "loader": 0.5}, {"changes": 3})


class Recorded:
    """A session that takes every statement, and an end that comes after so many changes without letting time pass."""

    def __init__(self, changes: int) -> None:
        self.journal: list[Change] = []
        self._changes = changes

    def __enter__(self) -> "Recorded":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def prepare(self, _statement: str) -> "Recorded":
        return self

    def run(self, **_: object) -> None:
        return

    def is_set(self) -> bool:
        return len(self.journal) >= self._changes

    def wait(self, _seconds: float) -> bool:
        return False

    def record(self, writer: Writer) -> list[Change]:
        writer.write(self, self.journal, self)  # type: ignore[arg-type]
        return self.journal


def step(rate: float, seconds: tuple[float, ...], missing: tuple[Change, ...] = (), growth: float = 0.0) -> Step:
    return Step(rate, rate, Delays(seconds, missing), growth, IDLE)


def test_a_change_is_as_late_as_the_first_sight_of_its_number() -> None:
    journal = [Change("payment", 1, 5, committed_at=10.0)]
    sights = [Sight("payment", 1, 5, 11.5), Sight("payment", 1, 5, 10.5), Sight("payment", 1, 4, 10.1)]

    assert delays(journal, sights) == Delays((0.5,), ())


def test_a_change_that_a_later_one_overtook_is_visible_with_the_later_one() -> None:
    journal = [Change("payment", 1, 5, 10.0), Change("payment", 1, 6, 10.25)]

    assert delays(journal, [Sight("payment", 1, 6, 11.0)]) == Delays((0.75, 1.0), ())


def test_a_change_that_nobody_saw_is_missing_and_other_rows_prove_nothing() -> None:
    unseen = Change("payment", 1, 5, 10.0)
    sights = [Sight("payment", 1, 4, 11.0), Sight("payment", 2, 5, 11.0), Sight("staff", 1, 5, 11.0)]

    assert delays([unseen], sights) == Delays((), (unseen,))


@given(
    changes=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3)), max_size=30),
    looks=st.lists(st.integers(0, 40), max_size=10),
    draw=st.randoms(use_true_random=False),
)
def test_every_change_is_as_late_as_the_first_look_after_it_in_whatever_order_sights_are_told(
    changes: list[tuple[str, int]], looks: list[int], draw: Random
) -> None:
    journal = [Change(table, key, at, float(at)) for at, (table, key) in enumerate(changes)]
    sights = [
        Sight(row[0], row[1], max(at for at, other in enumerate(changes[:look]) if other == row), float(look))
        for look in looks
        for row in set(changes[:look])
    ]
    draw.shuffle(sights)

    found = delays(journal, sights)

    arrived = [min((look for look in looks if look > change.number), default=None) for change in journal]
    expected = [look - change.number for look, change in zip(arrived, journal, strict=True) if look is not None]
    assert found.seconds == tuple(sorted(expected))
    assert found.missing == tuple(one for look, one in zip(arrived, journal, strict=True) if look is None)


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_so_large_a_share_of_the_changes_kept_to_a_percentile_and_no_smaller_delay_would_do(
    seconds: list[float], share: float
) -> None:
    value = Delays(tuple(sorted(seconds)), ()).percentile(share)

    needed = ceil(share * len(seconds))
    assert sum(one <= value for one in seconds) >= needed > sum(one < value for one in seconds)


def test_missing_changes_are_later_than_all_others() -> None:
    lost = Change("payment", 1, 5, 10.0)

    found = Delays((1.0, 2.0, 3.0), (lost,))

    assert [found.percentile(share) for share in (0.25, 0.75, 0.76, 1.0)] == [1.0, 3.0, inf, inf]
    assert Delays((), ()).percentile(0.99) == inf


def test_a_figure_is_met_only_if_nothing_was_parked_quarantined_or_missing() -> None:
    fast, lost = (0.1,) * 199, Change("payment", 1, 5, 10.0)

    def met(of: Step, faults: Faults) -> list[bool | None]:
        return [figure.met for figure in figures(of, faults)]

    assert met(step(100, fast), CLEAN) == [True, None, True, None]
    assert met(step(100, (0.5, 0.6)), CLEAN) == [False, None, True, None]
    assert met(step(100, (0.1, 1.2)), CLEAN) == [True, None, False, None]
    assert met(step(100, fast, (lost,)), CLEAN) == [False, None, False, None]
    assert met(step(100, fast), Faults(1, 0)) == met(step(100, fast), Faults(0, 1)) == [False, None, False, None]


def test_the_figures_tell_how_many_changes_were_counted_and_what_the_stages_did() -> None:
    [p50, *_] = figures(step(100, (0.1, 0.2), (Change("payment", 1, 5, 10.0),)), Faults(2, 3))

    assert p50.value == 200
    assert "3 changes at 100/s, 1 missing, 2 messages parked, 3 rows quarantined" in p50.note
    assert "0.75 cores of" in p50.note
    assert "(loader 0.50, poller 0.25), messages at most: changes 3" in p50.note


def test_a_rate_is_sustained_only_if_every_lower_one_was() -> None:
    steps = [step(250, (1.0,)), step(500, (5.0,)), step(1000, (5.1,)), step(2000, (1.0,))]

    assert sustained(steps, CLEAN).value == 500
    assert sustained(steps[2:], CLEAN).value == 0
    assert "1000/s: p99 5.1 s" in sustained(steps, CLEAN).note
    assert sustained(steps, CLEAN).note.startswith("then the source's rows wait for the poller; 250/s")
    assert sustained(steps[:2], CLEAN).note.startswith("more was not tried; 250/s")


def test_where_the_source_takes_no_more_changes_a_higher_rate_is_not_tried() -> None:
    enough, short = (Step(1000, made, Delays((1.0,), ()), 0.0, IDLE) for made in (900.0, 899.0))

    assert (enough.last, short.last, step(1000, (9.0,)).last) == (False, True, True)
    assert sustained([enough, short], CLEAN).value == 899
    assert sustained([enough, short], CLEAN).note.startswith("then the source takes no more; ")


def test_a_rate_at_which_delays_grow_is_not_sustained_however_short_they_still_are() -> None:
    assert step(500, (1.0,), growth=1.0).holds
    assert not step(500, (1.0,), growth=1.1).holds


def test_delays_grow_by_what_the_last_third_waits_longer_than_the_first() -> None:
    journal = [Change("payment", key, key, float(key)) for key in range(1, 10)]
    delay = {key: 9.0 if 3 < key < 7 else key / 10 for key in range(1, 10)}
    sights = [Sight("payment", key, key, key + delay[key]) for key in range(1, 10)]

    assert growth(journal[::-1], sights) == pytest.approx(0.8 - 0.2)
    assert growth(journal, sights[:6]) == growth(journal, []) == growth([], sights) == inf


def test_the_consumer_of_the_longer_queue_is_late_or_else_the_poller() -> None:
    many = os.cpu_count() or 1

    assert Load({"loader": 0.1}, {"changes": 11, "loads": 40}).bottleneck == "messages wait on loads"
    assert Load({"loader": 0.1}, {"changes": 10, "loads": 3}).bottleneck == "the source's rows wait for the poller"
    assert Load({"loader": many / 2, "warehouse": many / 2.1}, {"changes": 11}).bottleneck == (
        "messages wait on changes, and all processors are busy, the loader most of all"
    )


@given(rate=st.floats(1, 5000), writers=st.integers(1, 4), seed=st.integers(0, 9))
def test_writers_share_no_row_and_come_back_to_one_only_after_all_others(rate: float, writers: int, seed: int) -> None:
    rows = {table.name: pool_rows(table, rate) for table in TABLES}
    numbers = count(1)
    crew = [Writer(number, writers, rate=rate, rows=rows, numbers=numbers, seed=seed) for number in range(writers)]

    journals = [Recorded(300).record(writer) for writer in crew]

    keys = [{(change.table, change.key) for change in journal} for journal in journals]
    assert sum(map(len, keys)) == len(set[tuple[str, int]]().union(*keys))
    assert all(key > REFERRED for found in keys for _, key in found)
    for journal in journals:
        for table, known in rows.items():
            places = [change.key for change in journal if change.table == table]
            within = known // writers
            assert all(len(set(places[at : at + within])) == len(places[at : at + within]) for at in range(len(places)))


def test_numbers_grow_within_a_row() -> None:
    rows = {table.name: 8 for table in TABLES}

    journal = Recorded(500).record(Writer(0, 1, rate=100, rows=rows, numbers=count(1), seed=1))

    newest: dict[tuple[str, int], int] = {}
    for change in journal:
        assert change.number > newest.get((change.table, change.key), 0)
        newest[change.table, change.key] = change.number
    assert len(newest) < len(journal)


def test_some_changes_insert_and_most_update() -> None:
    rows = {table.name: 100 for table in TABLES}

    journal = Recorded(2000).record(Writer(0, 1, rate=100, rows=rows, numbers=count(1), seed=3))

    new = len({(one.table, one.key) for one in journal if one.key > REFERRED + 100})
    assert abs(new / len(journal) - NEW_SHARE) < 0.05


def test_the_first_writer_that_fails_ends_the_load_and_is_heard() -> None:
    class Broken(Writer):
        def write(self, *_: object) -> None:
            raise OSError("gone")

    rows = {table.name: 10 for table in TABLES}
    broken = Broken(0, 1, rate=1, rows=rows, numbers=count(1), seed=1)
    crew = Crew(lambda: Recorded(1))  # type: ignore[arg-type, return-value]

    with pytest.raises(OSError, match="gone"):
        crew.work([broken], 3600)


@pytest.mark.slow
def test_on_the_embedded_stack_every_change_is_seen_and_nothing_is_parked(tmp_path: Path) -> None:
    task = Task(runs=1, orders=1, full=False, folder=tmp_path, say=lambda _: None)

    [p50, _, _, slowest] = freshness(task, 3.0, warm_seconds=1.0)

    assert 0 < p50.value <= slowest.value < inf
    assert "0 missing, 0 messages parked, 0 rows quarantined" in p50.note
    assert re.search("poller .*loader|loader .*poller", p50.note)
