"""Wherever two sides differ, a range is read; and what agrees is not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reconciler.ranges import Bounds, Checksum, Span, Tally, differing, next_span
from shared.checkpoint import LEAST_KEY

KEYS = st.one_of(st.integers(-5, 600), st.integers(-(2**31), 2**31 - 1))
ROWS = st.dictionaries(KEYS, st.integers(0, 3), max_size=40)


@dataclass
class Rows:
    """A side that is a dictionary of row hashes."""

    hashes: dict[int, int]
    asked: list[Span] = field(default_factory=list)

    def bounds(self, after: int, rows: int) -> Bounds | None:
        ahead = sorted(key for key in self.hashes if key > after)[:rows]
        return Bounds(len(ahead), ahead[0], ahead[-1]) if ahead else None

    def checksums(self, span: Span, width: int) -> Mapping[int, Checksum]:
        self.asked.append(span)
        found: dict[int, Checksum] = {}
        for key, row_hash in self.hashes.items():
            if span.low < key <= span.high:
                number = (key - span.low - 1) // width
                so_far = found.get(number, Checksum(0, 0))
                found[number] = Checksum(so_far.rows + 1, so_far.total + row_hash)
        return found


def spans(ours: Rows, theirs: Rows, rows: int) -> list[Span]:
    """Every range of a pass."""
    found, after, last = [], LEAST_KEY, False
    while not last:
        span, last = next_span(after, (ours, theirs), rows)
        if span is not None:
            found.append(span)
            after = span.high
    return found


@settings(max_examples=300)
@given(mine=ROWS, changes=st.dictionaries(KEYS, st.integers(10, 13), max_size=5), rows=st.integers(1, 50))
def test_every_key_that_differs_is_read_and_each_range_once(mine, changes, rows):
    yours = mine | changes
    for key in list(mine)[:2]:
        yours.pop(key)
    ours, theirs = Rows(mine), Rows(yours)
    tally = Tally()

    read = [part for span in spans(ours, theirs, rows) for part in differing(span, ours, theirs, tally)]

    different = {key for key in mine.keys() | yours.keys() if mine.get(key) != yours.get(key)}
    covered = {key for key in mine.keys() | yours.keys() if any(part.low < key <= part.high for part in read)}
    assert different <= covered
    assert all(one.high <= other.low for one, other in pairwise(read))
    assert tally == Tally(len(mine), len(yours))


@given(mine=ROWS, yours=ROWS, rows=st.integers(1, 20))
def test_a_pass_covers_every_key_and_no_range_holds_many_more_rows_than_asked_for(mine, yours, rows):
    found = spans(Rows(mine), Rows(yours), rows)

    assert all(any(span.low < key <= span.high for span in found) for key in mine.keys() | yours.keys())
    assert all(sum(span.low < key <= span.high for key in side) <= rows for side in (mine, yours) for span in found)


def test_where_all_agrees_each_range_costs_one_aggregate_on_either_side():
    same = dict.fromkeys(range(10_000), 7)
    ours, theirs = Rows(same), Rows(same)

    read = [part for span in spans(ours, theirs, 2_500) for part in differing(span, ours, theirs, Tally())]

    assert read == []
    assert len(ours.asked) == len(theirs.asked) == 4


def test_one_row_among_many_is_found_by_dividing_and_little_is_read():
    mine = dict.fromkeys(range(1, 100_001), 7)
    ours, theirs = Rows(mine), Rows(mine | {77_777: 8})

    [part] = differing(Span(0, 100_000), ours, theirs, Tally())

    assert part.low < 77_777 <= part.high
    assert part.high - part.low <= 256
    assert len(ours.asked) == 2


@pytest.mark.parametrize("share", [1, 3])
def test_where_most_differs_the_whole_range_is_read_at_once(share):
    mine = dict.fromkeys(range(1, 100_001), 7)
    ours, theirs = Rows(mine), Rows({key: 8 if key % share == 0 else 7 for key in mine})

    assert differing(Span(0, 100_000), ours, theirs, Tally()) == [Span(0, 100_000)]
    assert len(ours.asked) == 1
