"""When each journalled change became visible, and what that comes to. Pure: no clock, no database.

Invariant: every journalled change is either given a delay or named as missing. Numbers grow with time within a key, so
a change that a later one of its row overtook is visible as soon as the later one is. A second sight of a row adds
nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf


@dataclass(frozen=True)
class Change:
    """A committed change: the row it is of, its number, and the seconds (since 1970) just after its commit returned."""

    table: str
    key: int
    number: int
    committed_at: float


@dataclass(frozen=True)
class Sight:
    """A row of the warehouse as somebody saw it, and the seconds (since 1970) just after he had."""

    table: str
    key: int
    number: int
    seen_at: float


@dataclass(frozen=True)
class Delays:
    """Of each change that was seen its delay in seconds, in ascending order; the others are missing."""

    seconds: tuple[float, ...]
    missing: tuple[Change, ...]

    def percentile(self, share: float) -> float:
        """The least delay that so large a share of all changes kept to; infinite where too many of them are missing."""
        place = ceil(share * (len(self.seconds) + len(self.missing)))
        return self.seconds[max(place, 1) - 1] if 0 < place <= len(self.seconds) else inf


def delays(journal: Iterable[Change], sights: Iterable[Sight]) -> Delays:
    """Match what was committed with what was seen."""
    rises = _rises(sights)
    seconds, missing = list[float](), list[Change]()
    for change in journal:
        seen_at = _seen_at(rises.get((change.table, change.key), ()), change.number)
        if seen_at is None:
            missing.append(change)
        else:
            seconds.append(seen_at - change.committed_at)
    return Delays(tuple(sorted(seconds)), tuple(missing))


def _rises(sights: Iterable[Sight]) -> dict[tuple[str, int], list[tuple[int, float]]]:
    """Of each row the numbers that were the greatest when they were first seen, and when, in the order of time."""
    rises: dict[tuple[str, int], list[tuple[int, float]]] = defaultdict(list)
    for sight in sorted(sights, key=lambda sight: sight.seen_at):
        known = rises[sight.table, sight.key]
        if not known or sight.number > known[-1][0]:
            known.append((sight.number, sight.seen_at))
    return rises


def _seen_at(rises: Sequence[tuple[int, float]], number: int) -> float | None:
    """When this number or a greater one was first seen. Both columns grow."""
    return next((seen_at for greatest, seen_at in rises if greatest >= number), None)
