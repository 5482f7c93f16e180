"""Find the key ranges in which two sides differ, without moving their rows. Pure: the sides are arguments.

Both sides are asked for a count and a combined hash of a range's rows, part by part; a part that agrees costs no more
than its place in that one aggregate, a part that differs is divided again until it is small enough to be read.
Invariant: every key in which the two sides differ lies in one of the ranges given.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

PARTS = 64
"""Of a range at most, in one aggregate: two levels from 100,000 rows down to what is read."""
READ_ROWS = 256
"""A part of so few keys or rows is read instead of divided: about 8 KB."""
CROWDED = PARTS // 4
"""Where more parts differ than this, reading the whole range is cheaper than dividing each of them."""


@dataclass(frozen=True)
class Span:
    """The keys above `low`, up to and with `high`."""

    low: int
    high: int

    def part(self, number: int, width: int) -> "Span":
        """One of the parts, each of so many keys, counted from 0."""
        low = self.low + number * width
        return Span(low, min(low + width, self.high))


@dataclass(frozen=True)
class Bounds:
    """The first rows behind a key: how many, the least and the greatest of their keys."""

    rows: int
    first: int
    last: int


@dataclass(frozen=True)
class Checksum:
    """Rows of a range, and the sum of their row hashes: an order of rows does not matter to it."""

    rows: int
    total: int


NOTHING = Checksum(0, 0)


class Side(Protocol):
    """One of the two that are compared."""

    def bounds(self, after: int, rows: int) -> Bounds | None:
        """Of the first so many rows with a key above `after`; None where there is none."""

    def checksums(self, span: Span, width: int) -> Mapping[int, Checksum]:
        """Of each part of so many keys that has any row, by its number."""


def next_span(after: int, sides: Iterable[Side], rows: int) -> tuple[Span | None, bool]:
    """The next range behind `after` in which no side has many more than so many rows; whether it is the last one."""
    found = [bounds for side in sides if (bounds := side.bounds(after, rows)) is not None]
    if not found:
        return None, True
    cut = [bounds.last for bounds in found if bounds.rows == rows]
    high = min(cut) if cut else max(bounds.last for bounds in found)
    return Span(min(bounds.first for bounds in found) - 1, high), not cut


@dataclass
class Tally:
    """What the first aggregate of a range says of it: rows on either side."""

    ours: int = 0
    theirs: int = 0


def differing(span: Span, ours: Side, theirs: Side, tally: Tally) -> list[Span]:
    """The smallest ranges worth reading, in order, neighbours joined; `tally` is told how many rows there are."""
    found: list[Span] = []
    for part in _differing(span, ours, theirs, tally):
        if found and found[-1].high == part.low:
            found[-1] = Span(found[-1].low, part.high)
        else:
            found.append(part)
    return found


def _differing(span: Span, ours: Side, theirs: Side, tally: Tally | None = None) -> Iterator[Span]:
    width = max(-(-(span.high - span.low) // PARTS), READ_ROWS)
    mine, yours = ours.checksums(span, width), theirs.checksums(span, width)
    if tally is not None:
        tally.ours += sum(one.rows for one in mine.values())
        tally.theirs += sum(one.rows for one in yours.values())
    unequal = [number for number in sorted(mine.keys() | yours.keys()) if mine.get(number) != yours.get(number)]
    if len(unequal) > CROWDED:
        yield span
        return
    for number in unequal:
        rows = max(mine.get(number, NOTHING).rows, yours.get(number, NOTHING).rows)
        part = span.part(number, width)
        if rows <= READ_ROWS or width == READ_ROWS:
            yield part
        else:
            yield from _differing(part, ours, theirs)
