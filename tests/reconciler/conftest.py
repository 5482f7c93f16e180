"""A whole pipeline on a real totesys, a real warehouse and an emulated AWS, moved stage by stage by the test."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.feeds import FEEDS, Feed
from services.loader.handler import Loader
from services.loader.migrate import migrate
from services.loader.warehouse import Warehouse as LoadedWarehouse
from services.reconciler.progress import ProgressStore
from services.reconciler.reconcile import Adapters, Reconciler, Task
from services.reconciler.warehouse import Warehouse
from services.transform.star import BUILDERS, Builder
from services.transform.transform import Transform
from shared.archive import Publisher
from shared.checkpoint import CheckpointStore
from shared.consumer import Delivery
from shared.objects import ObjectStore
from shared.postgres import Dsn, connect
from shared.queues import Queue
from shared.settings import Settings
from shared.telemetry import logger
from shared.totesys.session import Source
from tests.conftest import Aws, Databases, NewDatabase, open_connection
from tests.conftest import Source as Totesys
from tests.poller.archived import objects
from tests.poller.conftest import Bench

LOADER = "totes_reconciled_loader"
SCHEMA = "warehouse"


@pytest.fixture(scope="session")
def template(databases: Databases) -> str:
    """A migrated warehouse that each test copies; the copies come and go, this one stays with the server.

    Another suite that borrows this fixture has a template of its own on the same server, and the same loader.
    """
    name = databases.make("star_template")
    with databases.server.connect() as connection:
        if not connection.run("SELECT FROM pg_roles WHERE rolname = :name", name=LOADER):
            connection.run(f"CREATE ROLE {LOADER} LOGIN")
    migrate(databases.server.dsn(name), SCHEMA, loader_role=LOADER, analyst_role=None)
    return name


@pytest.fixture
def warehouse_dsn(new_database: NewDatabase, template: str) -> str:
    return new_database("star", template)


@dataclass
class Pipeline:
    """Poller, reconciler, transform and loader; the poller never scans unless a test lets it."""

    bench: Bench
    warehouse_dsn: str
    slept: list[float] = field(default_factory=list)
    while_waiting: Callable[[], object] = lambda: None
    feeds: Mapping[str, Feed] = field(default_factory=lambda: FEEDS)
    builders: Mapping[str, Builder] = field(default_factory=lambda: BUILDERS)

    def __post_init__(self) -> None:
        self.poller = self.bench.poller(scan_max_rows=0)

    @property
    def aws(self) -> Aws:
        return self.bench.aws

    def source(self, sql: str, **parameters: Any) -> None:
        self.bench.run(sql, **parameters)

    def poll(self) -> None:
        assert self.poller.claim()
        self.bench.drain(self.poller)
        self.poller.rest()

    def capture(self) -> None:
        """Poll, and bring what was found into the warehouse."""
        self.poll()
        self.deliver()

    def capture_some(self) -> bool:
        """One round of the poller, brought into the warehouse; whether a read is still under way."""
        assert self.poller.claim()
        self.poller.poll()
        self.poller.rest()
        self.deliver()
        return self.poller.busy

    def reconciler(
        self, *, s3: Any = None, sqs: Any = None, wrap: Callable[[Any], Any] = lambda real: real, **settings: Any
    ) -> Reconciler:
        objects = ObjectStore(s3 or self.aws.s3)
        source = Source(
            lambda: wrap(self._connect(self.bench.totesys.reader_dsn)),
            schema="public",
            statement_timeout_seconds=60,
            lock_timeout_seconds=0.2,
        )
        loader_dsn = self.warehouse_dsn.replace("postgres@", f"{LOADER}@")
        adapters = Adapters(
            source=source,
            warehouse=Warehouse(lambda: wrap(self._connect(loader_dsn)), SCHEMA),
            publisher=Publisher(objects, self.aws.archive, Queue(sqs or self.aws.sqs, self.aws.changes)),
            checkpoints=CheckpointStore(objects, self.aws.control),
            progress=ProgressStore(objects, self.aws.control),
            queues=tuple(Queue(self.aws.sqs, url) for url in (self.aws.changes, self.aws.loads)),
            log=logger("reconciler-test", "CRITICAL"),
        )
        return Reconciler(
            feeds=list(self.feeds.values()),
            settings=Settings(**settings),
            adapters=adapters,
            sleep=self._sleep,
            now=self.bench.clock.now,
        )

    def reconcile(self, reconciler: Reconciler | None = None, **task: Any) -> dict[str, Any]:
        """One run of a fresh reconciler, unless one is given; its answer's total."""
        return (reconciler or self.reconciler()).run(Task(**task)).as_answer()["total"]

    def forget(self) -> None:
        """As if the run had died before it could write down what it sent."""
        self.aws.s3.delete_object(Bucket=self.aws.control, Key="reconciler.json")

    def age_the_archive(self, *, minutes: int) -> None:
        """As if every batch had been read so long ago: the time is part of its object's key, and not of its id."""
        for key in objects(self.aws):
            feed, day, name = key.split("/")
            read_at = datetime.strptime(f"{day} {name[:14]}", "date=%Y-%m-%d %H%M%S.%f%z") - timedelta(minutes=minutes)
            older = f"{feed}/date={read_at:%Y-%m-%d}/{read_at:%H%M%S.%f}{name[13:]}"
            stored = self.aws.s3.get_object(Bucket=self.aws.archive, Key=key)
            envelope = stored["Metadata"]["envelope"].replace(key, older)
            self.aws.s3.put_object(
                Bucket=self.aws.archive,
                Key=older,
                Body=stored["Body"].read(),
                Metadata={**stored["Metadata"], "envelope": envelope},
            )
            self.aws.s3.delete_object(Bucket=self.aws.archive, Key=key)

    def mend(self, **task: Any) -> dict[str, Any]:
        """Reconcile, and bring the repairs into the warehouse."""
        found = self.reconcile(**task)
        self.deliver()
        return found

    def deliver(self, times: int = 1) -> int:
        """Everything on both queues through transform and loader; the number of change batches."""
        log = logger("delivery-test", "CRITICAL")
        objects = ObjectStore(self.aws.s3)
        loads = Queue(self.aws.sqs, self.aws.loads)
        known = {"feeds": self.feeds, "builders": self.builders}
        transform = Transform(objects, processed_bucket=self.aws.processed, loads=loads, log=log, **known)
        warehouse = LoadedWarehouse(lambda: self._connect(self.warehouse_dsn), SCHEMA)
        changes = self._taken(self.aws.changes)
        for _ in range(times):
            assert transform.handle(changes) == {}
        received = self._taken(self.aws.loads)
        assert Loader(objects, warehouse, log, feeds=self.feeds).handle(received) == {}
        warehouse.close()
        return len(changes)

    def rows(self, sql: str) -> list[list[Any]]:
        with open_connection(self.warehouse_dsn) as connection:
            connection.run(f"SET search_path TO {SCHEMA}")
            return connection.run(sql) or []

    def edit(self, sql: str) -> None:
        """As somebody who should not would change the warehouse."""
        self.rows(sql)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.while_waiting()

    def _taken(self, url: str) -> list[Delivery]:
        found: list[Delivery] = []
        while messages := self.aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(Delivery(message["MessageId"], message["ReceiptHandle"], 1, message["Body"]))
        return found

    @staticmethod
    def _connect(dsn: str) -> Any:
        return connect(
            Dsn.parse(dsn), application_name="totes-test", statement_timeout_seconds=60, lock_timeout_seconds=5
        )


SEED = """
INSERT INTO currency (currency_code) VALUES ('GBP'), ('EUR');
INSERT INTO department (department_name, location) VALUES ('Sales', 'Leeds'), ('Facilities', NULL);
INSERT INTO staff (first_name, last_name, department_id, email_address)
SELECT 'Staff', i::text, 1 + i % 2, 'a@b.c' FROM generate_series(1, 4) i;
INSERT INTO address (address_line_1, city, postal_code, country, phone)
SELECT i || ' High Street', 'York', 'YO1', 'UK', '0' FROM generate_series(1, 4) i;
INSERT INTO counterparty (counterparty_legal_name, legal_address_id)
SELECT 'Company ' || i, i FROM generate_series(1, 4) i;
INSERT INTO design (design_name, file_location, file_name)
SELECT 'Design ' || i, '/usr', 'a.json' FROM generate_series(1, 50) i;
INSERT INTO sales_order (design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id,
                         agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)
SELECT 1 + i % 50, 1 + i % 4, 1 + i % 4, i, 2.50, 1, '2024-05-01', '2024-05-02', 1 + i % 4
  FROM generate_series(1, 30) i;
"""


@pytest.fixture
def pipeline(totesys: Totesys, aws: Aws, warehouse_dsn: str) -> Iterator[Pipeline]:
    """A seeded totesys, captured whole."""
    made = captured(totesys, aws, warehouse_dsn)
    yield made
    made.bench.close()


def captured(totesys: Totesys, aws: Aws, warehouse_dsn: str) -> Pipeline:
    made = Pipeline(Bench(totesys, aws), warehouse_dsn)
    made.source(SEED)
    made.capture()
    return made
