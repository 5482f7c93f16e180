"""Make pages of a feed's rows, store each once in the archive, and send its change batch.

Invariant: a message is sent only for an object that is stored with its envelope, so whatever the checkpoint does not
cover can be sent again from the archive alone. Storing and sending the same page twice gives the same object and the
same batch id.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from contracts.feeds import Feed
from contracts.messages import (
    ROW_HASH,
    ChangeBatch,
    ChangeBatchData,
    ObjectRef,
    Operation,
    Origin,
    Position,
    archive_key,
)
from services.poller.reading import LEAST_KEY, Memory
from shared.checkpoint import FeedState
from shared.errors import CorruptObject
from shared.objects import ObjectStore, sha256
from shared.queues import Queue

ENVELOPE = "envelope"
"""Name of the user metadata entry that holds the change batch as JSON."""
_GZIP = 16 + zlib.MAX_WBITS
"""zlib's code for a gzip container; zlib writes no time and no name into it, so equal rows give equal bytes."""
_KEY = re.compile(r"^[^/]+/date=(?P<date>\d{4}-\d{2}-\d{2})/[^/]*-p(?P<page>\d+)-g(?P<generation>\d+)-r\d+-v\d+-")
_CLOCK_ROOM = timedelta(days=1)
"""How far behind the checkpoint an uncovered object's clock may lie: more than any clock is ever set back."""


@dataclass(frozen=True)
class Page:
    """Rows of one object, compressed: `last_key` the greatest key read up to its end, `hashes` by key."""

    body: bytes
    last_key: int
    hashes: dict[int, int]


@dataclass(frozen=True)
class Circumstances:
    """What a page's envelope says beside its rows. Times are UTC clocks of the source."""

    origin: Origin
    generation: int
    revision: int
    since: datetime | None
    as_of: datetime
    time_zone: str


class Pages:
    """COPY's sink: keeps one page in memory, skips what was sent already, gives each full page on."""

    def __init__(
        self, feed: Feed, memory: Memory, emit: Callable[[Page], None], *, page_rows: int, compression_level: int
    ) -> None:
        """Take the feed, what was sent of it, what to do with a full page that is not the last, and a page's size."""
        self._key_at = feed.columns.index(feed.key)
        self._memory = memory
        self._emit = emit
        self._page_rows = page_rows
        self._level = compression_level
        self.rows_read = 0
        self.last_key = LEAST_KEY
        self._start_page()

    def write(self, row: bytes, /) -> None:
        """Take one row of COPY text. A full page is given on only when another row follows it."""
        key = int(row.split(b"\t", self._key_at + 1)[self._key_at])
        row_hash = int(row[row.rindex(b"\t") + 1 :])
        if not self._memory.holds(key, row_hash):
            if len(self._hashes) == self._page_rows:
                self._emit(self._end_page())
            self._chunks.append(self._compressor.compress(row))
            self._hashes[key] = row_hash
        self.rows_read += 1
        self.last_key = key

    def rest(self) -> Page | None:
        """The last page, if it has any row."""
        return self._end_page() if self._hashes else None

    def _start_page(self) -> None:
        self._compressor = zlib.compressobj(self._level, zlib.DEFLATED, _GZIP)
        self._chunks: list[bytes] = []
        self._hashes: dict[int, int] = {}

    def _end_page(self) -> Page:
        self._chunks.append(self._compressor.flush())
        page = Page(b"".join(self._chunks), self.last_key, self._hashes)
        self._start_page()
        return page


class Publisher:
    """The archive and the queue of change batches, in that order."""

    def __init__(self, objects: ObjectStore, bucket: str, queue: Queue) -> None:
        """Take the object store, the archive's bucket and the queue `changes`."""
        self._objects = objects
        self._bucket = bucket
        self._queue = queue

    def publish(self, feed: Feed, page: Page, number: int, at: Circumstances) -> ChangeBatch:
        """Store a page and send its batch.

        Raises CorruptObject where another object holds its key, ObjectStoreUnavailable or QueueUnavailable where it
        was not acknowledged.
        """
        batch = describe(feed, page, number, at, self._bucket)
        self._objects.put_once(batch.data.object, page.body, {ENVELOPE: batch.body()})
        self._queue.send([batch.body()])
        return batch

    def publish_uncovered(self, feed: Feed, state: FeedState) -> tuple[FeedState, int]:
        """Send the batch of every stored object that the state does not cover; the state that covers them.

        Also the greatest generation met among the objects listed (0 for none). Without a clock in the state (the
        checkpoint was lost, or the feed never met) the archive's own last day is the one looked at: whatever is
        older was covered, because the checkpoint moved after each page.
        """
        page, generation = state.page, 0
        for key in self._objects.keys(self._bucket, f"{feed.name}/", self._listed_after(feed, state)):
            number, born = number_of(key) or (-1, 0)
            generation = max(generation, born)
            if number >= state.page:
                self._send_stored(key)
                page = max(page, number + 1)
        return state.model_copy(update={"page": page}), generation

    def _listed_after(self, feed: Feed, state: FeedState) -> str:
        """The key behind which every uncovered object lies."""
        clock = state.as_of or (state.reading.first.clock if state.reading else None)
        day = clock.date() if clock else self._last_day(feed)
        return "" if day is None else f"{feed.name}/date={day - _CLOCK_ROOM}"

    def _last_day(self, feed: Feed) -> date | None:
        """The date of the newest object: dates come first in a key, so the last one listed."""
        last = None
        for key in self._objects.keys(self._bucket, f"{feed.name}/"):
            last = _KEY.match(key) or last
        return None if last is None else date.fromisoformat(last["date"])

    def _send_stored(self, key: str) -> None:
        envelope = self._objects.metadata(self._bucket, key).get(ENVELOPE)
        if envelope is None:
            raise CorruptObject(f"Expected an envelope in the metadata of {self._bucket}/{key} and found none.")
        self._queue.send([ChangeBatch.model_validate_json(envelope).body()])


def describe(feed: Feed, page: Page, number: int, at: Circumstances, bucket: str) -> ChangeBatch:
    """The change batch of a page: the same page in the same circumstances always has the same."""
    position = Position(generation=at.generation, revision=at.revision, contract=feed.contract)
    digest = sha256(page.body)
    key = archive_key(
        feed.name, as_of=at.as_of, position=position, page=number, operation=Operation.CHANGED, sha256=digest
    )
    return ChangeBatch.of(
        ChangeBatchData(
            feed=feed.name,
            operation=Operation.CHANGED,
            origin=at.origin,
            position=position,
            page=number,
            since=at.since,
            as_of=at.as_of,
            time_zone=at.time_zone,
            object=ObjectRef(bucket=bucket, key=key, sha256=digest, bytes=len(page.body), rows=len(page.hashes)),
            columns=(*feed.columns, ROW_HASH),
        )
    )


def number_of(key: str) -> tuple[int, int] | None:
    """Page number and generation in an archive key; None for an object that is no change batch's."""
    found = _KEY.match(key)
    return None if found is None else (int(found["page"]), int(found["generation"]))
