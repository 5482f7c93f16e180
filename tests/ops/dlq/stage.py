"""Real transform, real loader, a real warehouse, and a mistake in the contract that is mended when a test says so.

Time passes only while somebody waits, and then the pipeline works: a replay that waits for its first messages sees them
loaded, quarantined or parked again.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from moto.sqs.models import sqs_backends
from pydantic import StringConstraints

from contracts.feeds import FEEDS, Feed
from contracts.messages import ENVELOPE, ChangeBatch, Origin
from contracts.source import DesignRow
from services.loader.handler import Loader
from services.loader.warehouse import Warehouse as LoadedWarehouse
from services.ops.dlq.browse import Browse
from services.ops.dlq.replay import Clock, Plan, Replay, Source, Tally, Task, survey
from services.ops.dlq.send_again import Archive, Messages, Rows, Run, Wanted
from services.ops.dlq.watch import PipelineWatch
from services.ops.quarantine import OpenQuarantine
from services.ops.status import Warehouse
from services.transform.star import BUILDERS, Builder
from services.transform.transform import Transform
from shared.archive import Publisher
from shared.consumer import Consumer
from shared.objects import ObjectStore
from shared.postgres import Dsn, connect
from shared.queues import Queue, Received
from shared.telemetry import logger
from tests.conftest import REGION, Aws, open_connection
from tests.reconciler.conftest import SCHEMA
from tests.transform.archived import SourceRow, changed, row

ACCOUNT = "123456789012"
GONE = {"_inferred_at", "_loaded_at", "sales_record_id", "purchase_record_id", "payment_record_id"}
"""Columns that a clock or a serial filled."""
BEGAN = datetime(2020, 1, 1, tzinfo=UTC)


class StrictDesign(DesignRow):
    """A contract with a mistake in it: it takes no name but the short ones."""

    design_name: Annotated[str, StringConstraints(max_length=8)]


MISTAKEN = {**FEEDS, "design": replace(FEEDS["design"], row=StrictDesign)}
"""Until the contract is mended, which no test does by patching: the services take their feeds as an argument."""


def rows_of_designs(*names: str, first: int = 1) -> list[SourceRow]:
    return [row("design", design_id=str(first + number), design_name=name) for number, name in enumerate(names)]


@dataclass
class Stage:
    """Queues, buckets, one warehouse; `feeds` and `builders` are the code that is deployed now."""

    aws: Aws
    warehouse_dsn: str
    feeds: Mapping[str, Feed] = field(default_factory=lambda: MISTAKEN)
    builders: Mapping[str, Builder] = field(default_factory=lambda: BUILDERS)
    seconds: float = 0.0
    while_waiting: Callable[[], object] = lambda: None
    page: int = 0

    def __post_init__(self) -> None:
        self.objects = ObjectStore(self.aws.s3)
        self.log = logger("stage", "CRITICAL")
        self.warehouse = LoadedWarehouse(self.connect, SCHEMA)
        self.books = Warehouse(lambda: self.warehouse_dsn, SCHEMA)
        self.while_waiting = self.serve

    def close(self) -> None:
        self.warehouse.close()
        self.books.close()

    # -- what the poller does

    def archive(self, feed: str, rows: Sequence[SourceRow], *, revision: int = 5, lost: bool = False) -> ChangeBatch:
        """Rows in the archive, with their envelope; `lost`: somebody took the object away."""
        self.page += 1
        batch, body = changed(feed, rows, page=self.page, revision=revision)
        if not lost:
            self.put_back(batch, body)
        return batch

    def put_back(self, batch: ChangeBatch, body: bytes) -> None:
        self.objects.put_once(batch.data.object, body, {ENVELOPE: batch.body()})

    def send(self, *batches: ChangeBatch | str) -> None:
        self.queue("changes").send([one if isinstance(one, str) else one.body() for one in batches])

    # -- what Lambda does

    def serve(self) -> None:
        """Everything on both queues through transform and loader, with parking and handing back."""
        self.serve_transform()
        self._consume("loads", Loader(self.objects, self.warehouse, self.log, feeds=self.feeds).handle)

    def serve_transform(self) -> None:
        """As far as the queue of load batches."""
        loads, processed = self.queue("loads"), self.aws.processed
        code = {"feeds": self.feeds, "builders": self.builders}
        transform = Transform(self.objects, processed_bucket=processed, loads=loads, log=self.log, **code)
        self._consume("changes", transform.handle)

    def _consume(self, name: str, handle: Any) -> None:
        queue = self.queue(name)
        consumer = Consumer(handle, queue, self.queue(name, dead=True), self.log, reserve_seconds=0.0)
        while received := queue.receive(30):
            kept = consumer.consume({"Records": [record(one) for one in received]}, lambda: 60.0)["batchItemFailures"]
            stays = {one["itemIdentifier"] for one in kept}
            queue.delete_all([one.receipt_handle for one in received if one.message_id not in stays])

    # -- what the operator does

    def mend(self) -> None:
        """Deploy the contract without its mistake."""
        self.feeds = FEEDS

    def sources(self, wanted: Wanted, run: Run, *, s3: Any = None, sqs: Any = None) -> list[Source]:
        objects = ObjectStore(s3 or self.aws.s3)

        def queue(name: str, *, dead: bool = False) -> Queue:
            return Queue(sqs or self.aws.sqs, self.url(name, dead=dead))

        def browse(name: str) -> Callable[[], Browse]:
            return lambda: Browse(name, queue(name, dead=True), wait=lambda _seconds: None)

        archive = Archive(
            objects=objects,
            publisher=Publisher(objects, self.aws.archive, queue("changes")),
            processed_bucket=self.aws.processed,
            changes=queue("changes"),
        )
        queues = [Messages(name, queue(name), browse(name), wanted, run, self.feeds) for name in ("changes", "loads")]
        return [*(each.look for each in queues), Rows(archive, wanted, run, feeds=self.feeds).look]

    def replay(
        self,
        run: str = "run-1",
        *,
        wanted: Wanted | None = None,
        task: Task | None = None,
        gate: Any = None,
        s3: Any = None,
        sqs: Any = None,
        progress: Callable[[Tally], None] = lambda _tally: None,
    ) -> Tally:
        """One run of today's operator: look, then send."""
        sources = self.sources(wanted or Wanted(), Run(run, BEGAN), s3=s3, sqs=sqs)
        queues = [Queue(sqs or self.aws.sqs, self.url(name)) for name in ("changes", "loads")]
        watch = PipelineWatch(gate(self.books) if gate else self.books, queues)
        clock = Clock(lambda: self.seconds, self.sleep)
        return Replay(sources, watch, task or Task(), clock=clock, progress=progress).run(survey(sources))

    def plan(self, wanted: Wanted | None = None) -> Plan:
        return survey(self.sources(wanted or Wanted(), Run("plan", BEGAN)))

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.while_waiting()

    # -- what a test sees

    def queue(self, name: str, *, dead: bool = False) -> Queue:
        return Queue(self.aws.sqs, self.url(name, dead=dead))

    def url(self, name: str, *, dead: bool = False) -> str:
        return str(getattr(self.aws, f"{name}_dlq" if dead else name))

    def waiting(self, name: str, *, dead: bool = False) -> list[str]:
        """Bodies on a queue, hidden ones too; looking changes nothing."""
        return [message.body for message in self._messages(name, dead=dead)]

    def attributes(self, name: str) -> list[dict[str, str]]:
        """Of the parked messages."""
        return [
            {name: str(value["StringValue"]) for name, value in message.message_attributes.items()}
            for message in self._messages(name, dead=True)
        ]

    def let_time_out(self) -> None:
        """As if so much time had passed that whatever was received and not deleted is visible again."""
        for name in ("changes", "loads"):
            for message in (*self._messages(name), *self._messages(name, dead=True)):
                message.change_visibility(-1)

    def open_rows(self) -> list[tuple[str, str | None]]:
        """Feed and key of the rows that are quarantined and were not replayed since."""
        found = OpenQuarantine(self.objects, self.aws.processed).rows()
        return sorted((one.row.feed, one.row.key) for one in found)

    def objects_in(self, bucket: str, prefix: str) -> dict[str, bytes]:
        found = {}
        for key in self.objects.keys(bucket, prefix):
            stored = self.objects.find(bucket, key)
            assert stored is not None
            found[key] = stored.body
        return found

    def rows(self, sql: str) -> list[list[Any]]:
        with open_connection(self.warehouse_dsn) as connection:
            connection.run(f"SET search_path TO {SCHEMA}")
            return connection.run(sql) or []

    def names(self) -> list[str]:
        """The designs in the warehouse."""
        return [name for [name] in self.rows("SELECT design_name FROM dim_design WHERE _generation > 0 ORDER BY 1")]

    def contents(self) -> dict[str, list[str]]:
        """Every star table and history as text, without what a clock or a serial gave."""
        with open_connection(self.warehouse_dsn) as connection:
            connection.run(f"SET search_path TO {SCHEMA}")
            tables = connection.run(
                "SELECT tablename FROM pg_tables WHERE schemaname = :schema AND tablename ~ '^(dim|fact|_seen)_'",
                schema=SCHEMA,
            )
            return {name: sorted(_without_clocks(connection, name)) for [name] in tables}

    def load_the_archive(self) -> dict[str, list[str]]:
        """All that the poller archived, and no replay, through today's code; what the warehouse then holds."""
        keys = [key for feed in FEEDS for key in self.objects.keys(self.aws.archive, f"{feed}/")]
        bodies = [self.objects.metadata(self.aws.archive, key)[ENVELOPE] for key in keys]
        self.send(*(body for body in bodies if ChangeBatch.model_validate_json(body).data.origin is not Origin.REPLAY))
        self.serve()
        return self.contents()

    def connect(self) -> Any:
        return connect(
            Dsn.parse(self.warehouse_dsn),
            application_name="totes-stage",
            statement_timeout_seconds=60,
            lock_timeout_seconds=5,
        )

    def _messages(self, name: str, *, dead: bool = False) -> list[Any]:
        return list(sqs_backends[ACCOUNT][REGION].queues[self.url(name, dead=dead).rsplit("/", 1)[1]]._messages)


def record(message: Received) -> dict[str, Any]:
    """A received message as Lambda's event has it."""
    return {
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "attributes": {"ApproximateReceiveCount": str(message.receive_count)},
        "body": message.body,
        "messageAttributes": {name: {"stringValue": value} for name, value in message.attributes.items()},
    }


def _without_clocks(connection: Any, table: str) -> Iterator[str]:
    for [found] in connection.run(f"SELECT to_jsonb(t)::text FROM {table} t"):
        yield json.dumps({name: value for name, value in json.loads(found).items() if name not in GONE})
