"""The loader's function: load batches from SQS into the warehouse, as many as fit into one transaction a star table.

A heartbeat has a transaction of its own, after the load batches it came with.

Invariant: a message is done only after its transaction is committed. A second delivery finds its load batch there and
is done at once. One bad message never costs its neighbours: a group that fails is tried again message by message.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

import boto3

from contracts.feeds import FEEDS, Feed
from contracts.messages import LoadBatch, is_heartbeat
from contracts.star import STAR_TABLES, StarRow
from services.loader.load import fetch, load
from services.loader.measured import measured
from services.loader.proof import record
from services.loader.staging import Load
from services.loader.warehouse import Warehouse
from shared.consumer import Answer, Consumer, Delivery, Event, InTime, always, no_time
from shared.errors import (
    ConfigurationError,
    MalformedMessage,
    ObjectStoreUnavailable,
    PipelineError,
    Unavailable,
)
from shared.heartbeat import read_heartbeat
from shared.invocation import Context, seconds_left, utc_now
from shared.objects import ObjectStore
from shared.postgres import Connection
from shared.queues import Queue
from shared.reading import feed_known, read
from shared.secrets import Secrets, connect_by_secret
from shared.settings import Settings
from shared.telemetry import Logger, emit, logger

APPLICATION_NAME = "totes-loader"
TRANSACTION_ROWS = 100_000
"""Of the load batches of one transaction, unless one alone has more: larger ones gain nothing."""
TRANSACTION_SECONDS = 10.0
"""Of the largest transaction, once it has its lock; with the wait for it the reserve."""
_ORDER = {table.table: number for number, table in enumerate(STAR_TABLES)}
"""Dimensions first: fewer inferred members."""


@dataclass(frozen=True)
class Received:
    """A message that was read: its delivery, its load batch, its star table."""

    delivery: Delivery
    batch: LoadBatch
    table: type[StarRow]


Failures = dict[str, PipelineError]


@dataclass(frozen=True)
class Loader:
    """What handles load batches: where their objects lie, where their rows go."""

    objects: ObjectStore
    warehouse: Warehouse
    log: Logger
    now: Callable[[], datetime] = utc_now
    feeds: Mapping[str, Feed] = field(default_factory=lambda: FEEDS)

    def handle(self, deliveries: Sequence[Delivery], in_time: InTime = always) -> Failures:
        """Load what can be loaded; message id -> why not, for the others."""
        failures: Failures = {}
        readable: list[Received] = []
        beats = [delivery for delivery in deliveries if is_heartbeat(delivery.body)]
        for delivery in deliveries:
            if delivery in beats:
                continue
            try:
                readable.append(read_message(delivery, self.feeds))
            except PipelineError as exc:
                failures[delivery.message_id] = exc
        for group in groups(readable):
            failures |= self._load_group(group, in_time)
        for delivery in beats:
            failures |= self._record(delivery) if in_time() else {delivery.message_id: no_time()}
        return failures

    def _record(self, delivery: Delivery) -> Failures:
        """Record a heartbeat, by itself."""
        try:
            heartbeat = read_heartbeat(delivery.body)
            record(self.warehouse, heartbeat)
        except PipelineError as exc:
            return {delivery.message_id: exc}
        except Exception as exc:
            self.log.exception("heartbeat failed", message_id=delivery.message_id)
            return {delivery.message_id: PipelineError(f"A heartbeat met a mistake of the loader's: {exc!r}.")}
        self.log.info("heartbeat", heartbeat=heartbeat.id)
        age_seconds = (self.now() - heartbeat.data.as_of).total_seconds()
        emit(self.log.service, {"heartbeat_age_seconds": max(0.0, age_seconds)})
        return {}

    def _load_group(self, group: Sequence[Received], in_time: InTime) -> Failures:
        """Load messages of one star table together; each alone if one of them may be the reason that this fails."""
        if not in_time():
            return {received.delivery.message_id: no_time() for received in group}
        try:
            self._load(group)
        except (Unavailable, ConfigurationError) as exc:
            if len(group) == 1 or not isinstance(exc, ObjectStoreUnavailable):
                return {received.delivery.message_id: exc for received in group}
        except PipelineError as exc:
            if len(group) == 1:
                return {group[0].delivery.message_id: exc}
        except Exception as exc:
            # A mistake of ours that one message meets; uncaught, it would take its neighbours to the dead letters.
            if len(group) == 1:
                self.log.exception("failed", batch=group[0].batch.data.change_batch)
                found = PipelineError(f"Load batch {group[0].batch.id} met a mistake of the loader's: {exc!r}.")
                return {group[0].delivery.message_id: found}
        else:
            return {}
        return {name: exc for alone in group for name, exc in self._load_group([alone], in_time).items()}

    def _load(self, group: Sequence[Received]) -> None:
        """Fetch the objects, which are small; each is decoded only in its transaction."""
        begun = self.now()
        report = load(self.warehouse, group[0].table, [self._fetch(received) for received in group])
        batches = {received.batch.id: received.batch.data for received in group}
        for name, data in batches.items():
            said = "loaded" if name in report.loaded else "already there"
            transaction = {"batches": len(batches), "versions": report.versions}
            rows, table = data.object.rows, data.star_table
            self.log.info(said, batch=data.change_batch, star_table=table, rows=rows, transaction=transaction)
        for feed, values in measured((batches[name] for name in report.loaded), begun, self.now()).items():
            emit(self.log.service, values, of=feed)

    def _fetch(self, received: Received) -> Load:
        return fetch(self.objects, received.batch, received.table)


def read_message(delivery: Delivery, feeds: Mapping[str, Feed] = FEEDS) -> Received:
    """The load batch in a message.

    Raises NewerThanCode where this code does not know its feed or contract yet, MalformedMessage where it can never be
    loaded.
    """
    batch = read(LoadBatch, delivery.body, "a load batch")
    feed = feed_known(batch.data, feeds)
    if feed.star is None or feed.star.table != batch.data.star_table:
        raise MalformedMessage(
            f"Expected a feed with its star table, found the feed {feed.name!r} with {batch.data.star_table!r}."
        )
    if batch.id != LoadBatch.of(batch.data).id:
        raise MalformedMessage(f"Expected an id that follows from the load batch, found {batch.id!r}.")
    return Received(delivery, batch, feed.star)


def groups(received: Iterable[Received]) -> list[list[Received]]:
    """What is loaded in one transaction each: of one star table, dimensions first, and not too many rows."""
    together: dict[str, list[Received]] = {}
    for item in received:
        together.setdefault(item.table.table, []).append(item)
    ordered = (together[name] for name in sorted(together, key=_ORDER.__getitem__))
    return [group for table in ordered for group in _transactions(table)]


def _transactions(received: Sequence[Received]) -> Iterator[list[Received]]:
    """The messages in their order, TRANSACTION_ROWS rows together at the most."""
    group: list[Received] = []
    rows = 0
    for item in received:
        size = item.batch.data.object.rows
        if group and rows + size > TRANSACTION_ROWS:
            yield group
            group, rows = [], 0
        group.append(item)
        rows += size
    yield group


@dataclass(frozen=True)
class Composition:
    """The function's parts, built once an execution environment."""

    loader: Loader
    consumer: Consumer


@cache
def composition() -> Composition:
    """Build the adapters from settings; nothing connects to the warehouse yet."""
    settings = Settings.from_environment()
    secrets, sqs = Secrets(boto3.client("secretsmanager")), boto3.client("sqs")
    warehouse = Warehouse(lambda: _connect(secrets, settings), settings.warehouse_schema)
    loader = Loader(ObjectStore(boto3.client("s3")), warehouse, logger("loader", settings.log_level))
    consumer = Consumer(
        loader.handle,
        Queue(sqs, settings.loads_queue_url),
        Queue(sqs, settings.dead_letter_queue_url),
        loader.log,
        reserve_seconds=settings.warehouse_lock_timeout_seconds + TRANSACTION_SECONDS,
    )
    return Composition(loader, consumer)


def _connect(secrets: Secrets, settings: Settings) -> Connection:
    return connect_by_secret(
        secrets,
        settings.warehouse_secret,
        application_name=APPLICATION_NAME,
        statement_timeout_seconds=settings.statement_timeout_seconds,
        lock_timeout_seconds=settings.warehouse_lock_timeout_seconds,
    )


def handler(event: Event, context: Context) -> Answer:
    """Lambda's entry: ReportBatchItemFailures."""
    return composition().consumer.consume(event, lambda: seconds_left(context))
