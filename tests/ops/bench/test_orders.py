"""The totesys that the benchmarks run on: rows that can be had again, real foreign keys, changes that change."""

import pytest

from contracts.source import SalesOrderRow
from services.ops.bench.orders import change_orders, seed_orders
from shared.errors import ConfigurationError
from shared.postgres import rows_of
from tests.conftest import NewDatabase, Source, open_connection

ORDERS = 2_000
CONTENT = "SELECT CAST(o AS text) FROM sales_order AS o ORDER BY sales_order_id"
CHECKED = """
SELECT count(*) FROM pg_constraint
WHERE conrelid = CAST('sales_order' AS regclass) AND contype = 'f' AND convalidated AND conenforced"""


def content(dsn: str) -> list[str]:
    with open_connection(dsn) as connection:
        return [text for (text,) in rows_of(connection, CONTENT)]


def test_equal_numbers_make_equal_rows_with_or_without_tables_before(
    totesys: Source, new_database: NewDatabase
) -> None:
    bare = new_database("bare")

    seed_orders(totesys.dsn, ORDERS)
    seed_orders(bare, ORDERS)

    assert len(content(bare)) == ORDERS
    assert content(bare) == content(totesys.dsn)


def test_orders_obey_their_contract_and_their_foreign_keys_and_the_next_has_the_next_key(totesys: Source) -> None:
    seed_orders(totesys.dsn, ORDERS)

    with totesys.connect() as connection:
        names = ", ".join(f"CAST({name} AS text)" for name in SalesOrderRow.model_fields)
        rows = rows_of(connection, f"SELECT {names} FROM sales_order")
        assert rows_of(connection, CHECKED) == [[5]]
        assert rows_of(connection, "SELECT nextval('sales_order_sales_order_id_seq')") == [[ORDERS + 1]]
        assert rows_of(connection, "SELECT max(last_updated) < now() - INTERVAL '1 day' FROM sales_order") == [[True]]
    for row in rows:
        SalesOrderRow.model_validate(dict(zip(SalesOrderRow.model_fields, row, strict=True)))


def test_a_second_seed_is_refused_and_changes_nothing(totesys: Source) -> None:
    seed_orders(totesys.dsn, 10)
    before = content(totesys.dsn)

    with pytest.raises(ConfigurationError, match="without rows"):
        seed_orders(totesys.dsn, 10)

    assert content(totesys.dsn) == before


def test_so_many_orders_change_and_each_of_them_really(totesys: Source) -> None:
    seed_orders(totesys.dsn, ORDERS)
    with totesys.connect() as connection:
        connection.run("CREATE TABLE before AS SELECT * FROM sales_order")

    change_orders(totesys.dsn, 150, every=10)

    with totesys.connect() as connection:
        [[keys, highest, units, moved]] = rows_of(
            connection,
            "SELECT count(*), max(sales_order_id), min(new.units_sold - old.units_sold),"
            " bool_and(new.last_updated > now() - INTERVAL '1 hour')"
            " FROM sales_order AS new JOIN before AS old USING (sales_order_id) WHERE new IS DISTINCT FROM old",
        )
    assert (keys, highest, units, moved) == (150, 1_500, 1, True)


def test_more_changes_than_there_are_orders_for_are_refused(totesys: Source) -> None:
    seed_orders(totesys.dsn, 99)

    with pytest.raises(ConfigurationError, match=r"Expected 10 orders .* found 9: seed 100"):
        change_orders(totesys.dsn, 10)
