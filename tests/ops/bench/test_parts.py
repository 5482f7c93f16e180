"""The parts that need no stack, on few orders and the suite's own Postgres."""

import os
from collections.abc import Iterator

import pytest
from pg8000.native import Connection
from typer.testing import CliRunner

from services.ops.bench import idle, stages
from services.ops.bench.copied import session
from services.ops.bench.orders import seed_orders
from services.ops.bench.parts import PARTS
from services.ops.bench.stand import Server, Stand
from services.ops.cli import app
from shared.errors import PipelineError
from shared.postgres import rows_of
from tests.conftest import NewDatabase, Source, open_connection

ORDERS = 500


@pytest.fixture
def stand(totesys: Source, new_database: NewDatabase) -> Stand:
    """One server instead of two; this process stands for it where processor time is counted."""
    seed_orders(totesys.dsn, ORDERS)
    warehouse = new_database("warehouse")
    return Stand(Server(totesys.dsn, totesys.reader_dsn, os.getpid()), Server(warehouse, warehouse, os.getpid()))


def test_the_stages_bring_every_order_into_the_fact_and_each_of_them_is_counted(stand: Stand) -> None:
    schema = stand.new_schema("bench_1")

    ledger = stages.run_once(stand, schema)

    with open_connection(stand.warehouse.superuser) as warehouse:
        [[facts]] = rows_of(warehouse, f"SELECT count(*) FROM {schema}.fact_sales_order")
        [[inferred]] = rows_of(warehouse, f"SELECT count(*) FROM {schema}.dim_design WHERE _inferred_at IS NOT NULL")
    assert (facts, inferred) == (2 * ORDERS - 1, 0)  # each but one changed once
    assert set(ledger) == {*stages.PATH, *stages.LATER}
    assert all(ledger[name].own > 0 for name in ("extract", "compress", "validate", "build", "Parquet write", "stage"))


def test_what_postgres_alone_needs_leaves_nothing_in_the_warehouse(stand: Stand) -> None:
    schema = stand.new_schema("bench_1")

    limits = stages.limits_of(stand, schema)

    assert min(limits.extract, limits.stage, limits.merge) >= 0
    with open_connection(stand.warehouse.superuser) as warehouse:
        assert rows_of(warehouse, "SELECT relname FROM pg_class WHERE relname LIKE 'bench_bare%'") == []


@pytest.fixture
def elsewhere(new_database: NewDatabase) -> Iterator[Connection]:
    """A session in another database of the server."""
    with session(new_database("elsewhere")) as connection:
        connection.run(idle.MOVABLE)
        yield connection


def test_an_idle_poll_costs_more_where_the_snapshot_moved_and_reads_no_order(
    stand: Stand, elsewhere: Connection
) -> None:
    bench = idle.Bench(stand.source, ORDERS, elsewhere)

    bench.in_source(idle.INDEX)
    with bench.polling() as case:
        at_rest, looked_at = case(lambda: None), case(bench.move)

    assert 0 < at_rest.buffers < looked_at.buffers


def test_a_poll_that_finds_something_is_no_idle_one(stand: Stand, elsewhere: Connection) -> None:
    bench = idle.Bench(stand.source, ORDERS, elsewhere)

    with bench.polling() as case, pytest.raises(PipelineError, match="find nothing, found"):
        case(lambda: bench.in_source("UPDATE design SET last_updated = now() WHERE design_id = 1"))


def test_the_help_names_every_part() -> None:
    said = CliRunner().invoke(app, ["bench", "--help"], env={"COLUMNS": "200"}).output

    assert [part.name for part in PARTS if part.name not in said] == []
