"""How the pipeline is: feeds, queues and freshness, from the checkpoint, SQS and the warehouse's books.

Invariant: it only reads; parked messages that were looked into are visible again afterwards. A part that does not
answer is left out and named in `notes`, the other parts are shown.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pg8000.native import InterfaceError
from pydantic import AwareDatetime, BaseModel, ConfigDict

from contracts.feeds import FEEDS, Feed
from contracts.messages import QUARANTINE
from services.ops import backlog
from services.ops.backlog import Archived, Oldest
from services.ops.dlq.browse import Browse
from services.ops.quarantine import OpenQuarantine
from services.poller.reading import look_back_seconds
from services.reconciler.progress import ProgressStore
from shared.bookkeeping import LOADED_BATCHES
from shared.checkpoint import Checkpoint, CheckpointStore
from shared.errors import PipelineError, WarehouseUnavailable
from shared.objects import ObjectStore
from shared.postgres import Connection, DatabaseError, Dsn, connect, explain, identifier, rows_of
from shared.queues import Queue

WINDOW_SECONDS = 900.0
"""Freshness of the last quarter of an hour: recent enough to act on, long enough for a quiet source to have samples."""
LISTED_SINCE = timedelta(hours=12)
"""How far back a waiting batch is looked for: as long as the queues outlast a dead warehouse."""
LISTED_KEYS = 2_000
"""Objects of one feed looked at for the oldest; listings are in order, so the oldest come first."""
STATEMENT_TIMEOUT_SECONDS = 30.0
LOCK_TIMEOUT_SECONDS = 5.0
SILENT_SECONDS = 90.0
"""Longer than the schedule's minute and a slow round of all feeds."""
HEARTBEAT_LATE_SECONDS = 180.0
"""Three minutes without one: two may be lost to a slow start or a function that is replaced."""
IN_FLIGHT_AT_MOST = 1_000
"""Pages of a feed looked up in the books, so that a message parked for weeks does not make each look longer."""
LOOKED_INTO = 1_000
"""Parked messages of one queue that are looked at for their causes: a second's work, and it shows what prevails."""
"""Folder of the rows that broke their contract, in the processed bucket."""
_LOST = (InterfaceError, OSError, struct.error)
"""What pg8000 raises where a connection breaks off; struct.error in the middle of a message."""
T = TypeVar("T")


class Part(BaseModel):
    """Base of the status: immutable, one JSON object each, keys in snake_case."""

    model_config = ConfigDict(frozen=True)


class FeedStatus(Part):
    """One feed: rows archived, rows in load batches committed, rows that broke their contract, and how far it is."""

    rows_captured: int
    rows_loaded: int
    rows_quarantined: int
    as_of: AwareDatetime | None
    """Source clock of the last snapshot that the checkpoint knows, with nothing missing before it."""
    complete_as_of: AwareDatetime | None = None
    """Source clock as of which all is loaded, as the last heartbeats prove; None: nothing is proven, or ever loaded."""
    lag_seconds: float | None
    """This machine's clock minus `as_of`; an idle poller moves its checkpoint every few seconds only."""
    look_back_seconds: float | None
    """How long before the poller's last look at the source's clock its next poll must begin to read, should all that
    was open then have ended: it grows with the oldest open transaction. None: not polled yet, or no lower bound."""
    generation: int
    revision: int
    stopped: str | None
    """Why the feed is not polled."""
    paused: bool = False
    """An operator paused the feed."""
    rows_in_quarantine: int = 0
    """Of the rows that broke their contract, those that were not replayed since."""
    batches_in_flight: int | None = None
    """Of the last 1,000 batches captured, those not loaded yet, parked ones too; None: that could not be read."""
    star_table: str | None
    """None: archived only, nothing is ever loaded."""


class QueueStatus(Part):
    """One queue and its dead letters, by SQS's own approximate counts."""

    visible: int
    in_flight: int
    oldest_seconds: float | None
    """Since the snapshot of the oldest batch that waits here (services.ops.backlog); None where the queue is empty."""
    parked: int


class ParkedCause(Part):
    """How many of a queue's parked messages lie there for one cause."""

    queue: str
    cause: str
    count: int


class HeartbeatStatus(Part):
    """The newest heartbeat that went through every stage."""

    as_of: AwareDatetime
    """Source clock at the poller's look."""
    age_seconds: float
    """Since it was loaded, by the warehouse's clock."""


class Reconciliation(Part):
    """The reconciler's last run that compared anything."""

    at: AwareDatetime
    """Source clock at its last look."""
    drift: int
    """Rows that differed."""
    repaired: int
    """Rows and deletions sent."""
    held_back: int
    """Deletions too many to be sent unasked."""
    skipped: tuple[str, ...]
    """Feeds it could not compare."""


class Freshness(Part):
    """Commit in the warehouse minus the source clock of the last snapshot without the row: an upper bound.

    Of what polls and scans brought in while this run was up; a repair's delay is the reconciler's interval.
    """

    p50_ms: float | None = None
    p99_ms: float | None = None
    samples: int = 0
    """Changed rows loaded in the window."""
    window_seconds: float = WINDOW_SECONDS


class Status(Part):
    """All of it at one moment."""

    at: AwareDatetime
    paused: bool
    """An operator paused the poller."""
    feeds: Mapping[str, FeedStatus]
    queues: Mapping[str, QueueStatus]
    freshness: Freshness
    heartbeat: HeartbeatStatus | None = None
    """None: none has arrived yet."""
    reconciliation: Reconciliation | None = None
    """None: none has been made yet."""
    parked_causes: tuple[ParkedCause, ...] = ()
    """Why messages are parked, if that was looked into; of many messages the first so many."""
    notes: tuple[str, ...] = ()
    """What could not be read, a sentence each."""

    @property
    def rows_captured(self) -> int:
        """Over the feeds that are loaded, so that it compares with `rows_loaded`."""
        return sum(feed.rows_captured for feed in self.feeds.values() if feed.star_table is not None)

    @property
    def rows_loaded(self) -> int:
        """Over all feeds."""
        return sum(feed.rows_loaded for feed in self.feeds.values())

    @property
    def rows_quarantined(self) -> int:
        """Over all feeds."""
        return sum(feed.rows_quarantined for feed in self.feeds.values())

    @property
    def rows_in_quarantine(self) -> int:
        """Over all feeds."""
        return sum(feed.rows_in_quarantine for feed in self.feeds.values())

    @property
    def parked(self) -> int:
        """Messages in dead-letter queues."""
        return sum(queue.parked for queue in self.queues.values())


@dataclass(frozen=True)
class Loaded:
    """What the warehouse's books say of one feed."""

    rows: int = 0
    quarantined: int = 0


def silence(feeds: Iterable[FeedStatus], *, paused: bool, running_seconds: float, log: str) -> Iterator[str]:
    """A sentence where no feed was read for longer than any poll takes: the source may be away, or another one."""
    polled = [feed for feed in feeds if not feed.stopped and not feed.paused]
    lags = [running_seconds if feed.lag_seconds is None else feed.lag_seconds for feed in polled]
    silent_seconds = min([running_seconds, *lags])
    if lags and not paused and silent_seconds > SILENT_SECONDS:
        yield (f"Nothing was read from the source for {silent_seconds:.0f} s: the poller's log says why ({log}).")


def late_heartbeat(beat: HeartbeatStatus | None, *, paused: bool, running_seconds: float) -> Iterator[str]:
    """A sentence where none has come through for too long: some stage between source and warehouse stands."""
    age_seconds = running_seconds if beat is None else min(beat.age_seconds, running_seconds)
    if not paused and age_seconds > HEARTBEAT_LATE_SECONDS:
        yield (
            f"No heartbeat has reached the warehouse for {age_seconds:.0f} s: the poller or a later stage stands; the "
            "queues show where."
        )


class Warehouse:
    """The warehouse's books, over a session that is opened when needed and again after a failure."""

    def __init__(self, dsn: Callable[[], str], schema: str) -> None:
        """Take what gives the DSN of any login that may read the books, and the star schema's name."""
        self._dsn = dsn
        self._schema = schema
        self._connection: Connection | None = None

    def loaded_by_feed(self) -> dict[str, Loaded]:
        """Rows loaded and quarantined of every feed that has a load batch."""
        return {feed: Loaded(rows, bad) for feed, rows, bad in self.read(sql("loaded_by_feed"))}

    def freshness(self, running_since: datetime, window_seconds: float) -> Freshness:
        """Percentiles over the rows changed since the run began and loaded in the last so many seconds."""
        [[p50_ms, p99_ms, samples]] = self.read(
            sql("freshness"), running_since=running_since, window_seconds=window_seconds
        )
        return Freshness(p50_ms=p50_ms, p99_ms=p99_ms, samples=samples, window_seconds=window_seconds)

    def heartbeat(self) -> HeartbeatStatus | None:
        """The newest heartbeat that was loaded."""
        found = self.read(sql("heartbeat"))
        return HeartbeatStatus(as_of=found[0][0], age_seconds=max(0.0, found[0][1])) if found else None

    def complete_by_feed(self) -> dict[str, datetime]:
        """As of when each feed is proven to be loaded."""
        return dict(self.read(sql("complete")))

    def in_flight(self, pages: Mapping[str, int]) -> dict[str, int]:
        """How many of each feed's batches before this page are not loaded yet."""
        feeds, before = list(pages), list(pages.values())
        return dict(self.read(sql("in_flight"), feeds=feeds, pages=before, at_most=IN_FLIGHT_AT_MOST))

    def loaded(self, batches: Iterable[str]) -> set[str]:
        """Those of the change batches that are loaded."""
        return {row[0] for row in self.read(LOADED_BATCHES, batches=list(batches))}

    def read(self, statement: str, **parameters: Any) -> list[list[Any]]:
        """The rows of a query. Raises Unavailable or ConfigurationError."""
        try:
            if self._connection is None:
                self._connection = self._open()
            return rows_of(self._connection, statement, **parameters)
        except (*_LOST, DatabaseError) as exc:
            self.close()
            dsn = Dsn.parse(self._dsn())
            explain(exc, dsn.place, dsn.user, unavailable=WarehouseUnavailable)

    def close(self) -> None:
        """End the session; the next read opens another."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
        self._connection = None

    def _open(self) -> Connection:
        connection = connect(
            Dsn.parse(self._dsn()),
            application_name="totes status",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        )
        connection.run(f"SET search_path = {identifier(self._schema)}")
        return connection


@dataclass(frozen=True)
class WorkQueue:
    """A queue with its dead letters."""

    queue: Queue
    dead_letters: Queue


@dataclass(frozen=True)
class Places:
    """Where the status is read: adapters, and the names of the buckets."""

    objects: ObjectStore
    archive_bucket: str
    processed_bucket: str
    control_bucket: str
    changes: WorkQueue
    loads: WorkQueue
    warehouse: Warehouse
    running_since: datetime
    """When the run began; freshness counts nothing that changed before."""
    poller_log: str
    """Where the poller says what keeps it."""


class Collector:
    """Reads the status again and again; remembers how far each feed is known to be loaded."""

    def __init__(self, places: Places, *, now: Callable[[], datetime]) -> None:
        """Take the places and the clock (UTC)."""
        self._places = places
        self._now = now
        self._checkpoints = CheckpointStore(places.objects, places.control_bucket)
        self._settled: dict[str, str] = {}
        """Feed -> an archive key up to which everything is loaded."""
        self._quarantine: dict[str, int] = {}
        """Quarantine object -> its rows; such objects never change."""
        self._open_quarantine = OpenQuarantine(places.objects, places.processed_bucket)
        self._reconciler = ProgressStore(places.objects, places.control_bucket)

    def collect(self, window_seconds: float = WINDOW_SECONDS, *, causes: bool = False) -> Status:
        """The status now, with the freshness of the last `window_seconds`; never raises for a part that is away.

        `causes` looks into the parked messages too, which hides them for a moment: not for a view that never rests.
        """
        notes: list[str] = []
        no_queues: dict[str, QueueStatus] = {}
        no_causes: tuple[ParkedCause, ...] = ()
        warehouse, now = self._places.warehouse, self._now()
        checkpoint = _read(self._checkpoints.load, Checkpoint(), notes)
        feeds = self._feeds(checkpoint, now, notes)
        unmeasured = Freshness(window_seconds=window_seconds)
        freshness = _read(lambda: warehouse.freshness(self._places.running_since, window_seconds), unmeasured, notes)
        queues = _read(lambda: self._queues(now, notes), no_queues, notes)
        unheard: list[HeartbeatStatus | None] = []
        heard = _read(lambda: [warehouse.heartbeat()], unheard, notes)
        notes.extend(self._silences(checkpoint, feeds, heard, now))
        return Status(
            at=now,
            paused=checkpoint.paused,
            feeds=feeds,
            queues=queues,
            freshness=freshness,
            heartbeat=next(iter(heard), None),
            reconciliation=_read(self._reconciliation, None, notes),
            parked_causes=_read(self._causes, no_causes, notes) if causes else no_causes,
            notes=tuple(dict.fromkeys(notes)),
        )

    def _feeds(self, checkpoint: Checkpoint, now: datetime, notes: list[str]) -> dict[str, FeedStatus]:
        nothing_proven: dict[str, datetime] = {}
        no_rows: dict[str, int] = {}
        nothing_loaded: dict[str, Loaded] = {}
        loaded = _read(self._places.warehouse.loaded_by_feed, nothing_loaded, notes)
        loaded |= _read(self._archived_only, nothing_loaded, notes)
        proven = _read(self._places.warehouse.complete_by_feed, nothing_proven, notes)
        apart = _read(self._open_quarantine.counts, no_rows, notes)
        pages = {name: checkpoint.feed(name).page for name, feed in FEEDS.items() if feed.star is not None}
        in_flight = _read(lambda: self._places.warehouse.in_flight(pages), no_rows, notes)
        return {
            name: _feed_status(feed, checkpoint, loaded, now=now).model_copy(
                update={
                    "complete_as_of": proven.get(name),
                    "rows_in_quarantine": apart.get(name, 0),
                    "batches_in_flight": in_flight.get(name),
                }
            )
            for name, feed in FEEDS.items()
        }

    def _silences(
        self,
        checkpoint: Checkpoint,
        feeds: Mapping[str, FeedStatus],
        heard: Iterable[HeartbeatStatus | None],
        now: datetime,
    ) -> Iterator[str]:
        """What should have been heard by now and was not; `heard` is empty where the warehouse could not be asked."""
        running_seconds = (now - self._places.running_since).total_seconds()
        still = checkpoint.paused or checkpoint.draining
        log = self._places.poller_log
        yield from silence(feeds.values(), paused=still, running_seconds=running_seconds, log=log)
        for heartbeat in heard:
            yield from late_heartbeat(heartbeat, paused=still, running_seconds=running_seconds)

    def _reconciliation(self) -> Reconciliation | None:
        last = self._reconciler.load().last
        return None if last is None else Reconciliation(**last.model_dump(include=set(Reconciliation.model_fields)))

    def _causes(self) -> tuple[ParkedCause, ...]:
        """Why messages are parked; each queue's most frequent cause first."""
        found: list[ParkedCause] = []
        for name, place in {"changes": self._places.changes, "loads": self._places.loads}.items():
            if place.dead_letters.depth().total:
                with Browse(name, place.dead_letters, limit=LOOKED_INTO) as parked:
                    counted = Counter(message.cause for message in parked)
                found += (ParkedCause(queue=name, cause=cause, count=many) for cause, many in counted.most_common())
        return tuple(found)

    def _queues(self, now: datetime, notes: list[str]) -> dict[str, QueueStatus]:
        """Both queues; the archive is listed only if something waits."""
        places = {"changes": self._places.changes, "loads": self._places.loads}
        depths = {name: place.queue.depth() for name, place in places.items()}
        anything = any(depth.total for depth in depths.values())
        waiting = _read(lambda: self._oldest(now), Oldest(), notes) if anything else Oldest()
        return {
            name: QueueStatus(
                visible=depths[name].visible + depths[name].delayed,
                in_flight=depths[name].in_flight,
                oldest_seconds=_age(getattr(waiting, name), now) if depths[name].total else None,
                parked=place.dead_letters.depth().total,
            )
            for name, place in places.items()
        }

    def _oldest(self, now: datetime) -> Oldest:
        """Over all feeds that are loaded: what is archived but not built, and what is built but not loaded."""
        found = [self._oldest_of(feed, feed.star.table, now) for feed in FEEDS.values() if feed.star is not None]
        return Oldest(
            changes=min((each.changes for each in found if each.changes), default=None),
            loads=min((each.loads for each in found if each.loads), default=None),
        )

    def _oldest_of(self, feed: Feed, table: str, now: datetime) -> Oldest:
        after = self._settled.get(feed.name) or backlog.begin_listing(feed.name, now - LISTED_SINCE)
        keys = list(islice(self._places.objects.keys(self._places.archive_bucket, f"{feed.name}/", after), LISTED_KEYS))
        batches = backlog.archived(keys)
        loaded = self._places.warehouse.loaded(batch.batch for batch in batches) if batches else set()
        self._settled[feed.name] = _last_settled(keys, batches, loaded) or after
        if all(batch.batch in loaded for batch in batches):
            return Oldest()
        built = self._places.objects.keys(
            self._places.processed_bucket, f"{table}/", f"{table}/{after.split('/', 1)[1]}"
        )
        return backlog.oldest(batches, built={backlog.stem(key) for key in islice(built, LISTED_KEYS)}, loaded=loaded)

    def _archived_only(self) -> dict[str, Loaded]:
        """Feeds without a star table have no load batch: their quarantine is counted from its objects."""
        return {feed.name: Loaded(0, self._quarantined(feed.name)) for feed in FEEDS.values() if feed.star is None}

    def _quarantined(self, feed: str) -> int:
        bucket, prefix = self._places.processed_bucket, f"{QUARANTINE}/{feed}/"
        total = 0
        for key in self._places.objects.keys(bucket, prefix):
            if key not in self._quarantine:
                found = self._places.objects.find(bucket, key)
                self._quarantine[key] = 0 if found is None else found.body.count(b"\n")
            total += self._quarantine[key]
        return total


def sql(name: str) -> str:
    """A statement from the file of that name beside this module."""
    return (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8")


def _feed_status(feed: Feed, checkpoint: Checkpoint, loaded: Mapping[str, Loaded], *, now: datetime) -> FeedStatus:
    state, books = checkpoint.feed(feed.name), loaded.get(feed.name, Loaded())
    return FeedStatus(
        rows_captured=state.rows_captured,
        rows_loaded=books.rows,
        rows_quarantined=books.quarantined,
        as_of=state.as_of,
        lag_seconds=_age(state.as_of, now),
        look_back_seconds=look_back_seconds(state.polled, _last_clock(checkpoint) or now),
        generation=state.generation,
        revision=state.revision,
        stopped=state.stopped,
        paused=state.paused,
        star_table=None if feed.star is None else feed.star.table,
    )


def _last_clock(checkpoint: Checkpoint) -> datetime | None:
    """The source's clock at the newest snapshot of any feed: ours would add how far the two differ."""
    return max((state.as_of for state in checkpoint.feeds.values() if state.as_of is not None), default=None)


def _age(moment: datetime | None, now: datetime) -> float | None:
    """Seconds since then; none is negative, clocks of two machines differ."""
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def _last_settled(keys: list[str], batches: list[Archived], loaded: set[str]) -> str | None:
    """The last key before the first batch that is not loaded."""
    done = {batch.stem for batch in batches if batch.batch in loaded}
    settled = None
    for key in keys:
        if backlog.stem(key) not in done:
            break
        settled = key
    return settled


def _read(read: Callable[[], T], otherwise: T, notes: list[str]) -> T:
    """What `read` gives, or `otherwise` and a note of why not."""
    try:
        return read()
    except PipelineError as exc:
        notes.append(str(exc))
        return otherwise
