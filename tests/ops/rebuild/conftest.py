"""A pipeline with a rich history, and the rebuild of its warehouse from what it archived."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from services.loader.migrate import migrate
from services.loader.warehouse import Warehouse
from services.ops.archived import Archive, Selection
from services.ops.rebuild import Rebuilder, Rebuilt
from services.transform.transform import Workshop
from shared.objects import ObjectStore
from tests.conftest import READER, Aws, Databases, NewDatabase, account, open_connection
from tests.conftest import Source as Totesys
from tests.ops.rebuild.fingerprint import Fingerprints, fingerprints
from tests.poller.conftest import Bench
from tests.reconciler.conftest import LOADER, SCHEMA, Pipeline, captured, pipeline, template, warehouse_dsn

__all__ = ["Lived", "Watcher", "pipeline", "template", "warehouse_dsn"]

NO_SOURCE = Totesys(*["postgresql://nobody@/nowhere?host=/nowhere&port=1"] * 2)


class Watcher:
    """Who is told how far a rebuild is."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    def moved(self, feed: str, batches: int, rows: int) -> None:
        self.seen.append((feed, batches, rows))


@dataclass
class Lived:
    """A pipeline that has lived, whose source nobody can reach any more."""

    pipeline: Pipeline

    def rebuild(
        self,
        schema: str = SCHEMA,
        selection: Selection | None = None,
        *,
        watcher: Watcher | None = None,
        **options: Any,
    ) -> Rebuilt:
        """As the command does: the schema first, then what it lacks."""
        migrate(self.pipeline.warehouse_dsn, schema, loader_role=LOADER, analyst_role=None)
        done, rebuilder = Rebuilt(), self.rebuilder(schema, **options)
        rebuilder.run(selection or Selection.of((), None, None), done, watcher or Watcher())
        rebuilder.warehouse.close()
        return done

    def missing(self, schema: str) -> int:
        rebuilder = self.rebuilder(schema)
        found = rebuilder.missing(Selection.of((), None, None))
        rebuilder.warehouse.close()
        return found

    def rebuilder(self, schema: str = SCHEMA, *, s3: Any = None, **options: Any) -> Rebuilder:
        aws = self.pipeline.aws
        objects = ObjectStore(s3 or aws.s3)
        dsn = self.pipeline.warehouse_dsn.replace("postgres@", f"{LOADER}@")
        return Rebuilder(
            Archive(objects, aws.archive),
            Workshop(objects, aws.processed),
            Warehouse(lambda: self.pipeline._connect(dsn), schema),
            **options,
        )

    def drop(self, schema: str = SCHEMA) -> None:
        self.pipeline.rows(f"DROP SCHEMA {schema} CASCADE")

    def fingerprints(self, schema: str = SCHEMA) -> Fingerprints:
        with open_connection(self.pipeline.warehouse_dsn) as connection:
            return fingerprints(connection, schema)


def live(pipeline: Pipeline) -> None:
    """Everything a history may hold: versions, silent updates, deletions and returns, late and bad rows, repairs."""
    for units in (500, 501, 500):
        pipeline.source(f"UPDATE sales_order SET units_sold = {units}, last_updated = now() WHERE sales_order_id = 7")
        pipeline.capture()
    _late(pipeline)
    pipeline.source("CREATE TABLE kept AS SELECT * FROM sales_order WHERE sales_order_id IN (8, 9)")
    pipeline.source(
        "DELETE FROM sales_order WHERE sales_order_id IN (8, 9, 10); DELETE FROM design WHERE design_id = 50"
    )
    pipeline.source("UPDATE design SET design_name = 'Silent' WHERE design_id = 3")
    pipeline.source("UPDATE sales_order SET units_sold = 999 WHERE sales_order_id = 11")
    pipeline.source(
        "UPDATE sales_order SET agreed_payment_date = 'soon', last_updated = now() WHERE sales_order_id = 12"
    )
    pipeline.mend()
    pipeline.source("INSERT INTO sales_order SELECT * FROM kept; UPDATE department SET location = 'Hull'")
    pipeline.mend()
    pipeline.source("UPDATE sales_order SET agreed_payment_date = '2030-01-01' WHERE sales_order_id = 12")
    pipeline.source(
        "INSERT INTO transaction (transaction_type, sales_order_id) SELECT 'SALE', sales_order_id FROM kept"
    )
    pipeline.source("INSERT INTO payment_type (payment_type_name) VALUES ('SALES_RECEIPT')")
    pipeline.source(
        "INSERT INTO payment (transaction_id, counterparty_id, payment_amount, currency_id, payment_type_id, paid,"
        " payment_date, company_ac_number, counterparty_ac_number) SELECT transaction_id, 1, 9.05, 1, 1, false,"
        " '2031-02-28', 12345678, 87654321 FROM transaction"
    )
    pipeline.capture()
    pipeline.mend()
    pipeline.edit("UPDATE fact_sales_order SET units_sold = 0 WHERE sales_order_id = 7 AND units_sold = 501")
    pipeline.mend(whole=True, deep=True)


def _late(pipeline: Pipeline) -> None:
    """Three observations of one order that arrive the wrong way round."""
    waiting = []
    for units in (601, 602, 603):
        pipeline.source(f"UPDATE sales_order SET units_sold = {units}, last_updated = now() WHERE sales_order_id = 5")
        pipeline.poll()
        waiting.append([one.body for one in pipeline._taken(pipeline.aws.changes)])
    for bodies in reversed(waiting):
        for body in bodies:
            pipeline.aws.sqs.send_message(QueueUrl=pipeline.aws.changes, MessageBody=body)
        pipeline.deliver()


@dataclass(frozen=True)
class Legacy:
    """What such a life leaves: the warehouse as a template; of every object bucket, key, body and metadata."""

    warehouse: str
    objects: tuple[tuple[str, str, bytes, dict[str, str]], ...]

    @classmethod
    def of(cls, pipeline: Pipeline, warehouse: str) -> "Legacy":
        aws = pipeline.aws
        assert [pipeline._taken(url) for url in (aws.changes, aws.changes_dlq, aws.loads, aws.loads_dlq)] == [[]] * 4
        return cls(warehouse, tuple(_objects(aws)))

    def restore(self, aws: Aws) -> None:
        for bucket, key, body, metadata in self.objects:
            aws.s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata)


def _objects(aws: Aws) -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    for bucket in (aws.archive, aws.processed, aws.control):
        for page in aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for found in page.get("Contents", []):
                stored = aws.s3.get_object(Bucket=bucket, Key=found["Key"])
                yield bucket, found["Key"], stored["Body"].read(), stored["Metadata"]


@pytest.fixture(scope="session")
def legacy(databases: Databases, totesys_template: str, template: str, clients: tuple[Any, Any, Any]) -> Legacy:
    """One life for all tests: what they do with what it left, each does with a copy."""
    source = databases.server.dsn(databases.make("lived_totesys", totesys_template))
    warehouse = databases.make("lived_star", template)
    totesys = Totesys(source, source.replace("postgres@", f"{READER}@"))
    with account(clients) as aws:
        pipeline = captured(totesys, aws, databases.server.dsn(warehouse))
        live(pipeline)
        pipeline.bench.close()
        return Legacy.of(pipeline, warehouse)


@pytest.fixture
def lived(legacy: Legacy, aws: Aws, new_database: NewDatabase) -> Lived:
    """A pipeline that has lived, and a source that nobody can reach: there is none."""
    legacy.restore(aws)
    return Lived(Pipeline(Bench(NO_SOURCE, aws), new_database("star", legacy.warehouse)))
