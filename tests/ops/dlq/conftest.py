"""Dead-letter queues and a quarantine on emulated AWS, filled as the pipeline fills them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from contracts.feeds import FEEDS
from contracts.messages import ENVELOPE, ChangeBatch, LoadBatch
from services.loader.warehouse import Warehouse
from services.ops.dlq.browse import Browse
from services.ops.dlq.places import Places
from services.ops.status import WorkQueue
from services.transform.transform import Workshop
from shared.errors import WarehouseUnavailable
from shared.objects import ObjectStore
from shared.postgres import Dsn, connect
from shared.queues import Queue
from tests.conftest import Aws, NewDatabase
from tests.ops.dlq.stage import Stage
from tests.transform.archived import changed


@dataclass
class Waits:
    """Counts the waits and takes no time."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@dataclass
class DeadLetters:
    """One dead-letter queue, seen as an operator sees it."""

    aws: Aws
    name: str

    @property
    def url(self) -> str:
        return str(getattr(self.aws, f"{self.name}_dlq"))

    @property
    def queue(self) -> Queue:
        return Queue(self.aws.sqs, self.url)

    def park(self, body: str, **attributes: str) -> None:
        self.queue.park(body, attributes)

    def redrive(self, body: str) -> None:
        """As SQS does it: without attributes."""
        self.queue.send([body])

    def browse(self, **options: Any) -> Browse:
        return Browse(self.name, self.queue, **{"wait": Waits(), **options})

    def bodies(self) -> list[str]:
        """What is visible now; it stays so."""
        with self.browse() as looked:
            return sorted(message.body for message in looked)


@pytest.fixture
def dead_letters(aws: Aws) -> Mapping[str, DeadLetters]:
    return {name: DeadLetters(aws, name) for name in ("changes", "loads")}


def no_warehouse() -> Any:
    raise WarehouseUnavailable("The warehouse is away.")


@dataclass
class Site:
    """An installation: what is parked and quarantined there gets there by the pipeline's own code."""

    aws: Aws
    places: Places

    def archive(self, batch: ChangeBatch, body: bytes) -> ChangeBatch:
        ref = batch.data.object
        metadata = {"sha256": ref.sha256, ENVELOPE: batch.body()}
        self.aws.s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=body, Metadata=metadata)
        return batch

    def transform(self, batch: ChangeBatch, body: bytes) -> LoadBatch | None:
        """Archive a batch and store what the transform makes of it; the load batch it would send."""
        return Workshop(self.places.objects, self.aws.processed).build(self.archive(batch, body)).load_batch

    def quarantine(self, feed: str, lines: Any, **envelope: Any) -> ChangeBatch:
        """Archive a batch of rows and transform it, so that the bad ones are quarantined."""
        batch, body = changed(feed, lines, **envelope)
        self.transform(batch, body)
        return batch

    def park(self, name: str, body: str, **attributes: str) -> None:
        DeadLetters(self.aws, name).park(body, **attributes)

    def redrive(self, name: str, body: str) -> None:
        DeadLetters(self.aws, name).redrive(body)


def site_at(aws: Aws, open_session: Any = no_warehouse, schema: str = "warehouse") -> Site:
    queues = {
        name: WorkQueue(Queue(aws.sqs, getattr(aws, name)), Queue(aws.sqs, getattr(aws, f"{name}_dlq")))
        for name in ("changes", "loads")
    }
    warehouse = Warehouse(open_session, schema, sleep=Waits())
    return Site(aws, Places(ObjectStore(aws.s3), aws.archive, aws.processed, queues, warehouse))


@pytest.fixture
def site(aws: Aws) -> Site:
    """Without a warehouse."""
    return site_at(aws)


@pytest.fixture
def whole_site(aws: Aws, warehouse_dsn: str) -> Iterator[Site]:
    """With a migrated warehouse."""

    def open_session() -> Any:
        return connect(
            Dsn.parse(warehouse_dsn),
            application_name="totes dlq test",
            statement_timeout_seconds=60,
            lock_timeout_seconds=5,
        )

    made = site_at(aws, open_session)
    yield made
    made.places.warehouse.close()


@pytest.fixture
def stage(aws: Aws, warehouse_dsn: str) -> Iterator[Stage]:
    """Queues, buckets, a warehouse, and a mistake in a contract."""
    made = Stage(aws, warehouse_dsn)
    yield made
    made.close()


@pytest.fixture
def twin(aws: Aws, new_database: NewDatabase, template: str) -> Iterator[Stage]:
    """The warehouse that never failed, for what lies in the same buckets."""
    made = Stage(aws, new_database("twin", template), feeds=FEEDS)
    yield made
    made.close()
