"""What is parked and quarantined, in groups of one cause each. Pure.

Invariant: every entry is in exactly one group, so the counts add up to what there is, and a second look at the same
entries gives the same groups. Memory holds groups, not entries.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.ops.dlq.entries import Lying
from services.ops.quarantine import OpenRow


@dataclass(frozen=True)
class Kind:
    """What the entries of a group share. Field and reason are those of a quarantined row, None of a message."""

    queue: str
    feed: str | None
    cause: str
    contract: int | None
    field: str | None
    reason: str | None


@dataclass(frozen=True)
class Group:
    """Entries of one kind; `example` and `reason` are those of the newest."""

    kind: Kind
    count: int
    oldest: datetime
    newest: datetime
    replays: int
    """The most that any of them had."""
    example: str
    """Its id."""
    reason: str

    def with_one(self, entry: Lying) -> "Group":
        """The group and one more entry of its kind."""
        newest = (entry.at, entry.id) >= (self.newest, self.example)
        return Group(
            kind=self.kind,
            count=self.count + 1,
            oldest=min(self.oldest, entry.at),
            newest=max(self.newest, entry.at),
            replays=max(self.replays, entry.replays),
            example=entry.id if newest else self.example,
            reason=reason_of(entry) if newest else self.reason,
        )


def grouped(entries: Iterable[Lying]) -> list[Group]:
    """The groups, ordered by place, feed and cause."""
    groups: dict[Kind, Group] = {}
    for entry in entries:
        kind = kind_of(entry)
        groups[kind] = groups[kind].with_one(entry) if kind in groups else _first(kind, entry)
    return sorted(groups.values(), key=order)


def kind_of(entry: Lying) -> Kind:
    """The kind an entry is of."""
    if isinstance(entry, OpenRow):
        row = entry.row
        return Kind(entry.queue, row.feed, entry.cause, row.contract, row.field, row.reason)
    return Kind(entry.queue, entry.feed, entry.cause, entry.contract, None, None)


def reason_of(entry: Lying) -> str:
    """Why it lies here, in a sentence."""
    if isinstance(entry, OpenRow):
        return f"{entry.row.field or 'the row'}: {entry.row.reason}"
    return entry.reason


def order(group: Group) -> tuple[str | int, ...]:
    """Place, feed, cause, contract, field, reason: `changes` before `loads` before `quarantine`."""
    kind = group.kind
    return (kind.queue, kind.feed or "", kind.cause, kind.contract or 0, kind.field or "", kind.reason or "")


def _first(kind: Kind, entry: Lying) -> Group:
    return Group(kind, 1, entry.at, entry.at, entry.replays, entry.id, reason_of(entry))
