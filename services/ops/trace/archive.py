"""Find one row in the archive, its quarantine and its built batches: one object in memory at a time, listings in order.

Invariant: it only reads, and never the source. An object that is damaged is named and skipped: it hides its own rows
and no others. Reading again finds the same and what has been archived since.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from contracts.feeds import Feed
from contracts.messages import QUARANTINE, ArchiveKey, ChangeBatch, Operation
from services.ops import backlog
from services.ops.quarantine import REPLAYED, ReplayedRows
from services.ops.trace.timeline import Observation, Quarantined, Replayed, Span, Spot, Values
from services.transform.copy_text import decompress, unescape
from services.transform.quarantine import QuarantinedRow
from shared.archive import archived as archived_batch
from shared.archive import keys_at
from shared.errors import CorruptObject
from shared.objects import ObjectStore, sha256

Look = Callable[[int, ArchiveKey], None]
"""Told of each object before it is read: how many were read, and which one comes."""
_DIGEST_CHARACTERS = 16
"""Of a digest, in the names of objects."""


@dataclass
class Search:
    """What a search has found so far."""

    observations: list[Observation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    objects: int = 0


@dataclass(frozen=True)
class Archive:
    """The archive's bucket and the processed one."""

    objects: ObjectStore
    bucket: str
    processed: str

    def search(self, feed: Feed, key: int, span: Span, look: Look) -> Search:
        """Every observation of the key in the objects whose snapshot lies in the span."""
        found = Search()
        for archived, name in self._listed(feed, span):
            look(found.objects, archived)
            try:
                found.observations += self._observed(feed, archived, name, key)
            except CorruptObject as exc:
                found.notes.append(f"An object of the archive could not be read, and may hold observations: {exc}")
            found.objects += 1
        return found

    def quarantined(self, feed: Feed, observations: Sequence[Observation]) -> dict[Spot, tuple[Quarantined, ...]]:
        """Why observations are in quarantine, those that are."""
        found: dict[Spot, tuple[Quarantined, ...]] = {}
        for one in observations:
            for name in self._named_like(f"{QUARANTINE}/{feed.name}", one):
                rows = (QuarantinedRow.model_validate_json(line) for line in self._lines(name))
                why = [_quarantined(name, row) for row in rows if (row.object, row.row) == (one.object, one.row)]
                found[one.object, one.row] = (*found.get((one.object, one.row), ()), *why)
        return found

    def replays(self, quarantined: Mapping[Spot, Sequence[Quarantined]]) -> dict[Spot, tuple[Replayed, ...]]:
        """What quarantined rows were sent again as, by the markers that a replay leaves."""
        found: dict[Spot, tuple[Replayed, ...]] = {}
        for (archived, row), reasons in quarantined.items():
            for name in [name for bad in reasons for name in self._markers(bad.object)]:
                marker = ReplayedRows.model_validate_json(b"".join(self._lines(name)))
                if row in marker.rows:
                    sent = Replayed(name, marker.batch, marker.archive, marker.replays)
                    found[archived, row] = (*found.get((archived, row), ()), sent)
        return found

    def built(self, feed: Feed, observations: Sequence[Observation]) -> frozenset[str]:
        """Those of the change batches whose star rows lie in the processed bucket."""
        table = "" if feed.star is None else feed.star.table
        return frozenset(one.batch for one in observations if any(True for _ in self._named_like(table, one)))

    def _listed(self, feed: Feed, span: Span) -> Iterator[tuple[ArchiveKey, str]]:
        after = "" if span.since is None else backlog.begin_listing(feed.name, span.since)
        names = self.objects.keys(self.bucket, f"{feed.name}/", after)
        listed = ((archived, name) for name in names if (archived := ArchiveKey.parse(name)) is not None)
        wanted = takewhile(lambda each: span.until is None or each[0].as_of <= span.until, listed)
        return (each for each in wanted if span.holds(each[0].as_of))

    def _observed(self, feed: Feed, archived: ArchiveKey, name: str, key: int) -> list[Observation]:
        """Its envelope is asked for only where the key may be in it: one request less for most objects."""
        body = self._body(archived, name)
        text = decompress(body, f"{self.bucket}/{name}")
        if b"%d" % key not in text or re.search(rb"(?m)(?:^|\t)%d(?:\t|$)" % key, text) is None:
            return []
        return list(observed(archived_batch(self.objects, self.bucket, name), feed, text, key))

    def _body(self, archived: ArchiveKey, name: str) -> bytes:
        stored = self.objects.find(self.bucket, name)
        if stored is None:
            raise CorruptObject(f"Expected the object {self.bucket}/{name}, which was listed, and found none.")
        digest = archived.batch[-_DIGEST_CHARACTERS:]
        if sha256(stored.body)[:_DIGEST_CHARACTERS] != digest:
            raise CorruptObject(f"Expected bytes with sha256 {digest}… in {self.bucket}/{name}, found others.")
        return stored.body

    def _markers(self, quarantine: str) -> Iterator[str]:
        """Markers of a quarantine object, one for each replay (see services/ops/quarantine.py)."""
        stem = quarantine.removeprefix(f"{QUARANTINE}/").removesuffix(".jsonl")
        return self.objects.keys(self.processed, f"{REPLAYED}/{stem}-")

    def _lines(self, name: str) -> list[bytes]:
        """The lines of an object of the processed bucket; none of one that is gone."""
        stored = self.objects.find(self.processed, name)
        return [] if stored is None else stored.body.splitlines()

    def _named_like(self, folder: str, one: Observation) -> Iterator[str]:
        """Objects of the processed bucket that were made of an observation's archive object."""
        return self.objects.keys(self.processed, f"{folder}/{backlog.stem(one.object)}-")


def observed(batch: ChangeBatch, feed: Feed, text: bytes, key: int) -> Iterator[Observation]:
    """The rows of a batch that have the key, each with its place in the object."""
    data = batch.data
    column = data.columns.index(feed.key_under(data.position.contract))
    lines = text.split(b"\n")[:-1]
    for row, (line, found) in enumerate(zip(lines, keys_at(lines, column), strict=True)):
        if found == key:
            yield Observation(
                batch=batch.id,
                object=data.object.key,
                row=row,
                operation=data.operation,
                origin=data.origin,
                generation=data.position.generation,
                revision=data.position.revision,
                contract=data.position.contract,
                since=data.since,
                as_of=data.as_of,
                values={} if data.operation is Operation.DELETED else _values(data.columns, line),
            )


def _values(columns: Sequence[str], line: bytes) -> Values:
    """The row as archived, without the row hash, which the pipeline added."""
    fields = unescape(line.decode().split("\t"))
    return {name: value for name, value in zip(columns, fields, strict=True) if not name.startswith("_")}


def _quarantined(name: str, row: QuarantinedRow) -> Quarantined:
    return Quarantined(
        object=name,
        field=row.field,
        value=row.value,
        reason=row.reason,
        reason_class=row.reason_class,
        contract=row.contract,
    )
