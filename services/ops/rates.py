"""How fast rows move: differences of the totals that the last looks saw.

Invariant: a total that could not be read, or fell, gives no rate rather than a wrong one.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from services.ops.status import Status

WINDOW_SECONDS = 10.0
"""Long enough that polls twice a second make a steady figure, short enough to see a change."""


@dataclass(frozen=True)
class Rate:
    """Rows a second of one feed."""

    captured: float
    loaded: float


@dataclass(frozen=True)
class Sample:
    """Every feed's totals, captured and loaded, so many seconds after the start."""

    elapsed_seconds: float
    totals: Mapping[str, tuple[int, int]]


class Rates:
    """The looks of the last seconds."""

    def __init__(self) -> None:
        """None yet."""
        self._samples: deque[Sample] = deque()

    def add(self, status: Status, elapsed_seconds: float) -> Mapping[str, Rate]:
        """Take another look's totals; the rates over the window as they are now, of all feeds or of none."""
        if status.notes:
            self._samples.clear()
            return {}
        totals = {name: (feed.rows_captured, feed.rows_loaded) for name, feed in status.feeds.items()}
        self._samples.append(Sample(elapsed_seconds, totals))
        while self._samples[0].elapsed_seconds < elapsed_seconds - WINDOW_SECONDS:
            self._samples.popleft()
        return rates(self._samples[0], self._samples[-1])


def rates(first: Sample, last: Sample) -> dict[str, Rate]:
    """Rows a second between two looks; none where no time has passed, never below zero."""
    seconds = last.elapsed_seconds - first.elapsed_seconds
    if seconds <= 0:
        return {}
    return {
        name: Rate(*(max(0, now - before) / seconds for before, now in zip(first.totals[name], totals, strict=True)))
        for name, totals in last.totals.items()
        if name in first.totals
    }
