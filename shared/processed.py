"""The processed bucket as a reader of star rows sees it: small files, compacted ones, and which of them to read.

    <star table>/date=2026-11-24/<archive stem>-<digest>.parquet              what transform wrote, a file a load batch
    _compacted/<star table>/date=2026-11-24/<kind>-<sequence>-<digest>.parquet   the rows of many of them
    _manifest/<star table>/date=2026-11-24/<sequence>.json                    which small files those rows came from

Invariant: the newest manifest's files and the small files it does not cover hold every row of a day exactly once, at
every moment: a manifest is written after its files, once, and no object is ever changed or removed. A file that no
manifest names is nobody's: a compaction that died left it. A second reading gives the same rows, and what came since.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import Field, ValidationError

from contracts.feeds import FEEDS
from contracts.messages import Count, Message, Operation
from shared.errors import CorruptObject
from shared.objects import Listed, ObjectStore
from shared.parquet import Provenance

COMPACTED = "_compacted"
MANIFEST = "_manifest"
"""Folders of the processed bucket beside the star tables, none of which begins with an underscore."""
SEQUENCE_DIGITS = 10
"""So many that the order of keys is the order of sequences."""
SHOWN_DIGEST = 16
"""Hex digits of its bytes' sha256 in a file's name."""
FEED_OF = {feed.star.table: feed.name for feed in FEEDS.values() if feed.star is not None}
"""Star table -> the feed whose change batches its files were made from."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}/")
_SMALL = re.compile(
    r"(?P<table>[^/]+)/date=(?P<date>[0-9-]{10})/(?P<time>[0-9.]{13})Z-p0*(?P<page>[0-9]+)-g(?P<generation>[0-9]+)"
    r"-r(?P<revision>[0-9]+)-v(?P<contract>[0-9]+)-(?P<operation>changed|deleted)-(?P<archived>[0-9a-f]{16})"
    r"-(?P<digest>[0-9a-f]{16})[.]parquet"
)


@dataclass(frozen=True, slots=True)
class SmallFile:
    """One file that transform wrote: its place, its size, and what its name says of its rows.

    A busy day has 86,400 of them, so this is small, and what is needed of one at a time is read from the name then.
    """

    key: str
    bytes: int

    @classmethod
    def parse(cls, found: Listed) -> "SmallFile | None":
        """A file of the shape that transform names; None for any other key."""
        part = _SMALL.fullmatch(found.key)
        return None if part is None or part["table"] not in FEED_OF else cls(found.key, found.bytes)

    @property
    def operation(self) -> Operation:
        """Whether it holds star rows or the keys of deleted ones."""
        return Operation(self._part["operation"])

    @property
    def digest(self) -> str:
        """The first digits of its bytes' sha256."""
        return self._part["digest"]

    @property
    def origin(self) -> Provenance:
        """Where its rows came from."""
        part = self._part
        batch = "g{generation}.r{revision}.v{contract}.p{page}/{archived}".format_map(part)
        as_of = datetime.strptime(f"{part['date']} {part['time']}", "%Y-%m-%d %H%M%S.%f").replace(tzinfo=UTC)
        return Provenance(
            batch=f"{FEED_OF[part['table']]}/{batch}",
            generation=int(part["generation"]),
            revision=int(part["revision"]),
            contract=int(part["contract"]),
            as_of=as_of,
        )

    @property
    def _part(self) -> dict[str, str]:
        found = _SMALL.fullmatch(self.key)
        if found is None:
            raise ValueError(f"Expected the key of a file that transform wrote, found {self.key}.")
        return found.groupdict()


class CompactedFile(Message):
    """A file that a compaction wrote: rows of one kind, each with its provenance."""

    key: str
    operation: Operation
    rows: Count
    bytes: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(Message):
    """What a day's compacted files hold, complete: each manifest replaces the one before it."""

    table: str
    day: date
    sequence: Count
    """From 1 on; 0 is the one that covers nothing, before any is stored."""
    files: tuple[CompactedFile, ...]
    covers: tuple[str, ...]
    """Keys of the small files whose rows are in `files`."""
    left: tuple[str, ...]
    """Keys of small files that the compaction could not read: they stay what is to be read, and are not tried again."""

    @property
    def key(self) -> str:
        """Where it is stored."""
        return f"{manifests(self.table, self.day)}{self.sequence:0{SEQUENCE_DIGITS}d}.json"


@dataclass(frozen=True)
class Day:
    """A star table's files of one day, as they were at one moment."""

    table: str
    day: date
    manifest: Manifest
    """The newest one, or the one of sequence 0."""
    uncovered: tuple[SmallFile, ...]
    """The small files whose rows no compacted file holds, in the order of their names."""


@dataclass(frozen=True)
class Readable:
    """One object that a reader of a day must read."""

    key: str
    operation: Operation
    """Whether it holds star rows or the keys of deleted ones."""
    bytes: int
    compacted: bool
    """Whether its rows carry their provenance as columns; a small file's is in its name."""


class Processed:
    """The bucket, read."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        """Take the object store and the processed bucket."""
        self._objects = objects
        self._bucket = bucket

    def days(self, table: str) -> list[date]:
        """The days of which a star table has files, oldest first."""
        return self._dates(f"{table}/date=")

    def compacted_days(self, table: str) -> list[date]:
        """The days that have a manifest, oldest first."""
        return self._dates(f"{MANIFEST}/{table}/date=")

    def day(self, table: str, day: date) -> Day:
        """What a day consists of now. The manifest first: what comes after it is not covered by it."""
        manifest = self._newest(table, day)
        covered = set(manifest.covers)
        listing = self._objects.listed(self._bucket, f"{table}/date={day}/")
        parsed = (SmallFile.parse(found) for found in listing if found.key not in covered)
        return Day(table, day, manifest, tuple(file for file in parsed if file is not None))

    def files_of(self, table: str, since: date, until: date) -> Iterator[Readable]:
        """Every object to read for the days from `since` to `until`, both included: each row is in exactly one."""
        for day in self.days(table):
            if since <= day <= until:
                yield from readable(self.day(table, day))

    def _newest(self, table: str, day: date) -> Manifest:
        keys = list(self._objects.keys(self._bucket, manifests(table, day)))
        found = self._objects.find(self._bucket, keys[-1]) if keys else None
        if found is None:
            return Manifest(table=table, day=day, sequence=0, files=(), covers=(), left=())
        try:
            return Manifest.model_validate_json(found.body)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]["msg"]
            raise CorruptObject(f"Expected a manifest in {self._bucket}/{keys[-1]}: {first}.") from exc

    def _dates(self, prefix: str) -> list[date]:
        folders = self._objects.folders(self._bucket, prefix)
        return [date.fromisoformat(folder[:-1]) for folder in folders if _DATE.fullmatch(folder)]


def readable(day: Day) -> list[Readable]:
    """The objects that together hold every row of a day once. Pure."""
    compacted = [Readable(file.key, file.operation, file.bytes, compacted=True) for file in day.manifest.files]
    small = [Readable(file.key, file.operation, file.bytes, compacted=False) for file in day.uncovered]
    return compacted + small


def manifests(table: str, day: date) -> str:
    """The folder of a day's manifests."""
    return f"{MANIFEST}/{table}/date={day}/"


def compacted_key(table: str, day: date, *, sequence: int, operation: Operation, sha256: str) -> str:
    """Where a compacted file is stored: named by the manifest it is made for, and by its own bytes."""
    name = f"{operation}-{sequence:0{SEQUENCE_DIGITS}d}-{sha256[:SHOWN_DIGEST]}.parquet"
    return f"{COMPACTED}/{table}/date={day}/{name}"
