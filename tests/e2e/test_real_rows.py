"""`totes up` between two plain servers, on real totesys rows, against the SQL oracle."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.star import STAR_TABLES
from tests.conftest import TOTESYS_SQL, open_connection
from tests.e2e import oracle, real_rows
from tests.e2e.command import Up
from tests.e2e.servers import DEBIAN_15, WHEEL_18, TcpServer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("real rows"), real_rows.needed]
SCHEMA = "terrific"
FACTS = ("fact_sales_order", "fact_purchase_order", "fact_payment")


@pytest.fixture(
    params=[(DEBIAN_15, WHEEL_18), (WHEEL_18, DEBIAN_15)], ids=["from 15 to 18", "from 18 to 15"], scope="module"
)
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TcpServer, TcpServer]]:
    source, warehouse = request.param
    if not DEBIAN_15.is_dir():
        pytest.skip("no PostgreSQL 15 on this machine: apt install postgresql-15")
    folder = tmp_path_factory.mktemp("servers")
    with TcpServer(source, folder / "source") as first, TcpServer(warehouse, folder / "warehouse") as second:
        yield first, second


def _fill(source: TcpServer) -> None:
    """The dump of May 2024, with what the increments of August need to be there before."""
    with open_connection(source.dsn("postgres")) as connection:
        connection.run("CREATE DATABASE totesys")
    rows = dict(real_rows.dump())
    later = {
        name: [row for _, group in real_rows.increments() for table, part in group if table == name for row in part]
        for name in real_rows.PARENTS_FIRST
    }
    parents = real_rows.missing_parents(later)
    with open_connection(source.dsn("totesys")) as connection:
        connection.run(TOTESYS_SQL.read_text())
        # The dump's transactions were taken a day before its orders, and its payments are derived from both.
        for table in real_rows.PARENTS_FIRST:
            real_rows.upsert(connection, table, rows[table])
            if parents.get(table):
                real_rows.upsert(connection, table, parents[table])


def test_every_star_table_equals_the_oracle_and_increments_arrive_as_versions(
    servers: tuple[TcpServer, TcpServer], tmp_path: Path
) -> None:
    source_server, warehouse_server = servers
    _fill(source_server)
    with open_connection(warehouse_server.dsn("postgres")) as connection:
        connection.run("CREATE DATABASE warehouse")
    dsns = source_server.dsn("totesys"), warehouse_server.dsn("warehouse")
    arguments = ("--source", dsns[0], "--warehouse", dsns[1], "--schema", SCHEMA, "--poll-interval", "0.25")

    with (
        Up(tmp_path, arguments) as up,
        open_connection(dsns[0]) as source,
        open_connection(dsns[1]) as warehouse,
    ):

        def equal() -> bool:
            tables = [model.table for model in STAR_TABLES]
            known = warehouse.run("SELECT to_regclass(:name)", name=f"{SCHEMA}.current_payment") != [[None]]
            return known and all(oracle.agrees(source, warehouse, SCHEMA, table) for table in tables)

        up.until("the backfill to equal the oracle", equal)
        before = {fact: Counter(oracle.versions(warehouse, SCHEMA, fact)) for fact in FACTS}
        assert all(count == 1 for versions in before.values() for count in versions.values())

        later = [entry for _, group in real_rows.increments() for entry in group]
        payments = [row for table, rows in later if table == "payment" for row in rows]
        first_versions = real_rows.unpaid_first_versions({"payment": payments})
        for group in [[("payment", first_versions)], *(group for _, group in real_rows.increments())]:
            for table, rows in group:
                real_rows.upsert(source, table, rows)
            up.until("an increment to arrive", equal)

        after = {fact: Counter(oracle.versions(warehouse, SCHEMA, fact)) for fact in FACTS}
        versions = Counter(key for key, _ in after["fact_payment"])
        assert sum(count == 2 for count in versions.values()) == 17
        assert max(versions.values()) == 2
        new_sales = {row["sales_order_id"] for table, rows in later if table == "sales_order" for row in rows}
        new_purchases = {row["purchase_order_id"] for table, rows in later if table == "purchase_order" for row in rows}
        assert {key for key, _ in after["fact_sales_order"] - before["fact_sales_order"]} == new_sales
        assert {key for key, _ in after["fact_purchase_order"] - before["fact_purchase_order"]} == new_purchases
        assert all(not before[fact] - after[fact] for fact in FACTS)

        assert up.interrupt() == 0
