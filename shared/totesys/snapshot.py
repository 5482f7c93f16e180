"""What one snapshot of the source says, and whether it may be trusted. Pure: no clock, no network, no database.

Invariant: a reader never mistakes another source, a standby or another generation for the one of the checkpoint.
"""

from dataclasses import dataclass
from datetime import datetime

from shared.checkpoint import Checkpoint, SourceIdentity
from shared.errors import ConfigurationError, SourceChanged

_IDS = 2**32
"""Transaction ids in pg_locks are 32 bits wide, those of snapshots 64."""


@dataclass(frozen=True)
class Transaction:
    """One open transaction: its virtual id, whether it is prepared, its ids (32 bits), its exact start if visible."""

    virtual: str
    prepared: bool
    ids: tuple[int, ...] = ()
    started: datetime | None = None


@dataclass(frozen=True)
class Snapshot:
    """What a source snapshot sees: everything below xmax but those in xip (64 bits, top-level transactions)."""

    xmax: int
    xip: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "Snapshot":
        """Read pg_snapshot's own text, `xmin:xmax:id,id`."""
        _, xmax, xip = text.split(":")
        return cls(int(xmax), tuple(int(one) for one in xip.split(",") if one))

    @property
    def revision(self) -> int:
        """The exact logical clock: it grows with every transaction that ends."""
        return self.xmax - len(self.xip)

    def hides(self, short_id: int) -> bool:
        """Whether a transaction, by its 32-bit id, is still in progress in this snapshot."""
        distance = (short_id - self.xmax + _IDS // 2) % _IDS - _IDS // 2
        return distance >= 0 or self.xmax + distance in self.xip


@dataclass(frozen=True)
class Vitals:
    """Who the source is and how far it has come, read together with a snapshot. `wal` in bytes."""

    in_recovery: bool
    identity: SourceIdentity
    wal: int
    stats_reset: datetime | None
    snapshot: Snapshot


@dataclass(frozen=True)
class Conditions:
    """What a read asks of a row beside its key: None leaves the condition out. Times are in the feed's zone.

    `polled_from`: rows with this `last_updated` or a later one are left out, because polls have read them.
    """

    look_back: datetime | None = None
    oldest_new_id: int | None = None
    polled_from: datetime | None = None


def expect_same_source(known: SourceIdentity | None, vitals: Vitals) -> None:
    """Refuse a standby, and any database but the checkpoint's. Raises ConfigurationError or SourceChanged."""
    if vitals.in_recovery:
        raise ConfigurationError(
            "Expected a primary and found a source in recovery (a hot standby): it hides open transactions, so changes "
            "would be lost. Point the source's DSN to the primary."
        )
    if known is not None and known != vitals.identity:
        raise SourceChanged(
            f"Expected the source {_named(known)} and found {_named(vitals.identity)}: it was restored, promoted or "
            "replaced. If that is meant, run `totes rebase --source-changed`."
        )


def generation_ended(last: Checkpoint, vitals: Vitals) -> bool:
    """Whether the source may have reused transaction ids since it was last seen, as a crash makes it do."""
    if last.identity is None:
        return False
    return (
        vitals.snapshot.revision < last.revision
        or vitals.wal < last.wal
        or (last.stats_reset is not None and vitals.stats_reset != last.stats_reset)
    )


def _named(identity: SourceIdentity) -> str:
    return f"(system {identity.system_identifier}, database {identity.database}, timeline {identity.timeline})"
