"""Make pages of a feed's rows, store each once in the archive, and send its change batch.

Invariant: a message is sent only for an object that is stored with its envelope, so whatever was not sent can be sent
again from the archive alone. Storing and sending the same page twice gives the same object and the same batch id.
"""

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from itertools import accumulate
from typing import Any

from isal import isal_zlib

from contracts.feeds import Feed
from contracts.messages import (
    ENVELOPE,
    ROW_HASH,
    ChangeBatch,
    ChangeBatchData,
    Heartbeat,
    ObjectRef,
    Operation,
    Origin,
    Position,
    archive_key,
)
from shared.checkpoint import LEAST_KEY
from shared.errors import CorruptObject, MalformedMessage
from shared.objects import ObjectStore, sha256
from shared.queues import Queue
from shared.reading import read

_GZIP = 16 + zlib.MAX_WBITS
"""zlib's code for a gzip container; no time and no name is written into it, so equal rows give equal bytes.

igzip (isal) makes what any gzip reads, in a quarter of zlib's time and smaller than zlib's level 1.
"""


@dataclass(frozen=True)
class PageSize:
    """What a page holds at most: rows, and bytes of their text, unless one row alone is longer.

    A page of 50,000 usual rows stays within the bytes, and one of wide rows within a function's memory.
    """

    rows: int
    text_bytes: int = 8 * 2**20


@dataclass(frozen=True)
class Page:
    """Rows of one object, compressed: `last_key` the greatest key read up to its end, `hashes` by key.

    A deletion has no row and so no hash: `hashes` then holds None for each key. None for rows that were read without
    their hashes: who reads the object makes them.
    """

    operation: Operation
    body: bytes
    last_key: int
    rows: int
    hashes: Mapping[int, int | None] | None


class WrittenHashes(Mapping[int, int | None]):
    """Row hashes by key as they stand in a page of changed rows: read there when one is first asked for."""

    def __init__(self, body: bytes, key_at: int, rows: int) -> None:
        """Take the page's bytes, where the key is among its columns, and its number of rows, each of another key."""
        self._body = body
        self._key_at = key_at
        self._count = rows

    @cached_property
    def _read(self) -> Mapping[int, int | None]:
        lines = lines_of(self._body, "a page that was just made")
        return dict(zip(keys_at(lines, self._key_at), hashes_at(lines), strict=True))

    def __getitem__(self, key: int) -> int | None:
        """The hash of a key's row."""
        return self._read[key]

    def __iter__(self) -> Iterator[int]:
        """The keys in their order."""
        return iter(self._read)

    def __len__(self) -> int:
        """The number of rows."""
        return self._count


@dataclass(frozen=True)
class Circumstances:
    """What a page's envelope says beside its rows. Times are UTC clocks of the source."""

    origin: Origin
    generation: int
    revision: int
    since: datetime | None
    as_of: datetime
    time_zone: str
    contract: int | None = None
    """Of rows that were archived before and keep the contract they had; None for what was read now: today's."""


class Numbers(Sequence[int]):
    """One number of each of many rows. A backfill asks for that of one row alone; only the others are all read."""

    def __init__(self, rows: Sequence[bytes], read: Callable[[Sequence[bytes]], list[int]]) -> None:
        """Take the rows and what reads the number out of each."""
        self._rows = rows
        self._read = read

    @cached_property
    def _all(self) -> list[int]:
        return self._read(self._rows)

    @property
    def all_read(self) -> bool:
        """Whether somebody has asked for all."""
        return "_all" in vars(self)

    def __getitem__(self, row: Any) -> Any:
        """The number of a row, or those of a slice."""
        return self._read(self._rows[row]) if isinstance(row, slice) else self._read([self._rows[row]])[0]

    def __iter__(self) -> Iterator[int]:
        """All of them."""
        return iter(self._all)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)


class Pages:
    """COPY's sink: keeps one page in memory, skips the rows that need not be sent, gives each full page on."""

    def __init__(
        self,
        feed: Feed,
        emit: Callable[[Page], None],
        *,
        held: Callable[[Sequence[int], Sequence[int]], Set[int]] | None,
        size: PageSize,
        compression_level: int,
        contract: int | None = None,
    ) -> None:
        """Take the feed, what to do with a full page that is not the last, which of some keys need not be sent.

        A page is full where the next row would not fit into its `size`.

        `held` is asked about every row that is read, by key and hash, and answers with keys. What it does not look at
        is not read out of the rows. Without it the rows have no hash, and every one is kept.

        Rows that lay in the archive keep their contract, which says where the key is; without one it is today's.
        """
        self._key_at = key_place(feed, contract or feed.contract)
        self._emit = emit
        self._held = held
        self._size = size
        self._level = compression_level
        self.rows_read = 0
        self.last_key = LEAST_KEY
        self._rows: list[bytes] = []
        self._bytes = 0
        self._hashes: dict[int, int | None] | None = {}

    def writelines(self, rows: Sequence[bytes], /) -> None:
        """Take rows of COPY text. A full page is given on only when another row follows it."""
        self.rows_read += len(rows)
        if self._held is None:
            (self.last_key,) = keys_at(rows[-1:], self._key_at)
            self._keep(rows, None)
            return
        keys, hashes = Numbers(rows, partial(keys_at, column=self._key_at)), Numbers(rows, hashes_at)
        self.last_key = keys[-1]
        held = self._held(keys, hashes)
        pairs = list(zip(keys, hashes, strict=True)) if keys.all_read and hashes.all_read else None
        if held:
            unsent = [at for at, key in enumerate(keys) if key not in held]
            rows, pairs = [rows[at] for at in unsent], pairs and [pairs[at] for at in unsent]
        self._keep(rows, pairs)

    def rest(self) -> Page | None:
        """The last page, if it has any row."""
        return self._end_page() if self._rows else None

    def _keep(self, rows: Sequence[bytes], pairs: Sequence[tuple[int, int]] | None) -> None:
        """Add rows to pages, with their keys and hashes where those were read."""
        start = 0
        while start < len(rows):
            fitting = self._fitting(rows[start : start + self._size.rows - len(self._rows)])
            if not fitting:
                self._emit(self._end_page())
                continue
            end = start + len(fitting)
            self._rows += fitting
            self._bytes += sum(map(len, fitting))
            if pairs is None:
                self._hashes = None
            elif self._hashes is not None:
                self._hashes.update(pairs[start:end])
            start = end

    def _fitting(self, rows: Sequence[bytes]) -> Sequence[bytes]:
        """The first of them for which the page has room; one row always fits into an empty page."""
        room = self._size.text_bytes - self._bytes
        if sum(map(len, rows)) <= room:
            return rows
        fitting = bisect_right(list(accumulate(map(len, rows))), room)
        return rows[: fitting if self._rows else max(1, fitting)]

    def _end_page(self) -> Page:
        """A page is compressed as a whole: its bytes do not tell in what pieces its rows came."""
        rows, hashes = self._rows, self._hashes
        self._rows, self._bytes, self._hashes = [], 0, {}
        body, (last_key,) = _compressed(rows, self._level), keys_at(rows[-1:], self._key_at)
        if self._held is None:
            return Page(Operation.CHANGED, body, last_key, len(rows), None)
        unread = WrittenHashes(body, self._key_at, len(rows))
        return Page(Operation.CHANGED, body, last_key, len(rows), unread if hashes is None else hashes)


def _compressed(lines: Sequence[bytes], level: int) -> bytes:
    return isal_zlib.compress(b"".join(lines), level, _GZIP)


def key_place(feed: Feed, contract: int) -> int:
    """Where the key is among the columns of changed rows under a contract."""
    return feed.columns_under(contract).index(feed.key_under(contract))


def keys_at(lines: Sequence[bytes], column: int) -> list[int]:
    """The key in each line of COPY text; an integer is never escaped."""
    return [int(line.split(b"\t", column + 1)[column]) for line in lines]


def hashes_at(lines: Sequence[bytes]) -> list[int]:
    """The row hash in each line of COPY text: the last column."""
    return [int(line.rpartition(b"\t")[2]) for line in lines]


def deletions(keys: Sequence[int], *, compression_level: int) -> Page:
    """A page of keys, in their order, whose rows are gone; there must be one at least."""
    body = _compressed([b"%d\n" % key for key in keys], compression_level)
    return Page(Operation.DELETED, body, keys[-1], len(keys), dict.fromkeys(keys))


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

    def stored(self, feed: Feed, after: str = "") -> Iterator[str]:
        """Keys of the feed's objects in their order, beginning behind `after`."""
        return self._objects.keys(self._bucket, f"{feed.name}/", after)

    def send_stored(self, key: str) -> ChangeBatch:
        """Send the batch of an object once more. Raises CorruptObject where it has no envelope."""
        batch = self.batch(key)
        self._queue.send([batch.body()])
        return batch

    def beat(self, heartbeat: Heartbeat) -> None:
        """Send a heartbeat behind all that was published before it. Raises QueueUnavailable."""
        self._queue.send([heartbeat.body()])

    def batch(self, key: str) -> ChangeBatch:
        """The change batch that an object's envelope holds. Raises CorruptObject where there is none."""
        return archived(self._objects, self._bucket, key)

    def lines(self, batch: ChangeBatch) -> list[bytes]:
        """The rows of a change batch, or its keys, each as one line of COPY text. Raises CorruptObject."""
        return lines_of(self._objects.get(batch.data.object), f"{self._bucket}/{batch.data.object.key}")


def lines_of(body: bytes, where: str) -> list[bytes]:
    """The lines of an archive object's bytes, their ends included. Raises CorruptObject, which names `where`."""
    try:
        return zlib.decompress(body, _GZIP).splitlines(keepends=True)
    except zlib.error as exc:
        raise CorruptObject(f"Expected gzip in {where}, found {exc}.") from exc


def archived(objects: ObjectStore, bucket: str, key: str) -> ChangeBatch:
    """The change batch of an archive object, as its envelope has it.

    Raises CorruptObject where it has none, NewerThanCode where only newer code can read it.
    """
    envelope = objects.metadata(bucket, key).get(ENVELOPE)
    if envelope is None:
        raise CorruptObject(f"Expected an envelope in the metadata of {bucket}/{key} and found none.")
    try:
        return read(ChangeBatch, envelope, f"a change batch as the envelope of {bucket}/{key}")
    except MalformedMessage as exc:
        raise CorruptObject(str(exc)) from exc


def describe(feed: Feed, page: Page, number: int, at: Circumstances, bucket: str) -> ChangeBatch:
    """The change batch of a page: the same page in the same circumstances always has the same."""
    position = Position(generation=at.generation, revision=at.revision, contract=at.contract or feed.contract)
    digest, operation = sha256(page.body), page.operation
    key = archive_key(feed.name, as_of=at.as_of, position=position, page=number, operation=operation, sha256=digest)
    return ChangeBatch.of(
        ChangeBatchData(
            feed=feed.name,
            operation=operation,
            origin=at.origin,
            position=position,
            page=number,
            since=at.since,
            as_of=at.as_of,
            time_zone=at.time_zone,
            object=ObjectRef(bucket=bucket, key=key, sha256=digest, bytes=len(page.body), rows=page.rows),
            columns=columns_of(feed, operation, position.contract, hashed=page.hashes is not None),
        )
    )


def columns_of(feed: Feed, operation: Operation, contract: int, *, hashed: bool = True) -> tuple[str, ...]:
    """The columns of an object: of changed rows all, and the row hash if they came with it; of deleted ones the key.

    Raises KeyError for a contract that is unknown.
    """
    if operation is Operation.DELETED:
        return (feed.key_under(contract),)
    return (*feed.columns_under(contract), *[ROW_HASH] * hashed)
