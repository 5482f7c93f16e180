"""Which archived change batches an operator means, and which of them the warehouse's books do not hold.

Invariant: only names of objects and the warehouse's books are read, in order and page by page, so memory stays bounded
however large the archive is; the same question later leaves out what was loaded meanwhile.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Protocol

from contracts.feeds import FEEDS, Feed
from contracts.messages import ArchiveKey, ChangeBatch
from services.loader.warehouse import Warehouse
from services.ops.backlog import begin_listing
from services.ops.moments import shown
from shared.archive import archived
from shared.errors import ConfigurationError, CorruptObject
from shared.objects import ObjectStore
from shared.postgres import Connection, rows_of

ASKED_AT_ONCE = 1000
"""Change batches looked up in one statement."""
_LOADED = Path(__file__).with_name("loaded_as_of.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Selection:
    """Feeds with a star table, in the order of FEEDS, and a time of snapshots: from `since` on, before `until`."""

    feeds: tuple[Feed, ...]
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of(cls, names: Sequence[str], since: datetime | None, until: datetime | None) -> "Selection":
        """What was asked for; no name means all feeds. Raises ConfigurationError for one without a star table."""
        known = {feed.name: feed for feed in FEEDS.values() if feed.star is not None}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ConfigurationError(f"Expected feeds out of {', '.join(known)}, found {', '.join(unknown)}.")
        if since is not None and until is not None and until <= since:
            raise ConfigurationError(f"Expected --until after --since, found {shown(until)} and {shown(since)}.")
        return cls(tuple(feed for feed in known.values() if not names or feed.name in names), since, until)

    def __str__(self) -> str:
        """The selection in words."""
        every = {feed.name for feed in FEEDS.values() if feed.star is not None}
        named = {feed.name for feed in self.feeds}
        feeds = "all feeds" if named == every else ", ".join(feed.name for feed in self.feeds)
        since = "" if self.since is None else f" since {shown(self.since)}"
        return feeds + since + ("" if self.until is None else f" until {shown(self.until)}")


@dataclass(frozen=True)
class Archived:
    """One archived change batch: its object's key, its id, and its snapshot's source clock."""

    key: str
    feed: str
    batch: str
    as_of: datetime


class Books(Protocol):
    """What a warehouse knows of the change batches it has loaded."""

    def loaded(self, batches: Sequence[str]) -> Mapping[str, datetime]:
        """The earliest source clock of those that are loaded."""


class WarehouseBooks:
    """The books of a star schema, read through the loader's session."""

    def __init__(self, warehouse: Warehouse) -> None:
        """Take the session."""
        self._warehouse = warehouse

    def loaded(self, batches: Sequence[str]) -> Mapping[str, datetime]:
        """See Books. Raises WarehouseUnavailable, ConfigurationError where there is no star schema."""

        def look(connection: Connection) -> dict[str, datetime]:
            return dict(rows_of(connection, _LOADED, batches=list(batches)))

        return self._warehouse.transaction(None, look)


class NoBooks:
    """Books in which nothing is loaded: whoever asks for everything once more gets it."""

    def loaded(self, batches: Sequence[str]) -> Mapping[str, datetime]:  # noqa: ARG002 - see Books
        """None of them."""
        return {}


@dataclass(frozen=True)
class Archive:
    """The archive bucket as an operator goes through it."""

    objects: ObjectStore
    bucket: str

    def of_feed(self, feed: Feed, selection: Selection) -> Iterator[Archived]:
        """The selected batches of one feed, in the order of their snapshots. Objects of another name are nobody's."""
        after = "" if selection.since is None else begin_listing(feed.name, selection.since.astimezone(UTC))
        for key in self.objects.keys(self.bucket, f"{feed.name}/", after):
            found = ArchiveKey.parse(key)
            if found is None or (selection.since is not None and found.as_of < selection.since):
                continue
            if selection.until is not None and found.as_of >= selection.until:
                return
            yield Archived(key, feed.name, found.batch, found.as_of)

    def in_order(self, selection: Selection) -> Iterator[Archived]:
        """The selected batches of all feeds, in the order of their snapshots."""
        feeds = (self.of_feed(feed, selection) for feed in selection.feeds)
        return merge(*feeds, key=lambda one: (one.as_of, one.key))

    def batch(self, one: Archived) -> ChangeBatch:
        """The change batch in an object's envelope. Raises CorruptObject where it has none, or another's."""
        batch = archived(self.objects, self.bucket, one.key)
        if (batch.id, batch.data.object.key) != (one.batch, one.key):
            raise CorruptObject(f"Expected the envelope of {self.bucket}/{one.key}, found that of {batch.id}.")
        return batch


def not_loaded(batches: Iterable[Archived], books: Books) -> Iterator[Archived]:
    """Those that the books do not hold, in their order, or hold with a later clock than another reader's."""
    waiting = iter(batches)
    while some := list(islice(waiting, ASKED_AT_ONCE)):
        loaded = books.loaded([one.batch for one in some])
        yield from (one for one in some if one.batch not in loaded or one.as_of < loaded[one.batch])
