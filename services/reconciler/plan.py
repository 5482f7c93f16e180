"""Decide what differs between source and warehouse, and what may be mended. Pure: no clock, no network, no database.

Invariant: a key of which the warehouse holds something newer than the source snapshot is never a difference, no
deletion is planned for a key that the warehouse does not show, and what is on its way is left to arrive. Planning the
same twice gives the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from shared.deletions import too_many


class Kind(StrEnum):
    """What is decided of a key that differs.

    Absent or deleted in the warehouse, of another row hash there, or gone from the source: these are repaired.
    On its way (or arrived since), or sent before and refused by its contract: these are left alone. A member inferred
    long ago that the source does not know either cannot be repaired, only told. A star row that is not as it was
    loaded is restored from the archive.
    """

    MISSING = "missing"
    STALE = "stale"
    EXTRA = "extra"
    IN_FLIGHT = "in_flight"
    QUARANTINED = "quarantined"
    INFERRED = "inferred"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Newest:
    """The newest observation of a key in the warehouse: its position, its row hash, whether it shows a live row."""

    generation: int
    revision: int
    row_hash: int
    live: bool


@dataclass(frozen=True)
class Decision:
    """One key: its row hash in the source (None: no row), what the warehouse holds (None: nothing), where it was read.

    `at`: generation and revision of the source snapshot.
    """

    kind: Kind
    key: int
    row_hash: int | None
    held: Newest | None
    at: tuple[int, int] = (0, 0)

    @property
    def likeness(self) -> str:
        """Equal for the very same difference met again: the same row against the same observation."""
        held = f"{self.held.generation}.{self.held.revision}" if self.held else "nothing"
        return f"{self.row_hash} against {held}"


@dataclass(frozen=True)
class Totals:
    """What a run found and did in one feed, counted in rows; what did not occur is 0.

    `source` and `live`: rows compared, on either side. `newer` was left alone because the warehouse is ahead of the
    snapshot; `held_back` are deletions too many to be carried out unasked; `damaged` are star rows that are not as
    they were loaded; `changed`, `deleted` and `restored` were sent. `ranges`, `bytes` and `source_ms` are what it
    cost: key ranges, bytes moved from both sides, milliseconds the source worked or was waited for.
    """

    source: int = 0
    live: int = 0
    newer: int = 0
    missing: int = 0
    stale: int = 0
    extra: int = 0
    in_flight: int = 0
    quarantined: int = 0
    inferred: int = 0
    damaged: int = 0
    held_back: int = 0
    changed: int = 0
    deleted: int = 0
    restored: int = 0
    ranges: int = 0
    bytes: int = 0
    source_ms: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        """Both together."""
        return Totals(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def repaired(self) -> int:
        """Rows and deletions sent."""
        return self.changed + self.deleted + self.restored

    @property
    def drift(self) -> int:
        """Differences that had to be mended."""
        return self.missing + self.stale + self.extra + self.damaged


class Comparison:
    """Source against warehouse, met one observation at a time, so that only one side is held in memory."""

    def __init__(self, source: dict[int, int], at: tuple[int, int]) -> None:
        """Take the source's row hashes by key, which are used up, and the generation and revision they were read at."""
        self._unmet = source
        self._at = at
        self._found: list[Decision] = []
        self.newer = 0

    def meet(self, key: int, held: Newest) -> None:
        """Take the warehouse's newest observation of a key, once."""
        row_hash = self._unmet.pop(key, None)
        kind = _kind(row_hash, held)
        if kind is not None and (held.generation, held.revision) > self._at:
            self.newer += 1
        elif kind is not None:
            self._found.append(Decision(kind, key, row_hash, held, self._at))

    def differences(self) -> tuple[Decision, ...]:
        """Every difference in the order of its key, once all observations were met."""
        never_met = (Decision(Kind.MISSING, key, row_hash, None, self._at) for key, row_hash in self._unmet.items())
        return tuple(sorted((*self._found, *never_met), key=lambda one: one.key))


def _kind(row_hash: int | None, held: Newest) -> Kind | None:
    if row_hash is None:
        return Kind.EXTRA if held.live else None
    if not held.live:
        return Kind.MISSING
    return None if held.row_hash == row_hash else Kind.STALE


def look_again(first: Iterable[Decision], held: Mapping[int, Newest]) -> tuple[Decision, ...]:
    """The first look's differences held against what the warehouse shows after a while.

    What agrees by then, or has become newer than the snapshot, was in flight.
    """
    return tuple(_again(one, held.get(one.key)) for one in first)


def _again(one: Decision, held: Newest | None) -> Decision:
    now = Kind.MISSING if held is None else _kind(one.row_hash, held)
    overtaken = held is not None and (held.generation, held.revision) > one.at
    return replace(one, kind=Kind.IN_FLIGHT if now is None or overtaken else now, held=held)


@dataclass(frozen=True)
class Pending:
    """Keys of one feed in flight: those that a poller captured, and those in repairs; `all`: too many to be told."""

    captured: set[int] = field(default_factory=set)
    repairs: set[int] = field(default_factory=set)
    all: bool = False


def decide(found: Iterable[Decision], *, pending: Pending, sent: Mapping[int, str]) -> tuple[Decision, ...]:
    """What becomes of each difference that stayed.

    `sent`: the likeness of what earlier runs repaired. The very same difference again is on its way, or it was refused
    by its contract; a repair that nobody remembers to have sent counts for nothing.
    """
    return tuple(replace(one, kind=_decided(one, pending, sent)) for one in found)


def _decided(one: Decision, pending: Pending, sent: Mapping[int, str]) -> Kind:
    if pending.all or one.key in pending.captured:
        return Kind.IN_FLIGHT
    if one.kind is Kind.IN_FLIGHT or sent.get(one.key) != one.likeness:
        return one.kind
    return Kind.IN_FLIGHT if one.key in pending.repairs else Kind.QUARANTINED


def repairs(
    decisions: Iterable[Decision], *, live: int, deleted: int, allowed: bool
) -> tuple[tuple[Decision, ...], int]:
    """What to repair now, and how many deletions are held back.

    `live`: the feed's rows in the warehouse; `deleted`: how many of them this pass over the feed has deleted already;
    `allowed`: somebody was asked and agreed.
    """
    mendable = [one for one in decisions if one.kind in (Kind.MISSING, Kind.STALE, Kind.EXTRA)]
    gone = [one for one in mendable if one.kind is Kind.EXTRA]
    if not gone or allowed or not too_many(deleted + len(gone), live):
        return tuple(mendable), 0
    return tuple(one for one in mendable if one.kind is not Kind.EXTRA), len(gone)


def counted(decisions: Iterable[Decision]) -> dict[str, int]:
    """How many decisions there are of each kind, zeros too."""
    numbers = Counter(one.kind for one in decisions)
    return {kind.value: numbers[kind] for kind in Kind}
