"""From a change batch to its load batch: read, decode, validate, build, store, and send last.

Invariant: a load batch is sent only when all it names is stored. Keys, bytes and ids follow from the change batch and
this code alone, so a second delivery stores what is stored already and sends the same load batch again, which the
warehouse knows by its id. A batch without one good row still has its load batch: bookkeeping is complete. What was
archived under a former contract is brought up to today's, in `transform` and nowhere else, and loaded under today's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from contracts.columnar import TextColumn, Validated, validate
from contracts.feeds import FEEDS, Feed, TextColumns
from contracts.messages import (
    QUARANTINE,
    ROW_HASH,
    ChangeBatch,
    LoadBatch,
    LoadBatchData,
    ObjectRef,
    Operation,
    change_batch_id,
    is_heartbeat,
)
from contracts.star import StarRow
from services.transform import vector
from services.transform.archive import decode
from services.transform.incoming import feed_of, read_message
from services.transform.quarantine import json_lines, refuse_drift
from services.transform.row_hash import row_hashes
from services.transform.star import BUILDERS, Builder
from shared.consumer import Delivery, Failures, InTime, always, no_time
from shared.errors import CorruptObject, PipelineError
from shared.heartbeat import read_heartbeat
from shared.objects import ObjectStore, sha256
from shared.parquet import Array, write, write_keys
from shared.queues import Queue
from shared.telemetry import Logger, emit


@dataclass(frozen=True)
class File:
    """An object to be stored: its key, its bytes, and how many rows they hold."""

    key: str
    body: bytes
    rows: int


@dataclass(frozen=True)
class Outcome:
    """What a change batch comes to: a Parquet file (None for a feed without star table), and a quarantine file."""

    parquet: File | None
    quarantine: File | None


@dataclass(frozen=True)
class Built:
    """What was stored for a change batch: its load batch (None for a feed without star table), quarantined rows."""

    load_batch: LoadBatch | None
    quarantined: int


@dataclass(frozen=True)
class Workshop:
    """Where change batches become load batches: an object store, the bucket to write to, and what is known of feeds."""

    objects: ObjectStore
    processed_bucket: str
    feeds: Mapping[str, Feed] = field(default_factory=lambda: FEEDS)
    builders: Mapping[str, Builder] = field(default_factory=lambda: BUILDERS)
    """By star table."""

    def build(self, batch: ChangeBatch) -> Built:
        """Store what a change batch comes to. Raises ContractViolation or ObjectStoreUnavailable."""
        feed = feed_of(batch, self.feeds)
        outcome = transform(batch, feed, self.objects.get(batch.data.object), self.builders)
        quarantined = 0 if outcome.quarantine is None else self._store(outcome.quarantine).rows
        parquet = None if outcome.parquet is None else self._store(outcome.parquet)
        done = None if feed.star is None or parquet is None else load_batch_of(batch, feed, feed.star, parquet)
        return Built(done, quarantined)

    def _store(self, file: File) -> ObjectRef:
        ref = ObjectRef(
            bucket=self.processed_bucket, key=file.key, sha256=sha256(file.body), bytes=len(file.body), rows=file.rows
        )
        self.objects.put_once(ref, file.body)
        return ref


class Transform:
    """The service: change batches in, load batches out."""

    def __init__(
        self,
        objects: ObjectStore,
        *,
        processed_bucket: str,
        loads: Queue,
        log: Logger,
        feeds: Mapping[str, Feed] = FEEDS,
        builders: Mapping[str, Builder] = BUILDERS,
    ) -> None:
        """Take the object store, the bucket to write to, the queue to send to, the log, the feeds, what builds rows."""
        self._workshop = Workshop(objects, processed_bucket, feeds, builders)
        self._loads = loads
        self._log = log

    def handle(self, received: Sequence[Delivery], in_time: InTime = always) -> Failures:
        """Transform each message by itself, as long as there is time, then send all that they come to together."""
        outcomes = {each.message_id: self._attempt(each) if in_time() else no_time() for each in received}
        failures = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, PipelineError)}
        ready = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, str)}
        try:
            self._loads.send(list(ready.values()))
        except PipelineError as exc:
            failures.update(dict.fromkeys(ready, exc))
        return failures

    def _attempt(self, delivery: Delivery) -> str | PipelineError | None:
        """What one message comes to, as text; a mistake of our own must not stop its neighbours either."""
        try:
            return self._passed_on(delivery.body)
        except PipelineError as exc:
            return exc
        except Exception as exc:  # noqa: BLE001 - see above; it is logged and handed back
            batch = change_batch_id(delivery.body)
            self._log.exception("transform failed unexpectedly", batch=batch, message_id=delivery.message_id)
            return PipelineError(f"Transform failed on message {delivery.message_id}: {exc!r}.")

    def _passed_on(self, body: str) -> str | None:
        """The load batch of a change batch, or a heartbeat as it came."""
        if is_heartbeat(body):
            read_heartbeat(body)
            return body
        load_batch = self._transform(read_message(body))
        return None if load_batch is None else load_batch.body()

    def _transform(self, batch: ChangeBatch) -> LoadBatch | None:
        """Store what a change batch comes to; the load batch that may now be sent, if its feed has a star table."""
        built = self._workshop.build(batch)
        self._log.info("transformed", batch=batch.id, rows=batch.data.object.rows, quarantined=built.quarantined)
        if built.quarantined:
            emit(self._log.service, {"rows_quarantined": built.quarantined}, of=batch.data.feed)
        return built.load_batch


def transform(batch: ChangeBatch, feed: Feed, body: bytes, builders: Mapping[str, Builder] = BUILDERS) -> Outcome:
    """Remodel the rows of an archive object, as today's contract has them. Pure.

    Raises CorruptObject or ContractDrift.
    """
    if batch.data.operation is Operation.DELETED:
        keys = _stored(batch, body)[feed.key_under(batch.data.position.contract)]
        return Outcome(_deletions(batch, feed, keys), None)
    validated, hashes, quarantine = _accepted(batch, feed, body)
    if feed.star is None:
        return Outcome(None, quarantine)
    built = {**builders[feed.star.table](validated.columns), ROW_HASH: hashes}
    return Outcome(_file(batch, feed.star.table, "parquet", write(feed.star, built), len(hashes)), quarantine)


def load_batch_of(batch: ChangeBatch, feed: Feed, table: type[StarRow], parquet: ObjectRef) -> LoadBatch:
    """The message that says a change batch's star rows lie ready, under the contract that they were made under."""
    shared = batch.data.model_dump(exclude={"object", "columns", "position"})
    position = batch.data.position.model_copy(update={"contract": feed.contract})
    quarantined = batch.data.object.rows - parquet.rows
    return LoadBatch.of(
        LoadBatchData(
            **shared,
            position=position,
            object=parquet,
            change_batch=batch.id,
            star_table=table.table,
            quarantined=quarantined,
        )
    )


def _stored(batch: ChangeBatch, body: bytes) -> dict[str, TextColumn]:
    source = batch.data.object
    return decode(body, batch.data.columns, source.rows, f"{source.bucket}/{source.key}")


def _accepted(batch: ChangeBatch, feed: Feed, body: bytes) -> tuple[Validated, Array, File | None]:
    """The rows that passed, their hashes, and the file of the others. The text they lay in is let go with this call."""
    stored = _stored(batch, body)
    hashes = _row_hashes(stored, batch)
    columns = feed.upcast(batch.data.position.contract, stored)
    validated = validate(feed.row, columns, vector.at_once)
    refuse_drift(batch, feed.contract, validated.failures)
    kept = hashes[list(validated.rows)] if validated.failures else hashes
    return validated, kept, _quarantine(batch, feed, columns, validated)


def _row_hashes(stored: dict[str, TextColumn], batch: ChangeBatch) -> Array:
    """The row hashes, taken from among the columns; of rows that came without, as the source would give them."""
    written = stored.pop(ROW_HASH, None)
    return row_hashes([*stored.values()]) if written is None else _integers(written, vector.wide_integers, batch)


def _deletions(batch: ChangeBatch, feed: Feed, keys: TextColumn) -> File | None:
    if feed.star is None:
        return None
    body = write_keys(feed.star, _integers(keys, vector.integers, batch))
    return _file(batch, feed.star.table, "parquet", body, len(keys))


def _quarantine(batch: ChangeBatch, feed: Feed, columns: TextColumns, validated: Validated) -> File | None:
    if not validated.failures:
        return None
    body = json_lines(batch, feed.contract, validated.failures, columns[feed.key])
    return _file(batch, f"{QUARANTINE}/{feed.name}", "jsonl", body, len(validated.failures))


def _file(batch: ChangeBatch, folder: str, suffix: str, body: bytes, rows: int) -> File:
    """Named like the archive object, and by its own bytes: after an upgrade, a replay may write others."""
    date, name = PurePosixPath(batch.data.object.key).parts[-2:]
    return File(f"{folder}/{date}/{name.removesuffix('.tsv.gz')}-{sha256(body)[:16]}.{suffix}", body, rows)


def _integers(values: TextColumn, parser: vector.Parser, batch: ChangeBatch) -> Array:
    """Row hashes or keys that our own readers wrote: one that is no integer means damage, not a bad row."""
    found = vector.parsed(parser, values)
    if found is not None:
        return found
    kind = "int32" if parser is vector.integers else "int64"
    try:
        return np.array([int(value or "NULL") for value in values], kind)
    except (ValueError, OverflowError) as exc:
        raise CorruptObject(f"Expected {kind} values in {batch.data.object.key}, found {exc}.") from exc
