"""The loader's function: load batches from SQS into the warehouse, as many as fit into one transaction a star table.

Invariant: a message is done only after its transaction is committed. A second delivery finds its load batch there and
is done at once. One bad message never costs its neighbours: a group that fails is tried again message by message, and
a message that was received before (it may have killed its function) is tried alone, after all others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from pydantic import ValidationError

from contracts.feeds import FEEDS
from contracts.messages import LoadBatch, Operation
from contracts.star import STAR_TABLES, StarRow
from services.loader.load import load
from services.loader.staging import Load
from services.loader.warehouse import Warehouse
from shared import parquet
from shared.consumer import Answer, Delivery, Event, consume
from shared.errors import ConfigurationError, MalformedMessage, ObjectStoreUnavailable, PipelineError, Unavailable
from shared.objects import ObjectStore
from shared.postgres import Connection
from shared.queues import Queue
from shared.secrets import Secrets, connect_by_secret
from shared.settings import Settings
from shared.telemetry import Logger, logger

APPLICATION_NAME = "totes-loader"
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

    def handle(self, deliveries: Sequence[Delivery]) -> Failures:
        """Load what can be loaded; message id -> why not, for the others."""
        failures: Failures = {}
        readable: list[Received] = []
        for delivery in deliveries:
            try:
                readable.append(read_message(delivery))
            except PipelineError as exc:
                failures[delivery.message_id] = exc
        for group in groups(readable):
            failures |= self._load_group(group)
        return failures

    def _load_group(self, group: Sequence[Received]) -> Failures:
        """Load messages of one star table together; each alone if one of them may be the reason that this fails."""
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
                self.log.exception("failed", load_batch=group[0].batch.id)
                found = PipelineError(f"Load batch {group[0].batch.id} met a mistake of the loader's: {exc!r}.")
                return {group[0].delivery.message_id: found}
        else:
            return {}
        return {name: exc for alone in group for name, exc in self._load_group([alone]).items()}

    def _load(self, group: Sequence[Received]) -> None:
        """Fetch the objects, which are small; each is decoded only when it is staged, so memory holds one page."""
        table = group[0].table
        report = load(self.warehouse, table, [self._fetch(received) for received in group])
        self.log.info(
            "loaded",
            star_table=table.table,
            load_batches=report.loaded,
            already_there=report.already_there,
            rows=report.rows,
            versions=report.versions,
        )

    def _fetch(self, received: Received) -> Load:
        table, data = received.table, received.batch.data
        body = self.objects.get(data.object)
        if data.operation is Operation.DELETED:
            return Load(received.batch, lambda: {table.key: parquet.read_keys(table, body)})
        return Load(received.batch, lambda: parquet.read(table, body))


def read_message(delivery: Delivery) -> Received:
    """The load batch in a message. Raises MalformedMessage where it is none that this code can load."""
    try:
        batch = LoadBatch.model_validate_json(delivery.body)
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"])) or "its body"
        raise MalformedMessage(f"Expected a load batch, found in {place}: {problem['msg']}.") from exc
    feed = FEEDS.get(batch.data.feed)
    if feed is None or feed.star is None or feed.star.table != batch.data.star_table:
        raise MalformedMessage(
            f"Expected a feed with its star table, found the feed {batch.data.feed!r} with {batch.data.star_table!r}."
        )
    if batch.id != LoadBatch.of(batch.data).id:
        raise MalformedMessage(f"Expected an id that follows from the load batch, found {batch.id!r}.")
    return Received(delivery, batch, feed.star)


def groups(received: Iterable[Received]) -> list[list[Received]]:
    """One group a star table, dimensions first; then, each alone, what was received before, least often first."""
    together: dict[str, list[Received]] = {}
    alone: list[Received] = []
    for item in received:
        if item.delivery.receive_count > 1:
            alone.append(item)
        else:
            together.setdefault(item.table.table, []).append(item)
    ordered = [together[name] for name in sorted(together, key=_ORDER.__getitem__)]
    alone.sort(key=lambda item: (item.delivery.receive_count, _ORDER[item.table.table]))
    return ordered + [[item] for item in alone]


@dataclass(frozen=True)
class Composition:
    """The function's parts, built once an execution environment."""

    loader: Loader
    queue: Queue
    dead_letters: Queue


@cache
def compose() -> Composition:
    """Build the adapters from settings; nothing connects to the warehouse yet."""
    settings = Settings()
    secrets, sqs = Secrets(boto3.client("secretsmanager")), boto3.client("sqs")
    warehouse = Warehouse(lambda: _connect(secrets, settings), settings.warehouse_schema)
    return Composition(
        Loader(ObjectStore(boto3.client("s3")), warehouse, logger("loader", settings.log_level)),
        Queue(sqs, settings.loads_queue_url),
        Queue(sqs, settings.dead_letter_queue_url),
    )


def _connect(secrets: Secrets, settings: Settings) -> Connection:
    return connect_by_secret(
        secrets,
        settings.warehouse_secret,
        application_name=APPLICATION_NAME,
        statement_timeout_seconds=settings.statement_timeout_seconds,
        lock_timeout_seconds=settings.warehouse_lock_timeout_seconds,
    )


def handler(event: Event, _context: Any) -> Answer:
    """Lambda's entry: ReportBatchItemFailures."""
    parts = compose()
    return consume(event, parts.loader.handle, queue=parts.queue, dead_letters=parts.dead_letters, log=parts.loader.log)
