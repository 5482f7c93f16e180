"""What is sent again, and how: parked messages to their work queue, quarantined rows as a batch of their own.

Invariant: send, then delete; store, send, then mark. Rows are sent as they lie in the archive, at their own position,
clock and page, so history says nothing new. The same rows replayed the same number of times make the same batch, and
another number makes another: rows that fail again lie in a quarantine object of their own, never in a marked one.
"""

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.feeds import FEEDS, Feed
from contracts.messages import ENVELOPE, ChangeBatch, ChangeBatchData, ObjectRef, Origin, archive_key
from services.ops.dlq.browse import Browse
from services.ops.dlq.parked import Parked
from services.ops.dlq.replay import CAP, Group, Item, Look, Verdict
from services.ops.quarantine import (
    PLACE,
    OpenObject,
    OpenQuarantine,
    OpenRow,
    QuarantineKey,
    ReplayedRows,
    marker_key,
)
from shared.archive import Publisher
from shared.errors import CorruptObject
from shared.objects import ObjectStore, sha256
from shared.parking import FIRST_FAILED_AT, REPLAY, REPLAYS
from shared.queues import Queue

COMPRESSION_LEVEL = 6
"""Of gzip; rows of the quarantine are few."""


@dataclass(frozen=True)
class Run:
    """One replay: its id, which what it sends carries, and when it began (UTC)."""

    id: str
    began: datetime


@dataclass(frozen=True)
class Wanted:
    """What an operator chose. `passes`, `passing_rows`: what would pass today, asked only where that was asked for."""

    message: Callable[[Parked], bool] = lambda _message: True
    row: Callable[[OpenRow], bool] = lambda _row: True
    passes: Callable[[Parked], bool] | None = None
    passing_rows: Callable[[OpenObject], set[int]] | None = None
    """Indices, in the archive object, of the rows that would pass."""
    cap: int = CAP


def verdict_of(message: Parked, wanted: Wanted, run: str) -> Verdict:
    """What becomes of a parked message. Pure but for `passes`, which is asked last."""
    if message.attributes.get(REPLAY) == run:
        return Verdict.CAME_BACK
    if not wanted.message(message):
        return Verdict.NOT_MEANT
    if message.replays >= wanted.cap:
        return Verdict.REFUSED
    return Verdict.SEND if wanted.passes is None or wanted.passes(message) else Verdict.STILL_FAILS


def attributes_of(replays: int, run: str, first_failed_at: datetime) -> dict[str, str]:
    """What a replayed message carries: which replay it is, whose, and since when it has failed."""
    return {REPLAYS: str(replays), REPLAY: run, FIRST_FAILED_AT: first_failed_at.isoformat()}


@dataclass(frozen=True)
class Messages:
    """The parked messages of one work queue."""

    name: str
    work: Queue
    browse: Callable[[], Browse]
    wanted: Wanted
    run: Run
    feeds: Mapping[str, Feed]

    @contextmanager
    def look(self) -> Iterator[Look]:
        """Everything that was received and not sent is visible again at the end."""
        with self.browse() as browse:
            yield _MessagesLook(self, browse)

    def item(self, message: Parked) -> Item:
        """A message as the run sees it."""
        return Item(
            id=message.id,
            group=Group(self.name, message.feed, message.cause),
            verdict=verdict_of(message, self.wanted, self.run.id),
            batch=message.batch if _is_loaded(message.feed, self.feeds) else None,
            likeness=sha256(message.body.encode()),
            recent=message.parked_at >= self.run.began,
            weight=1,
            what=message,
        )


@dataclass(frozen=True)
class _MessagesLook:
    messages: Messages
    browse: Browse

    def items(self) -> Iterator[Item]:
        return map(self.messages.item, self.browse)

    def cut(self, item: Item, _weight: int) -> Item:
        return item

    def send(self, items: Sequence[Item]) -> Sequence[Item]:
        parked: list[Parked] = [item.what for item in items]
        self.messages.work.send_again(
            [(one.body, attributes_of(one.replays + 1, self.messages.run.id, one.first_failed_at)) for one in parked]
        )
        self.browse.delete_all(parked)
        return items


@dataclass(frozen=True)
class Archive:
    """Where rows are found and sent from: adapters and buckets."""

    objects: ObjectStore
    publisher: Publisher
    processed_bucket: str
    changes: Queue


class Rows:
    """The open rows of the quarantine."""

    def __init__(
        self,
        archive: Archive,
        wanted: Wanted,
        run: Run,
        *,
        feeds: Mapping[str, Feed] = FEEDS,
        only: Iterable[str | None] = (None,),
    ) -> None:
        """Take where they lie, what is wanted, the run, the feeds, and which of them alone (None: all)."""
        self._archive = archive
        self._wanted = wanted
        self._run = run
        self._feeds = feeds
        self._only = tuple(only)
        self._sent: set[str] = set()
        """Digests of the archive objects that this run made: rows that lie in one of them came back."""

    @contextmanager
    def look(self) -> Iterator[Look]:
        """A look changes nothing, so nothing is to be restored."""
        yield self

    def items(self) -> Iterator[Item]:
        """An item for each quarantine object with rows that are wanted, and one for those of it that are left."""
        quarantine = OpenQuarantine(self._archive.objects, self._archive.processed_bucket)
        for feed in self._only:
            for found in quarantine.objects(feed):
                yield from self._items(found)

    def cut(self, item: Item, weight: int) -> Item:
        """Fewer rows of the same object."""
        found: OpenObject = item.what
        return replace(item, weight=weight, what=replace(found, rows=found.rows[:weight]))

    def send(self, items: Sequence[Item]) -> Sequence[Item]:
        """A batch for each object; none where the archive does not give the rows back, which is told by its absence."""
        return [sent for item in items if (sent := self._send(item)) is not None]

    def _items(self, found: OpenObject) -> Iterator[Item]:
        rows = tuple(row for row in found.rows if self._wanted.row(row))
        if not rows:
            return
        found = replace(found, rows=rows)
        if digest_in(found.key) in self._sent:
            yield self._item(found, Verdict.CAME_BACK)
        elif found.replays >= self._wanted.cap:
            yield self._item(found, Verdict.REFUSED)
        else:
            yield from self._sorted_out(found)

    def _sorted_out(self, found: OpenObject) -> Iterator[Item]:
        passing = None if self._wanted.passing_rows is None else self._wanted.passing_rows(found)
        good = tuple(row for row in found.rows if passing is None or row.row.row in passing)
        bad = tuple(row for row in found.rows if row not in good)
        if good:
            yield self._item(replace(found, rows=good), Verdict.SEND)
        if bad:
            yield self._item(replace(found, rows=bad), Verdict.STILL_FAILS)

    def _item(self, found: OpenObject, verdict: Verdict) -> Item:
        return Item(
            id=found.rows[0].id,
            group=Group(PLACE, found.feed, found.rows[0].row.reason_class),
            verdict=verdict,
            batch=None,
            likeness=digest_in(found.key),
            recent=False,
            weight=len(found.rows),
            what=found,
        )

    def _send(self, item: Item) -> Item | None:
        """Store the rows, send their batch, write the marker."""
        found: OpenObject = item.what
        replays = found.replays + 1
        try:
            original = self._archive.publisher.batch(found.rows[0].row.object)
            lines = self._archive.publisher.lines(original)
            batch, body = batch_of_rows(original.data, [lines[row.row.row] for row in found.rows], replays)
        except (CorruptObject, IndexError):
            return None
        self._archive.objects.put_once(batch.data.object, body, {ENVELOPE: batch.body()})
        self._sent.add(batch.data.object.sha256[:16])
        self._archive.changes.send_again([(batch.body(), attributes_of(replays, self._run.id, found.at))])
        self._mark(found, batch, replays)
        known = batch.id if _is_loaded(found.feed, self._feeds) else None
        return replace(item, batch=known, likeness=sha256(batch.body().encode()))

    def _mark(self, found: OpenObject, batch: ChangeBatch, replays: int) -> None:
        marker = ReplayedRows(
            quarantine=found.key,
            rows=tuple(row.row.row for row in found.rows),
            batch=batch.id,
            archive=batch.data.object.key,
            replays=replays,
        )
        store_marker(self._archive.objects, self._archive.processed_bucket, marker)


def store_marker(objects: ObjectStore, bucket: str, marker: ReplayedRows) -> None:
    """Write down that rows are no longer open; the same marker once more is the same object."""
    body = marker.model_dump_json().encode()
    key, rows = marker_key(marker), len(marker.rows)
    objects.put_once(ObjectRef(bucket=bucket, key=key, sha256=sha256(body), bytes=len(body), rows=rows), body)


def batch_of_rows(original: ChangeBatchData, lines: Sequence[bytes], replays: int) -> tuple[ChangeBatch, bytes]:
    """The change batch of some rows of an archived one, and its object's bytes. Pure.

    gzip's time field holds the number of the replay: it makes another object of the same rows replayed again.
    """
    body = gzip.compress(b"".join(lines), COMPRESSION_LEVEL, mtime=replays)
    digest = sha256(body)
    key = archive_key(
        original.feed,
        as_of=original.as_of,
        position=original.position,
        page=original.page,
        operation=original.operation,
        sha256=digest,
    )
    ref = ObjectRef(bucket=original.object.bucket, key=key, sha256=digest, bytes=len(body), rows=len(lines))
    return ChangeBatch.of(original.model_copy(update={"origin": Origin.REPLAY, "since": None, "object": ref})), body


def digest_in(key: str) -> str:
    """The digest of the archive object whose rows a quarantine object holds; empty where its key tells none."""
    found = QuarantineKey.parse(key)
    return "" if found is None else found.archive_digest


def _is_loaded(feed: str | None, feeds: Mapping[str, Feed]) -> bool:
    """Whether the warehouse's books ever tell of a batch of that feed."""
    known = feeds.get(feed or "")
    return known is not None and known.star is not None
