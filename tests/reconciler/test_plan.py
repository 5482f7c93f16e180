"""The plan against a naive oracle, and what it may not do."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.reconciler.plan import (
    Comparison,
    Decision,
    Kind,
    Newest,
    Pending,
    Totals,
    counted,
    decide,
    look_again,
    repairs,
)

KEYS = st.integers(1, 6)
HASHES = st.integers(0, 2)
NEWEST = st.builds(Newest, st.integers(0, 2), st.integers(0, 3), HASHES, st.booleans())
AT = (1, 2)
HELD = Newest(1, 1, 5, live=True)
STALE = Decision(Kind.STALE, 1, 6, HELD, AT)


def naive(row_hash: int | None, held: Newest | None) -> Kind | None:
    """What a person would say of one key."""
    shown = held.row_hash if held is not None and held.live else None
    if row_hash == shown:
        return None
    if shown is None:
        return Kind.MISSING
    return Kind.EXTRA if row_hash is None else Kind.STALE


@settings(max_examples=300)
@given(st.dictionaries(KEYS, HASHES), st.lists(st.tuples(KEYS, NEWEST), unique_by=lambda one: one[0]))
def test_the_differences_are_those_a_person_would_name_whatever_order_they_are_met_in(source, held):
    comparison = Comparison(dict(source), AT)
    for key, newest in held:
        comparison.meet(key, newest)

    expected = []
    for key in range(1, 7):
        newest = dict(held).get(key)
        if newest is not None and (newest.generation, newest.revision) > AT:
            continue
        kind = naive(source.get(key), newest)
        if kind is not None:
            expected.append(Decision(kind, key, source.get(key), newest, AT))
    assert list(comparison.differences()) == expected


@settings(max_examples=300)
@given(
    first=st.dictionaries(KEYS, st.tuples(st.none() | HASHES, st.none() | NEWEST)), later=st.dictionaries(KEYS, NEWEST)
)
def test_what_agrees_at_the_second_look_or_was_overtaken_was_in_flight(first, later):
    decisions = [Decision(Kind.STALE, key, row_hash, held, AT) for key, (row_hash, held) in first.items()]

    for one, again in zip(decisions, look_again(decisions, later), strict=True):
        held = later.get(one.key)
        arrived = naive(one.row_hash, held) is None
        overtaken = held is not None and (held.generation, held.revision) > AT
        expected = Kind.IN_FLIGHT if (arrived or overtaken) and held is not None else naive(one.row_hash, held)
        assert again.kind is (expected or Kind.MISSING)


def test_what_a_poller_captured_is_left_to_arrive_and_so_is_all_where_nobody_can_tell():
    captured = decide([STALE], pending=Pending(captured={1}), sent={})
    all_of_it = decide([STALE], pending=Pending(all=True), sent={})

    assert [one.kind for one in (*captured, *all_of_it)] == [Kind.IN_FLIGHT, Kind.IN_FLIGHT]


def test_a_repair_that_was_archived_counts_only_if_somebody_remembers_to_have_sent_it():
    pending, sent = Pending(repairs={1}), {1: STALE.likeness}

    assert decide([STALE], pending=pending, sent={})[0].kind is Kind.STALE
    assert decide([STALE], pending=pending, sent=sent)[0].kind is Kind.IN_FLIGHT
    assert decide([STALE], pending=Pending(), sent=sent)[0].kind is Kind.QUARANTINED


def test_only_the_very_same_difference_again_was_refused():
    sent = {1: STALE.likeness}
    moved = replace(STALE, held=Newest(1, 2, 5, live=True))
    changed = replace(STALE, row_hash=7)

    assert [one.kind for one in decide([moved, changed], pending=Pending(), sent=sent)] == [Kind.STALE, Kind.STALE]


def test_held_back_deletions_hold_back_no_other_repair_until_somebody_allows_them():
    gone = [Decision(Kind.EXTRA, key, None, HELD, AT) for key in range(30)]
    stale = replace(STALE, key=99)

    assert repairs([*gone, stale], live=40, deleted=0, allowed=False) == ((stale,), 30)
    assert repairs([*gone, stale], live=40, deleted=0, allowed=True) == ((*gone, stale), 0)


def test_deletions_of_one_pass_are_counted_together():
    gone = [Decision(Kind.EXTRA, key, None, HELD, AT) for key in range(15)]

    assert repairs(gone, live=100, deleted=5, allowed=False) == (tuple(gone), 0)
    assert repairs(gone, live=100, deleted=6, allowed=False) == ((), 15)


def test_what_is_in_flight_quarantined_or_inferred_is_never_repaired():
    left = [replace(STALE, kind=kind) for kind in (Kind.IN_FLIGHT, Kind.QUARANTINED, Kind.INFERRED)]

    assert repairs(left, live=9, deleted=0, allowed=True) == ((), 0)
    assert counted(left) == {kind.value: int(kind in {one.kind for one in left}) for kind in Kind}
    assert Totals(**counted(left)).drift == 0
