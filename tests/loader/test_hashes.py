"""What the loader hashes is what the warehouse hashes, to the last bit."""

from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pg8000.native import Connection

from contracts.star import Amount, DateKey, FactPayment, FactSalesOrder, Flag, Int, StarRow, Time
from services.loader import binary, hashes
from services.loader.hashes import probe, star_hashes
from services.loader.stage_table import create_stage, stage_table
from shared.bookkeeping import POSITION, columns_of, listed, star_hash
from shared.postgres import copy_in
from tests.conftest import Server
from tests.loader.conftest import Star
from tests.loader.rows import SALE, array, at, changed


class Widened(StarRow):
    """A fact that gained columns of every type after it was made."""

    table = "fact_widened"
    key = "number"
    record_id = "record_id"
    added = ("late", "amount", "paid", "day")

    number: Int
    amount: Amount
    at: Time
    late: Int
    paid: Flag
    day: DateKey


FITTING = [FactSalesOrder, FactPayment]
INTS = [0, 1, -1, 2**31 - 1, -(2**31), 2**16, 10_000]
DAYS = [date(2000, 1, 1), date(1999, 12, 31), date(1970, 1, 1), date(1, 1, 1), date(9999, 12, 31), date(2026, 11, 28)]
TIMES = [time(0), time(23, 59, 59, 999_999), time(1, 11, 34, 967_295), time(1, 11, 34, 967_296), time(9, 30)]
CENTS = [
    *(0, 1, -1, 99, 100, -100, 10_000, 999_900, 999_999, 1_000_000, -1_000_000, 1_000_001, 2_000_000, 123_000_000),
    *(10**8 - 1, 10**9, 9_999_999_999, -9_999_999_999, 9_999_000_000, 9_999_000_001, 100_000_100),
]
LONG = [*(10**places * sign for places in range(10, 19) for sign in (1, -1)), 10**14 + 1, 2**63 - 1, -(2**63)]
"""Hundredths that need more digits than a price has."""


def known(kind: type, sql: str) -> list[Any]:
    """The edges of a type."""
    cents = CENTS if sql == "numeric(10, 2)" else CENTS + LONG
    return {int: INTS, date: DAYS, time: TIMES, bool: [False, True], Decimal: list(map(hundredths, cents))}[kind]


def hundredths(cents: int) -> Decimal:
    return Decimal(f"{cents}e-2")


def values(kind: type, sql: str) -> st.SearchStrategy[Any]:
    widest = 10**10 - 1 if sql == "numeric(10, 2)" else 2**63 - 1
    drawn = {
        int: st.integers(-(2**31), 2**31 - 1),
        date: st.dates(),
        time: st.times(),
        bool: st.booleans(),
        Decimal: st.integers(-widest, widest).map(hundredths),
    }
    return st.sampled_from(known(kind, sql)) | drawn[kind]


def rows(table: type[StarRow]) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({column.name: values(column.python, column.sql) for column in table.columns()})
    return st.lists(row, min_size=1, max_size=40)


def arrays(table: type[StarRow], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {column.name: array(column, [row[column.name] for row in rows]) for column in table.columns()}


def hashed_by_postgres(connection: Connection, table: type[StarRow], rows: Sequence[dict[str, Any]]) -> list[int]:
    """Their values as literals, in one statement."""
    listed_rows = (listed(f"CAST('{row[column.name]}' AS {column.sql})" for column in table.columns()) for row in rows)
    source = listed(f"({row}, {number})" for number, row in enumerate(listed_rows))
    names = listed([*columns_of(table), "row_number"])
    found = connection.run(f"SELECT {star_hash(table, 'r')} FROM (VALUES {source}) AS r ({names}) ORDER BY row_number")
    return [value for (value,) in found]


@pytest.fixture(scope="module")
def connection(server: Server) -> Any:
    with server.connect() as opened:
        yield opened


@pytest.mark.parametrize("table", [*FITTING, Widened])
@given(drawn=st.data())
@settings(max_examples=60, deadline=None)
def test_rows_hash_as_postgres_hashes_them(connection: Connection, table: type[StarRow], drawn: st.DataObject) -> None:
    made = drawn.draw(rows(table))

    assert star_hashes(table, arrays(table, made)).tolist() == hashed_by_postgres(connection, table, made)


@pytest.mark.parametrize("table", [*FITTING, Widened])
def test_each_edge_of_each_type_hashes_as_postgres_hashes_it(connection: Connection, table: type[StarRow]) -> None:
    edges = {column.name: known(column.python, column.sql) for column in table.columns()}
    count = max(map(len, edges.values()))
    made = [{name: some[number % len(some)] for name, some in edges.items()} for number in range(count)]

    assert star_hashes(table, arrays(table, made)).tolist() == hashed_by_postgres(connection, table, made)


def test_columns_of_few_values_and_blocks_of_many_rows_hash_as_the_stage_does(star: Star) -> None:
    """Through the stage's own generated column, so that what is hashed is what COPY brings."""
    count = 2 * hashes.BLOCK + 1
    number = np.arange(count)
    base = changed(FactSalesOrder, [SALE], at(1, 10))
    columns: dict[str, Any] = {name: np.repeat(np.asarray(values), count) for name, values in base.columns.items()}
    columns["sales_order_id"] = number.astype("int32") * 5 - 30_000
    columns["created_date"] = np.datetime64("1999-11-01") + number % 90
    columns["created_time"] = number * 2_500_000
    columns["units_sold"] = (number % 100 - 50).astype("int32")
    columns["unit_price"] = number % 12_345 - 40
    data = base.batch.data.model_copy(update={"object": base.batch.data.object.model_copy(update={"rows": count})})
    names = listed([*columns_of(FactSalesOrder), "_row_hash", "_deleted", *POSITION, "_seen_at"])

    with star.connect() as warehouse:
        warehouse.run(create_stage(FactSalesOrder) + "BEGIN")
        target = f"COPY {stage_table(FactSalesOrder)} ({names}) FROM STDIN (FORMAT binary)"
        copy_in(warehouse, target, binary.copy_binary(FactSalesOrder.columns(), data, columns))
        staged = warehouse.run(f"SELECT _star_hash FROM {stage_table(FactSalesOrder)} ORDER BY sales_order_id")

    assert star_hashes(FactSalesOrder, columns).tolist() == [value for (value,) in staged]


def test_no_rows_have_no_hashes() -> None:
    assert star_hashes(FactPayment, arrays(FactPayment, [])).tolist() == []


@pytest.mark.parametrize("table", [*FITTING, Widened])
def test_the_warehouse_answers_the_probe_with_what_is_expected(connection: Connection, table: type[StarRow]) -> None:
    sql, expected = probe(table)

    assert connection.run(sql) == [[expected]]


def test_the_probe_tells_a_column_of_any_type_that_the_warehouse_hashes_otherwise(connection: Connection) -> None:
    sql, expected = probe(FactPayment)

    for name in columns_of(FactPayment):
        otherwise = sql.replace(f"r.{name}", f"CAST(r.{name} AS text)", 1)
        assert otherwise != sql
        assert connection.run(otherwise) != [[expected]], name
