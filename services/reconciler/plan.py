"""Decide what differs between source and warehouse, and what may be mended. Pure: no clock, no network, no database.

Invariant: a key of which the warehouse holds something newer than the source snapshot is never a difference, and no
deletion is planned for a key that the warehouse does not show. Planning the same twice gives the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from shared.deletions import too_many


class Kind(StrEnum):
    """How a key differs: absent or deleted in the warehouse, of another row hash there, or gone from the source."""

    MISSING = "missing"
    STALE = "stale"
    EXTRA = "extra"


@dataclass(frozen=True)
class Newest:
    """The newest observation of a key in the warehouse: its position, its row hash, whether it shows a live row."""

    generation: int
    revision: int
    row_hash: int
    live: bool


@dataclass(frozen=True)
class Drift:
    """One key that differs: its row hash in the source (None: no row), what the warehouse holds (None: nothing)."""

    kind: Kind
    key: int
    row_hash: int | None
    held: Newest | None


@dataclass(frozen=True)
class Totals:
    """What a run found and did in one feed, counted in rows; a kind that did not occur is 0.

    `newer` was left alone because the warehouse is ahead of the snapshot, `in_flight` agreed at the second look,
    `repeated` was repaired by the last run already and has not arrived (quarantined or parked), `held_back` are
    deletions too many to be carried out unasked; `changed` and `deleted` were sent.
    """

    source: int = 0
    live: int = 0
    newer: int = 0
    missing: int = 0
    stale: int = 0
    extra: int = 0
    in_flight: int = 0
    repeated: int = 0
    held_back: int = 0
    changed: int = 0
    deleted: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        """Both together."""
        return Totals(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


class Comparison:
    """Source against warehouse, met one observation at a time, so that only one side is held in memory."""

    def __init__(self, source: dict[int, int], generation: int, revision: int) -> None:
        """Take the source's row hashes by key, which are used up, and the position they were read at."""
        self._unmet = source
        self._at = (generation, revision)
        self._drifts: list[Drift] = []
        self.live = 0
        self.newer = 0

    def meet(self, key: int, held: Newest) -> None:
        """Take the warehouse's newest observation of a key, once."""
        row_hash = self._unmet.pop(key, None)
        self.live += held.live
        kind = _kind(row_hash, held)
        if kind is not None and (held.generation, held.revision) > self._at:
            self.newer += 1
        elif kind is not None:
            self._drifts.append(Drift(kind, key, row_hash, held))

    def drifts(self) -> tuple[Drift, ...]:
        """Every difference in the order of its key, once all observations were met."""
        never_met = (Drift(Kind.MISSING, key, row_hash, None) for key, row_hash in self._unmet.items())
        return tuple(sorted((*self._drifts, *never_met), key=lambda one: one.key))


def _kind(row_hash: int | None, held: Newest) -> Kind | None:
    if row_hash is None:
        return Kind.EXTRA if held.live else None
    if not held.live:
        return Kind.MISSING
    return None if held.row_hash == row_hash else Kind.STALE


def repairable(confirmed: Iterable[Drift], last: Mapping[int, Drift], *, live: int) -> tuple[tuple[Drift, ...], Totals]:
    """What of the confirmed differences to repair now, and the rest counted.

    `last` is what the last run repaired: the very same difference again is a row that cannot arrive.
    """
    found = tuple(confirmed)
    stop = too_many(count(found, Kind.EXTRA), live)
    allowed = [one for one in found if not (stop and one.kind is Kind.EXTRA)]
    fresh = tuple(one for one in allowed if last.get(one.key) != one)
    return fresh, Totals(held_back=len(found) - len(allowed), repeated=len(allowed) - len(fresh))


def count(drifts: Iterable[Drift], kind: Kind) -> int:
    """How many differences are of this kind."""
    return sum(one.kind is kind for one in drifts)
