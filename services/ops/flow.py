"""What the live view shows beside the status: how fresh the last minute's rows were, and which rows came last.

Invariant: it only reads, and a look costs the same however large warehouse and archive are: books by their indexes,
and a few objects of a few rows, each once. What such an object does not tell is shown as a number of rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from contracts.feeds import FEEDS, Feed
from contracts.messages import Operation, Origin, stored_as
from contracts.star import Kind
from services.ops.status import Warehouse, sql
from shared.archive import key_place, keys_at, lines_of
from shared.bookkeeping import seen_view
from shared.errors import CorruptObject, PipelineError
from shared.objects import ObjectStore

WINDOW_SECONDS = 60
"""One column of the view's sparkline a second, on the narrowest terminal."""
NAMED_ROWS = 3
"""Rows of one batch that are shown one by one: more would push all other feeds off the screen."""
READ_AT_ONCE = 6
"""Objects read in one look: twice what the simulator brings in a second; what is beyond comes with the next look."""
COMMITTED_LATE = timedelta(seconds=60)
"""The poll's own margin: how long before the last look the transaction of a new row may have begun."""


class What(StrEnum):
    """What became of a row in the warehouse."""

    NEW = "new"
    CHANGED = "changed"
    DELETED = "deleted"
    LOADED = "loaded"
    """Rows of a batch of which each may be new or changed."""
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class Fresh:
    """Freshness in milliseconds over a number of rows."""

    p50_ms: float
    p99_ms: float
    rows: int


@dataclass(frozen=True)
class Minute:
    """Freshness of the last minute, None where nothing was loaded."""

    seconds: tuple[Fresh | None, ...] = (None,) * WINDOW_SECONDS
    """One for each second, this one last."""
    feeds: Mapping[str, Fresh] = field(default_factory=dict)
    whole: Fresh | None = None


@dataclass(frozen=True)
class Arrival:
    """One row that was loaded, or all of a batch: then it has no key."""

    at: datetime
    """The commit, by the warehouse's clock."""
    feed: str
    key: int | None
    rows: int
    what: What
    origin: Origin
    fresh_seconds: float | None
    """None: nobody knows since when it was there to be read."""


@dataclass(frozen=True)
class Flow:
    """The last minute, and what arrived last, newest first."""

    minute: Minute = Minute()
    arrivals: tuple[Arrival, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """A load batch as the warehouse's books have it (last_loads.sql)."""

    id: str
    change_batch: str
    feed: str
    operation: Operation
    origin: Origin
    generation: int
    revision: int
    contract: int
    since: datetime | None
    as_of: datetime
    loaded_at: datetime
    rows: int
    quarantined: int
    time_zone: str

    @property
    def named(self) -> bool:
        """Whether its rows are few enough to be shown one by one, and its object holds no others."""
        return self.rows <= NAMED_ROWS and not self.quarantined

    @property
    def object_key(self) -> str:
        """Where the archive holds its rows."""
        return stored_as(self.change_batch, self.as_of, self.operation)


class FlowReader:
    """Looks again and again; remembers what it has read of the batches that are still among the last."""

    def __init__(self, warehouse: Warehouse, objects: ObjectStore, archive: str, *, running_since: datetime) -> None:
        """Take the warehouse's books, the object store, the archive's bucket and when the run began."""
        self._warehouse = warehouse
        self._objects = objects
        self._archive = archive
        self._running_since = running_since
        self._known: dict[str, tuple[Arrival, ...]] = {}

    def look(self, batches: int) -> Flow:
        """The flow now, with the last so many batches; an empty one where something is away: the status says what."""
        try:
            return Flow(self._minute(), tuple(self._arrivals(batches)))
        except PipelineError:
            return Flow()

    def _minute(self) -> Minute:
        rows = self._warehouse.read(
            sql("last_minute"), running_since=self._running_since, window_seconds=WINDOW_SECONDS
        )
        return minute_of(rows)

    def _arrivals(self, batches: int) -> Iterator[Arrival]:
        loads = [_loaded(row) for row in self._warehouse.read(sql("last_loads"), batches=batches)]
        self._known = {load.id: self._known[load.id] for load in loads if load.id in self._known}
        unread = [load for load in loads if load.id not in self._known]
        for load in [load for load in unread if load.named][:READ_AT_ONCE]:
            self._known[load.id] = self._named(load)
        for load in loads:
            yield from self._known.get(load.id) or in_numbers(load)

    def _named(self, load: Loaded) -> tuple[Arrival, ...]:
        """Its rows one by one; none where the archive does not tell."""
        feed = FEEDS.get(load.feed)
        lines = self._lines(load)
        if feed is None or not lines:
            return ()
        known = self._known_before(feed, load, lines)
        return tuple(
            _arrival(load, key=key, what=what_of(load.operation, known=key in known))
            for key in keys_of(feed, load, lines)
        )

    def _lines(self, load: Loaded) -> list[bytes]:
        found = self._objects.find(self._archive, load.object_key)
        try:
            return [] if found is None else lines_of(found.body, load.object_key)
        except CorruptObject:
            return []

    def _known_before(self, feed: Feed, load: Loaded, lines: Sequence[bytes]) -> set[int]:
        """Keys whose rows the warehouse held before: a fact's books say so, of a dimension's row its own times do."""
        keys = keys_of(feed, load, lines)
        if load.operation is Operation.DELETED or feed.star is None:
            return set()
        if feed.star.kind() is Kind.DIMENSION:
            return {key for key, line in zip(keys, lines, strict=True) if not just_created(feed, load, line)}
        statement = sql("known_before").format(seen=seen_view(feed.star))
        position = {"generation": load.generation, "revision": load.revision, "contract": load.contract}
        return {row[0] for row in self._warehouse.read(statement, keys=keys, **position)}


def minute_of(rows: Iterable[Sequence[Any]]) -> Minute:
    """The minute of the query's rows: feed, seconds ago, p50, p99, rows."""
    found = {(feed, ago): Fresh(*fresh) for feed, ago, *fresh in rows}
    return Minute(
        seconds=tuple(found.get((None, ago)) for ago in reversed(range(WINDOW_SECONDS))),
        feeds={feed: fresh for (feed, _), fresh in found.items() if feed is not None},
        whole=found.get((None, None)),
    )


def keys_of(feed: Feed, load: Loaded, lines: Sequence[bytes]) -> list[int]:
    """The key of each line of an archived batch; of a deletion there is nothing else in it."""
    return keys_at(lines, 0 if load.operation is Operation.DELETED else key_place(feed, _archived_under(load)))


def just_created(feed: Feed, load: Loaded, line: bytes) -> bool:
    """Whether a row says that it was never updated and made about when it was first read.

    A dimension keeps no history to ask. A late insert of a longer transaction counts as a change: this is shown, and
    nothing is decided by it.
    """
    if load.since is None:
        return True
    fields = dict(zip(feed.columns_under(_archived_under(load)), line.decode().split("\t"), strict=False))
    created = datetime.fromisoformat(fields["created_at"]).replace(tzinfo=ZoneInfo(load.time_zone))
    return fields["created_at"] == fields["last_updated"] and created >= load.since - COMMITTED_LATE


def what_of(operation: Operation, *, known: bool) -> What:
    """What a row of a batch is to the warehouse."""
    if operation is Operation.DELETED:
        return What.DELETED
    return What.CHANGED if known else What.NEW


def in_numbers(load: Loaded) -> tuple[Arrival, ...]:
    """A batch without its keys: how many rows were loaded, and how many set apart."""
    what = What.DELETED if load.operation is Operation.DELETED else What.LOADED
    loaded = (_arrival(load, rows=load.rows, what=what),) if load.rows else ()
    apart = (_arrival(load, rows=load.quarantined, what=What.QUARANTINED),) if load.quarantined else ()
    return (*apart, *loaded)


def _arrival(load: Loaded, *, what: What, key: int | None = None, rows: int = 1) -> Arrival:
    measured = load.since is not None and load.origin in (Origin.POLL, Origin.SCAN)
    fresh_seconds = (load.loaded_at - load.since).total_seconds() if measured and load.since is not None else None
    return Arrival(load.loaded_at, load.feed, key, rows, what, load.origin, fresh_seconds)


def _archived_under(load: Loaded) -> int:
    """The contract in the change batch's id: a load batch made anew has another."""
    return int(load.change_batch.split("/")[1].split(".")[2].removeprefix("v"))


def _loaded(row: Sequence[Any]) -> Loaded:
    name, change_batch, feed, operation, origin, *rest = row
    return Loaded(name, change_batch, feed, Operation(operation), Origin(origin), *rest)
