"""The plan against a naive oracle, and what it may not do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reconciler.plan import Comparison, Drift, Kind, Newest, Totals, repairable
from shared.deletions import too_many

KEYS = st.integers(1, 6)
HASHES = st.integers(0, 2)
NEWEST = st.builds(Newest, st.integers(0, 2), st.integers(0, 3), HASHES, st.booleans())


@settings(max_examples=300)
@given(st.dictionaries(KEYS, HASHES), st.lists(st.tuples(KEYS, NEWEST), unique_by=lambda one: one[0]))
def test_the_differences_are_those_a_person_would_name_whatever_order_they_are_met_in(source, held):
    comparison = Comparison(dict(source), 1, 2)
    for key, newest in held:
        comparison.meet(key, newest)

    expected = []
    for key in range(1, 7):
        newest = dict(held).get(key)
        if newest is not None and (newest.generation > 1 or (newest.generation == 1 and newest.revision > 2)):
            continue
        shown = newest.row_hash if newest is not None and newest.live else None
        wanted = source.get(key)
        if wanted != shown:
            kind = Kind.MISSING if shown is None else Kind.EXTRA if wanted is None else Kind.STALE
            expected.append(Drift(kind, key, wanted, newest))
    assert list(comparison.drifts()) == expected
    assert comparison.live == sum(newest.live for _, newest in held)


@pytest.mark.parametrize(
    ("extra", "live", "stopped"), [(19, 19, False), (20, 99, True), (20, 100, False), (21, 100, True), (0, 0, False)]
)
def test_deletions_of_more_than_a_fifth_of_a_feed_are_held_back_unless_they_are_few(extra, live, stopped):
    assert too_many(extra, live) is stopped


def test_held_back_deletions_hold_back_no_other_repair():
    held = Newest(1, 1, 5, live=True)
    gone = [Drift(Kind.EXTRA, key, None, held) for key in range(30)]
    stale = Drift(Kind.STALE, 99, 6, held)

    fresh, totals = repairable([*gone, stale], {}, live=40)

    assert fresh == (stale,)
    assert totals == Totals(held_back=30)


def test_only_the_very_same_difference_again_is_not_repaired_again():
    last = Drift(Kind.STALE, 1, 6, Newest(1, 1, 5, live=True))
    moved = Drift(Kind.STALE, 1, 6, Newest(1, 2, 5, live=True))

    assert repairable([last], {1: last}, live=9) == ((), Totals(repeated=1))
    assert repairable([moved], {1: last}, live=9) == ((moved,), Totals())
