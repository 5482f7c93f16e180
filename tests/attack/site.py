"""The whole pipeline in one process: the real services on a real source and warehouse, and on stores in memory.

A service lives until it is killed; then its connections are closed, it is thrown away, and the next run starts a
fresh one. One that only lost a call lives on with all that it remembers, as an execution environment does.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from contracts.feeds import FEEDS, Feed
from services.loader.handler import Loader
from services.loader.migrate import migrate
from services.loader.warehouse import Warehouse as LoadedWarehouse
from services.poller import poller as polling
from services.reconciler import reconcile as reconciling
from services.reconciler.progress import ProgressStore
from services.reconciler.warehouse import Warehouse
from services.transform.transform import Transform
from shared.archive import Publisher
from shared.checkpoint import CheckpointStore
from shared.consumer import Consumer
from shared.errors import CheckpointConflict, Unavailable
from shared.objects import ObjectStore
from shared.postgres import Connection, Dsn, connect
from shared.queues import Queue
from shared.settings import Settings
from shared.telemetry import logger
from shared.totesys.session import Source
from tests.attack.calls import Fault, Gate, GatedClient, Killed, Pool, Watch
from tests.attack.stores import Clock, MemoryS3, MemorySqs, Message, Trouble
from tests.attack.witness import Witness
from tests.conftest import READER, TOTESYS_SQL, Server

ATTACKED = ("staff", "design", "sales_order")
"""A joined dimension, a plain one and a fact."""
LOADER = "totes_attacked_loader"
SCHEMA = "warehouse"
CHANGES, CHANGES_DLQ, LOADS, LOADS_DLQ = "changes", "changes-dlq", "loads", "loads-dlq"
LEASE_SECONDS, SCAN_SECONDS = 15.0, 10.0
SMALL = {
    # Pages of two rows and turns of two pages: a handful of rows makes every kind of read.
    "page_rows": 2,
    "pages_per_turn": 2,
    # Nothing happens between two calls here but what a test does, so a wide margin would only hide a late commit.
    "margin_seconds": 0.001,
    "lease_seconds": LEASE_SECONDS,
    "scan_interval_seconds": SCAN_SECONDS,
    "compression_level": 0,
    "scan_share": 1.0,
    "reconcile_range_rows": 4,
}
ONE_POLL_SECONDS = 0.5
"""Less than the interval between two polls: one, and what it begins is read to its end."""
ONE_INVOCATION_SECONDS = 60.0
"""Time enough: an attack ends a service at a call, not at a time."""
MOST_MESSAGES = 10
"""In one event."""
MOST_ROUNDS = 200
"""Of a drain: far more than any example's messages need."""
LOG = logger("attack", "CRITICAL")


@dataclass
class Databases:
    """Source and warehouse on one server; the reader may only SELECT, the loader owns nothing."""

    server: Server
    source: str
    warehouse: str

    def __post_init__(self) -> None:
        self.readers = Pool(lambda: _connect(self.server.dsn(self.source, READER)))
        self.loaders = Pool(lambda: _connect(self.server.dsn(self.warehouse, LOADER)))

    def close(self) -> None:
        self.readers.close()
        self.loaders.close()

    @classmethod
    def make(cls, server: Server, prefix: str = "attacked") -> "Databases":
        made = cls(server, f"{prefix}_source", f"{prefix}_warehouse")
        with server.connect() as connection:
            connection.run(f"CREATE ROLE {LOADER} LOGIN")
            for name in (made.source, made.warehouse):
                connection.run(f"CREATE DATABASE {name}")
                connection.run(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'")
        with server.connect(made.source) as connection:
            connection.run(TOTESYS_SQL.read_text())
            connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
            connection.run(Path(__file__).with_name("journal.sql").read_text())
        migrate(server.dsn(made.warehouse), SCHEMA, loader_role=LOADER, analyst_role=None)
        return made


class Service:
    """One service of the pipeline, alive or dead."""

    def __init__(self, compose: Callable[[Gate], Callable[..., object]], trouble: Trouble) -> None:
        """`compose` builds a fresh one behind a gate; what it returns is one run. `trouble` may make it fail too."""
        self._compose = compose
        self._trouble = trouble
        self._run: Callable[..., object] | None = None
        self.gate = Gate()
        self.calls = 0
        """Made by the last run."""
        self.conflicts = 0
        """Runs that a rival ended."""

    def run(self, fault: Fault | None = None, *arguments: Any) -> bool:
        """One run, with a fault; whether it struck. Where nothing was made to fail, an error of the run is raised.

        A checkpoint that a rival moved may end a run: its function fails, and the next invocation goes on.
        """
        gate, refused = self.gate, self._trouble.refused
        gate.arm(fault)
        if self._run is None:
            self._run = self._compose(gate)
        try:
            self._run(*arguments)
        except Killed:
            self.bury()
        except CheckpointConflict:
            self.conflicts += 1
        except Unavailable:
            if not gate.struck and self._trouble.refused == refused:
                raise
        self.calls = gate.count
        return gate.struck

    def bury(self) -> None:
        """End it as a kill does."""
        self.gate.bury()
        self.gate, self._run = Gate(), None


@dataclass
class Site:
    """Databases, stores, clock and the services on them; a second poller and a second loader for rivalry."""

    databases: Databases
    settings: Mapping[str, Any]
    clock: Clock = field(default_factory=Clock)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.s3 = MemoryS3(self.clock)
        self.sqs = MemorySqs(self.clock)
        for name in (CHANGES, CHANGES_DLQ, LOADS, LOADS_DLQ):
            self.sqs.create_queue(QueueName=name)
        self.witness = Witness(self.s3, self.sqs)
        self.s3.after_put = self.witness.object_was_put
        trouble = self.sqs.trouble
        self.poller, self.rival = (Service(lambda gate, name=name: self._poller(gate, name), trouble) for name in "ab")
        self.transform = Service(self._transform, trouble)
        self.loader, self.second_loader = Service(self._loader, trouble), Service(self._loader, trouble)
        self.reconciler = Service(self._reconciler, trouble)
        self._owners = count()
        self._replayed: set[str] = set()

    @property
    def services(self) -> tuple[Service, ...]:
        return (self.poller, self.rival, self.transform, self.loader, self.second_loader, self.reconciler)

    def close(self) -> None:
        """End the services in good order."""
        for service in self.services:
            service.gate.close()

    # -- moving messages

    def deliver(
        self, service: Service, messages: Sequence[Message], fault: Fault | None = None, *, deaf: bool = False
    ) -> bool:
        """As the event source mapping does; `deaf` loses the acknowledgement, so that all of it comes again."""
        if not messages:
            return False
        self.count_deliveries(messages)
        return service.run(fault, messages, deaf)

    def count_deliveries(self, messages: Sequence[Message]) -> None:
        self.counts["deliveries"] += len(messages)
        self.counts["delivered before"] += sum(one.received > 0 for one in messages)

    def drain(self) -> None:
        """Deliver whatever is on the queues until nothing is."""
        for _ in range(MOST_ROUNDS):
            waiting = [(service, self.sqs.messages(url)) for service, url in self._consumers()]
            if not any(messages for _, messages in waiting):
                return
            for service, messages in waiting:
                self.deliver(service, messages[:MOST_MESSAGES])
        left = {url: self.sqs.messages(url) for _, url in self._consumers()}
        raise AssertionError(f"Expected empty queues after {MOST_ROUNDS} rounds, found {left}.")

    def replay(self) -> None:
        """Send every archived batch that was sent once more, as its object says; a second call sends only newer ones.

        (An object whose reconciler died before it sent the batch is news to the warehouse, not a repetition.)
        """
        sent = {body for url, body in self.sqs.accepted if url == CHANGES}
        for key in set(self.s3.keys("archive")) - self._replayed:
            if self._envelope(key) in sent:
                self._replayed.add(key)
                self._send_again(key)

    def replay_one(self, number: int) -> None:
        """Send one archived batch again, by its place in the archive."""
        keys = self.s3.keys("archive")
        if keys:
            self._send_again(keys[number % len(keys)])

    def _send_again(self, key: str) -> None:
        self.sqs.send_message(QueueUrl=CHANGES, MessageBody=self._envelope(key), MessageAttributes={})
        self.counts["replayed"] += 1

    def _envelope(self, key: str) -> str:
        return str(self.s3.head_object(Bucket="archive", Key=key)["Metadata"]["envelope"])

    def archived(self) -> list[dict[str, Any]]:
        """The change batch of every archived object, as its envelope has it."""
        return [json.loads(self._envelope(key)) for key in self.s3.keys("archive")]

    def parked(self) -> list[Message]:
        return self.sqs.messages(CHANGES_DLQ) + self.sqs.messages(LOADS_DLQ)

    def _consumers(self) -> tuple[tuple[Service, str], ...]:
        return ((self.transform, CHANGES), (self.loader, LOADS))

    # -- composing: the only place that knows how the services are built

    def _poller(self, gate: Gate, name: str) -> Callable[[], object]:
        owner = f"{name}{next(self._owners)}"
        reader = self.witness.of_poller(owner)
        objects = ObjectStore(GatedClient(self.s3, gate))
        adapters = polling.Adapters(
            source=self._source(gate, reader.saw),
            publisher=Publisher(objects, "archive", Queue(GatedClient(self.sqs, gate), CHANGES)),
            checkpoints=CheckpointStore(objects, "control"),
            log=LOG,
        )
        made = polling.Poller(
            owner=owner, feeds=_feeds(), settings=self._settings(), adapters=adapters, now=self.clock.now
        )

        def run() -> None:
            try:
                self._counted("polls", made.run(ONE_POLL_SECONDS, self.clock.sleep).polls)
            except BaseException:
                reader.forget()
                raise

        return run

    def _reconciler(self, gate: Gate) -> Callable[[], object]:
        objects = ObjectStore(GatedClient(self.s3, gate))
        adapters = reconciling.Adapters(
            source=self._source(gate, self.witness.of_reconciler().saw),
            warehouse=Warehouse(lambda: gate.connection(self.databases.loaders), SCHEMA),
            publisher=Publisher(objects, "archive", Queue(GatedClient(self.sqs, gate), CHANGES)),
            checkpoints=CheckpointStore(objects, "control"),
            progress=ProgressStore(objects, "control"),
            queues=tuple(Queue(GatedClient(self.sqs, gate), url) for url in (CHANGES, LOADS)),
            log=LOG,
        )
        made = reconciling.Reconciler(
            feeds=_feeds(),
            settings=self._settings(),
            adapters=adapters,
            sleep=lambda seconds: (self.clock.sleep(seconds), gate.pause()),
            now=self.clock.now,
        )
        return lambda: self._counted("reconciles", bool(made.run()))

    def _transform(self, gate: Gate) -> Callable[..., object]:
        sqs = GatedClient(self.sqs, gate)
        objects = ObjectStore(GatedClient(self.s3, gate))
        made = Transform(objects, processed_bucket="processed", loads=Queue(sqs, LOADS), log=LOG)
        return self._consuming(made.handle, Queue(sqs, CHANGES), Queue(sqs, CHANGES_DLQ))

    def _loader(self, gate: Gate) -> Callable[..., object]:
        sqs = GatedClient(self.sqs, gate)
        warehouse = LoadedWarehouse(lambda: gate.connection(self.databases.loaders), SCHEMA, sleep=self.clock.sleep)
        made = Loader(ObjectStore(GatedClient(self.s3, gate)), warehouse, LOG)
        return self._consuming(made.handle, Queue(sqs, LOADS), Queue(sqs, LOADS_DLQ))

    def _consuming(self, handle: Any, queue: Queue, dead_letters: Queue) -> Callable[..., object]:
        consumer = Consumer(handle, queue, dead_letters, LOG, reserve_seconds=0, draw=lambda: 0.0)

        def run(messages: Sequence[Message], deaf: bool) -> None:
            received = [self.sqs.take(one) for one in messages]
            answer = consumer.consume(_event(received), lambda: ONE_INVOCATION_SECONDS)
            kept = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
            for one in received:
                if one["MessageId"] not in kept and not deaf:
                    self.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=one["ReceiptHandle"])

        return run

    def _source(self, gate: Gate, watch: Watch) -> Source:
        return Source(
            lambda: gate.connection(self.databases.readers, watch),
            schema="public",
            statement_timeout_seconds=60,
            lock_timeout_seconds=5,
        )

    def _settings(self) -> Settings:
        return Settings(**self.settings)

    def _counted(self, name: str, times: int) -> None:
        self.counts[name] += times


def _feeds() -> list[Feed]:
    return [FEEDS[name] for name in ATTACKED]


def _connect(dsn: str) -> Connection:
    return connect(
        Dsn.parse(dsn), application_name="totes-attacked", statement_timeout_seconds=60, lock_timeout_seconds=60
    )


def _event(received: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What Lambda makes of received messages."""
    names = {"messageId": "MessageId", "receiptHandle": "ReceiptHandle", "body": "Body", "attributes": "Attributes"}
    return {"Records": [{ours: one[theirs] for ours, theirs in names.items()} for one in received]}


EMPTY_SOURCE = """
DELETE FROM sales_order; DELETE FROM staff; DELETE FROM department; DELETE FROM design; DELETE FROM counterparty;
DELETE FROM address; DELETE FROM currency; DELETE FROM attack.journal;
INSERT INTO currency (currency_id, currency_code) VALUES (1, 'GBP');
INSERT INTO address (address_id, address_line_1, city, postal_code, country, phone)
VALUES (1, '1 High Street', 'York', 'YO1', 'UK', '0');
INSERT INTO counterparty (counterparty_id, counterparty_legal_name, legal_address_id) VALUES (1, 'Company', 1);
INSERT INTO department (department_id, department_name, location) VALUES (1, 'Sales', 'Leeds'), (2, 'Facilities', NULL);
INSERT INTO staff (staff_id, first_name, last_name, department_id, email_address) VALUES (1, 'A', 'B', 1, 'a@b.c');
INSERT INTO design (design_id, design_name, file_location, file_name) VALUES (1, 'Wooden', '/usr', 'a.json');
"""
EMPTY_WAREHOUSE = """
DELETE FROM warehouse.fact_sales_order; DELETE FROM warehouse._unversioned_sales_order; DELETE FROM warehouse.dim_staff;
DELETE FROM warehouse.dim_design; DELETE FROM warehouse.dim_counterparty; DELETE FROM warehouse.dim_location;
DELETE FROM warehouse.dim_currency; DELETE FROM warehouse.dim_date; DELETE FROM warehouse._load_batch;
DELETE FROM warehouse._feed; DELETE FROM warehouse._heartbeat; DELETE FROM warehouse._heartbeat_feed;
DELETE FROM warehouse._complete;
"""
