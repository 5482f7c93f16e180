"""Source and warehouse as the two sides of a comparison, and what asking them costs.

Invariant: both give the same answers for the same rows, so that what differs is the rows. Nothing is written.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from contracts.feeds import Feed
from contracts.messages import Position
from contracts.star import Kind, StarRow
from services.reconciler.plan import Comparison, Totals
from services.reconciler.ranges import Bounds, Checksum, Span
from services.reconciler.warehouse import (
    Damaged,
    Warehouse,
    bounds_sql,
    checksums_sql,
    damaged_sql,
    inferred_sql,
    newest_sql,
    observation,
)
from shared.totesys.session import Source


@dataclass
class Meter:
    """What a comparison costs: key ranges asked for, bytes moved from both sides, seconds spent on the source."""

    now: Callable[[], float]
    """A monotonic clock in seconds."""
    ranges: int = 0
    bytes: int = 0
    source_seconds: float = 0.0

    @contextmanager
    def source(self) -> Iterator[None]:
        """Count the time of a question to the source."""
        started = self.now()
        try:
            yield
        finally:
            self.source_seconds += self.now() - started

    def totals(self) -> Totals:
        """The same among a feed's totals."""
        return Totals(ranges=self.ranges, bytes=self.bytes, source_ms=round(self.source_seconds * 1000))


class _Lines:
    """COPY's sink: numbers, a line each."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.numbers: list[tuple[int, ...]] = []

    def writelines(self, lines: Sequence[bytes], /) -> None:
        self._meter.bytes += sum(map(len, lines))
        self.numbers += [tuple(map(int, line.split(b"\t"))) for line in lines]

    def bounds(self) -> Bounds | None:
        return Bounds(*self.numbers[0]) if self.numbers else None

    def checksums(self) -> dict[int, Checksum]:
        return {part: Checksum(rows, total) for part, rows, total in self.numbers}


@dataclass(frozen=True)
class SourceSide:
    """A feed's rows in the open snapshot."""

    source: Source
    feed: Feed
    meter: Meter

    def bounds(self, after: int, rows: int) -> Bounds | None:
        """See Side."""
        found = _Lines(self.meter)
        with self.meter.source():
            self.source.copy_bounds(self.feed, after, rows, found)
        return found.bounds()

    def checksums(self, span: Span, width: int) -> Mapping[int, Checksum]:
        """See Side."""
        found = _Lines(self.meter)
        self.meter.ranges += 1
        with self.meter.source():
            self.source.copy_checksums(self.feed, span.low, span.high, width, found)
        return found.checksums()

    def hashes(self, span: Span) -> dict[int, int]:
        """Row hashes of the range by key."""
        found = _Lines(self.meter)
        with self.meter.source():
            self.source.copy_hashes(self.feed, span.low, span.high, found)
        return {numbers[0]: numbers[1] for numbers in found.numbers}


@dataclass(frozen=True)
class WarehouseSide:
    """What the warehouse shows of a feed: its live rows, each by its newest observation."""

    warehouse: Warehouse
    star: type[StarRow]
    meter: Meter

    def bounds(self, after: int, rows: int) -> Bounds | None:
        """See Side; a fact's deleted keys and a dimension's inferred members count."""
        found = _Lines(self.meter)
        self.warehouse.copy(bounds_sql(self.star), found, after=str(after), limit=str(rows))
        return found.bounds()

    def checksums(self, span: Span, width: int) -> Mapping[int, Checksum]:
        """See Side."""
        found = _Lines(self.meter)
        self.warehouse.copy(checksums_sql(self.star), found, **_range(span), width=str(width))
        return found.checksums()

    def meet(self, span: Span, comparison: Comparison) -> None:
        """Show the comparison the newest observation of every key of the range."""
        self.warehouse.copy(newest_sql(self.star), _Meeting(comparison, self.meter), **_range(span))

    def inferred(self, span: Span, seconds: float) -> set[int]:
        """Keys of a dimension's members inferred so long ago; a fact has none."""
        if self.star.kind() is Kind.FACT:
            return set()
        found = _Lines(self.meter)
        self.warehouse.copy(inferred_sql(self.star), found, **_range(span), seconds=str(seconds))
        return {key for (key,) in found.numbers}

    def damaged(self, span: Span) -> list[Damaged]:
        """Star rows of the range that are not as they were loaded."""
        found = _Lines(self.meter)
        self.warehouse.copy(damaged_sql(self.star), found, **_range(span))
        return [
            Damaged(key, Position(generation=generation, revision=revision, contract=contract))
            for key, generation, revision, contract in found.numbers
        ]


class _Meeting:
    """COPY's sink: each observation goes to the comparison."""

    def __init__(self, comparison: Comparison, meter: Meter) -> None:
        self._comparison = comparison
        self._meter = meter

    def writelines(self, lines: Sequence[bytes], /) -> None:
        self._meter.bytes += sum(map(len, lines))
        for line in lines:
            self._comparison.meet(*observation(line))


def _range(span: Span) -> dict[str, str]:
    return {"low": str(span.low), "high": str(span.high)}
