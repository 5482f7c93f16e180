"""The quarantine that is still open: rows that broke their contract and were not replayed since.

Invariant: nothing here is ever changed. A row is open as long as no marker of its quarantine object names it. A marker
is written once, after the rows it names were sent again as a batch of their own; where they break the contract again
they are quarantined anew, as rows of that batch's object, and so are open again. Memory holds one object's rows.

    _quarantine/<feed>/date=…/<stem of the archive object>-<digest>.jsonl       services/transform/quarantine.py
    _replayed/<feed>/date=…/<stem of the quarantine object>-<digest of the replay's archive object>.json
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.messages import QUARANTINE, ArchiveKey
from services.transform.quarantine import QuarantinedRow
from shared.errors import CorruptObject
from shared.objects import ObjectStore, sha256

PLACE = "quarantine"
"""What stands for the quarantine where queues are named."""
REPLAYED = "_replayed"
"""The markers' folder in the processed bucket; no star table begins with an underscore."""
PURGED = "_purged"
"""The folder, there too, of what was given up. In a marker: what the rows became instead of a change batch."""
ID_CHARACTERS = 8
"""Of a digest of the quarantine object's key, in hex; the row's index follows it."""
_DIGEST = re.compile(r"-([0-9a-f]{16})$")


class ReplayedRows(BaseModel):
    """A marker: rows of one quarantine object that were sent again, and as what."""

    model_config = ConfigDict(frozen=True)

    quarantine: str
    """Key of the quarantine object."""
    rows: tuple[int, ...]
    """Their indices in the archive object which that quarantine object names."""
    batch: str
    """Id of the change batch they were sent as."""
    archive: str
    """Key of that batch's archive object. It must be an object of its own, never the one the rows lay in: a row that
    fails again is known by it, and by it is open again."""
    replays: int
    """How often these rows were replayed, this time included."""


def marker_key(marker: ReplayedRows) -> str:
    """Where a marker is kept: beside its neighbours of the same quarantine object, one for each replay."""
    stem = marker.quarantine.removeprefix(f"{QUARANTINE}/").removesuffix(".jsonl")
    return f"{REPLAYED}/{stem}-{_archive_digest(marker.archive)}.json"


@dataclass(frozen=True)
class QuarantineKey:
    """What a quarantine object's key tells: whose rows, and the source clock of the snapshot they were read from."""

    key: str
    feed: str
    as_of: datetime
    archive_digest: str
    """The first 16 characters of the archive object's digest."""

    @classmethod
    def parse(cls, key: str) -> "QuarantineKey | None":
        """Read what the transform writes; None for any other key."""
        stem, suffix = key.removeprefix(f"{QUARANTINE}/"), ".jsonl"
        if stem == key or not stem.endswith(suffix):
            return None
        archive = f"{_DIGEST.sub('', stem.removesuffix(suffix))}.tsv.gz"
        found = ArchiveKey.parse(archive)
        return None if found is None else cls(key, found.feed, found.as_of, _archive_digest(archive))


@dataclass(frozen=True)
class OpenRow:
    """A quarantined row that was not replayed since; `at` is the source clock of the snapshot it was read from."""

    id: str
    key: str
    """Of the quarantine object."""
    at: datetime
    replays: int
    """How often the row had been replayed when it failed like this."""
    row: QuarantinedRow

    @property
    def queue(self) -> str:
        """Its place beside the queues of parked messages."""
        return PLACE

    @property
    def feed(self) -> str:
        """Whose row it is."""
        return self.row.feed

    @property
    def cause(self) -> str:
        """Why it is here, in one word."""
        return self.row.reason_class


@dataclass(frozen=True)
class OpenObject:
    """The open rows of one quarantine object, one at least."""

    key: str
    feed: str
    at: datetime
    replays: int
    rows: tuple[OpenRow, ...]


class OpenQuarantine:
    """The processed bucket's quarantine minus what its markers name."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        """Take the object store and the processed bucket."""
        self._objects = objects
        self._bucket = bucket
        self._counted: dict[tuple[str, ...], int] = {}
        """Quarantine object and its markers -> its open rows; none of these objects ever changes."""

    def listed(
        self, feed: str | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[QuarantineKey]:
        """The quarantine objects of a feed or of all, by their snapshots' clock, by listing alone."""
        prefix = f"{QUARANTINE}/" if feed is None else f"{QUARANTINE}/{feed}/"
        for key in self._objects.keys(self._bucket, prefix):
            found = QuarantineKey.parse(key)
            if (
                found is not None
                and (since is None or since <= found.as_of)
                and (until is None or found.as_of <= until)
            ):
                yield found

    def objects(
        self, feed: str | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[OpenObject]:
        """The open rows, an object at a time. Raises CorruptObject, ObjectStoreUnavailable."""
        folder, markers = "", list[str]()
        for found in self.listed(feed, since=since, until=until):
            if _folder(found.key) != folder:
                folder = _folder(found.key)
                markers = list(self._objects.keys(self._bucket, f"{REPLAYED}/{folder}/"))
            rows = self._open_rows(found, markers)
            if rows:
                yield OpenObject(found.key, found.feed, found.as_of, rows[0].replays, rows)

    def rows(
        self, feed: str | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[OpenRow]:
        """The open rows, one by one."""
        for found in self.objects(feed, since=since, until=until):
            yield from found.rows

    def counts(self) -> dict[str, int]:
        """Open rows by feed, feeds without any left out; only objects not seen before are read."""
        counted, markers = Counter[str](), defaultdict[str, list[str]](list)
        for key in self._objects.keys(self._bucket, f"{REPLAYED}/"):
            markers[_folder(key)].append(key)
        for found in self.listed():
            own = _own(found, markers[_folder(found.key)])
            state = (found.key, *own)
            if state not in self._counted:
                self._counted[state] = len(self._open_lines(found, own))
            counted[found.feed] += self._counted[state]
        return {feed: count for feed, count in counted.items() if count}

    def _open_rows(self, found: QuarantineKey, markers: list[str]) -> tuple[OpenRow, ...]:
        rows = self._open_lines(found, _own(found, markers))
        replays = self._replays(found, markers) if rows else 0
        return tuple(OpenRow(_id(found.key, row.row), found.key, found.as_of, replays, row) for row in rows)

    def _open_lines(self, found: QuarantineKey, own: list[str]) -> list[QuarantinedRow]:
        replayed = {row for key in own for row in self._marker(key).rows}
        return [row for row in self._lines(found.key) if row.row not in replayed]

    def _replays(self, found: QuarantineKey, markers: list[str]) -> int:
        """A replay's rows that failed again lie in a quarantine object named after the replay's archive object."""
        end = f"-{found.archive_digest}.json"
        return max((self._marker(key).replays for key in markers if key.endswith(end)), default=0)

    def _lines(self, key: str) -> list[QuarantinedRow]:
        found = self._objects.find(self._bucket, key)
        try:
            lines = b"" if found is None else found.body
            return [QuarantinedRow.model_validate_json(line) for line in lines.split(b"\n")[:-1]]
        except ValidationError as exc:
            raise CorruptObject(f"Expected quarantined rows in {self._bucket}/{key}, found other lines.") from exc

    def _marker(self, key: str) -> ReplayedRows:
        found = self._objects.find(self._bucket, key)
        try:
            return ReplayedRows.model_validate_json(b"" if found is None else found.body)
        except ValidationError as exc:
            raise CorruptObject(f"Expected a replay's marker in {self._bucket}/{key}, found something else.") from exc


def _id(key: str, row: int) -> str:
    """`q-…-<row>`."""
    return f"q-{sha256(key.encode())[:ID_CHARACTERS]}-{row}"


def _own(found: QuarantineKey, markers: list[str]) -> list[str]:
    """Those of the markers that name rows of this quarantine object."""
    start = f"{REPLAYED}/{found.key.removeprefix(f'{QUARANTINE}/').removesuffix('.jsonl')}-"
    return [key for key in markers if key.startswith(start)]


def _folder(key: str) -> str:
    """`<feed>/date=…` of a quarantine object or a marker."""
    return "/".join(key.split("/")[1:3])


def _archive_digest(key: str) -> str:
    """The digest at the end of an archive object's key."""
    found = _DIGEST.search(key.removesuffix(".tsv.gz"))
    return found[1] if found else sha256(key.encode())[:16]
