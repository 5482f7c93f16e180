"""A live source and a live warehouse are held to the contracts: a deviation has its sentence, and nothing else has."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import duckdb
import numpy as np
import pytest
from pydantic import Field

from contracts.feeds import FEEDS
from contracts.fields import AsText, Family
from contracts.messages import ROW_HASH
from contracts.source import CurrencyRow
from contracts.star import STAR_TABLES, FactPayment, StarRow
from services.loader import staging
from services.loader.ddl import star_schema
from services.loader.stage_table import create_stage
from services.ops.contracts.against import (
    against_source,
    against_warehouse,
    read_relations,
    source_findings,
    warehouse_findings,
)
from services.ops.contracts.world import SPELLED, Column, Relation, lines, of_table
from services.ops.doctor.findings import Finding, fail, note, warn
from shared import parquet
from shared.errors import ConfigurationError, Unavailable
from shared.postgres import Connection
from tests.conftest import READER, TOTESYS_SQL, Server, Source
from tests.loader.rows import array, at, changed
from tests.ops.conftest import OwnServer
from tests.shared.duck import view

SCHEMA = "warehouse"
ALL = tuple(FEEDS.values())
TABLES = pytest.mark.parametrize("table", STAR_TABLES, ids=lambda table: table.table)
RELEASE = "release the contract's next version, as docs/contracts.md walks through."
RESTORE = "Restore it, or change the contract to follow the source."
MIGRATE = "Run `totes migrate`; what that does not mend, a contract changed without its migration (docs/contracts.md)."
BY_HAND = "Undo what was done by hand: no migration makes it so."


@contextmanager
def session_on(server: Server, name: str, made_as: str = "") -> Iterator[Connection]:
    """A superuser's session on a database that lives as long as it."""
    with server.connect() as admin:
        admin.run(f"CREATE DATABASE {name} {made_as}")
    with server.connect(name) as connection:
        yield connection
    with server.connect() as admin:
        admin.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def source(server: Server) -> Iterator[Connection]:
    """A totesys for all tests that undo what they alter."""
    with session_on(server, f"contracts_source_{os.getpid()}") as connection:
        connection.run(TOTESYS_SQL.read_text())
        connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
        yield connection


@pytest.fixture(scope="module")
def warehouse(server: Server, template: str) -> Iterator[Connection]:
    """A migrated warehouse for all tests that undo what they alter."""
    name = f"contracts_star_{os.getpid()}"
    with session_on(server, name, f"TEMPLATE {template} STRATEGY file_copy") as connection:
        connection.run(f"SET search_path TO {SCHEMA}")
        yield connection


@contextmanager
def altered(connection: Connection, change: str) -> Iterator[None]:
    """A change of the catalog, undone afterwards."""
    connection.run("BEGIN")
    try:
        connection.run(change)
        yield
    finally:
        connection.run("ROLLBACK")


def test_a_source_as_the_contracts_say_has_no_finding_for_a_login_that_may_only_select(totesys: Source) -> None:
    assert against_source(totesys.reader_dsn, "public") == ()


SOURCE_DEVIATIONS = {
    "a column is missing": (
        "ALTER TABLE sales_order DROP COLUMN units_sold",
        [fail("source.sales_order",
              "Expected the column public.sales_order.units_sold (integer) and found none.", RESTORE)],
    ),
    "last_updated is missing": (
        "ALTER TABLE design DROP COLUMN last_updated",
        [fail("source.design", "Expected the column public.design.last_updated (timestamp) and found none.", RESTORE)],
    ),
    "a type of another family": (
        "ALTER TABLE payment ALTER paid TYPE text",
        [fail("source.payment", "Expected the column public.payment.paid to be of the boolean family and found text.",
              "Restore its type, or change the contract to follow the source.")],
    ),
    "a joined column is missing": (
        "ALTER TABLE department DROP COLUMN location",
        [fail(contract, "Expected the column public.department.location (text) and found none.", RESTORE)
         for contract in ("source.department", "source.staff")],
    ),
    "a joined table is missing": (
        "DROP TABLE address CASCADE",
        [fail(contract, "Expected the table public.address in the source and found none.",
              "Create it or correct the DSN.")
         for contract in ("source.address", "source.counterparty")],
    ),
    "integers of which some are beyond the contract's": (
        "ALTER TABLE sales_order ALTER units_sold TYPE bigint",
        [warn("source.sales_order",
              "Expected the column public.sales_order.units_sold to hold no more than 2147483647 and found int8.",
              f"A row with more than that will be quarantined: restore its type, or widen it and {RELEASE}")],
    ),
    "integers that may be NULL too": (
        "ALTER TABLE transaction ALTER sales_order_id TYPE bigint",
        [warn("source.transaction",
              "Expected the column public.transaction.sales_order_id to hold no more than 2147483647 and found int8.",
              f"A row with more than that will be quarantined: restore its type, or widen it and {RELEASE}")],
    ),
    "NULL where the contract knows none": (
        "ALTER TABLE sales_order ALTER unit_price DROP NOT NULL",
        [warn("source.sales_order",
              "Expected the column public.sales_order.unit_price to be NOT NULL and found that it may be NULL.",
              f"A row with NULL there will be quarantined: restore NOT NULL, or let it be NULL and {RELEASE}")],
    ),
    "NULL in a joined table is told of the contract that forbids it": (
        "ALTER TABLE department ALTER last_updated DROP NOT NULL",
        [warn("source.department",
              "Expected the column public.department.last_updated to be NOT NULL and found that it may be NULL.",
              f"A row with NULL there will be quarantined: restore NOT NULL, or let it be NULL and {RELEASE}")],
    ),
    "no primary key": (
        "ALTER TABLE payment DROP CONSTRAINT payment_pkey",
        [fail("source.payment", "Expected the primary key of public.payment to be payment_id and found none.",
              "Two rows of one key would pass for versions of one: restore it, or name the key there is in FEEDS.")],
    ),
    "a wider primary key": (
        "ALTER TABLE payment DROP CONSTRAINT payment_pkey; ALTER TABLE payment ADD PRIMARY KEY (payment_id, paid)",
        [fail("source.payment",
              "Expected the primary key of public.payment to be payment_id and found payment_id, paid.",
              "Two rows of one key would pass for versions of one: restore it, or name the key there is in FEEDS.")],
    ),
    "a unique index is no primary key": ("CREATE UNIQUE INDEX ON design (file_name)", []),
    "a column nobody reads": (
        "ALTER TABLE design ADD COLUMN colour text",
        [note("source.design", "No contract reads the column public.design.colour.", f"To read it, {RELEASE}")],
    ),
    "a column nobody reads in a joined table": (
        "ALTER TABLE department ADD COLUMN budget numeric NOT NULL DEFAULT 0",
        [note("source.department", "No contract reads the column public.department.budget.", f"To read it, {RELEASE}")],
    ),
    "a table nobody reads": (
        "CREATE TABLE basket (basket_id bigint PRIMARY KEY)",
        [note("source", "No feed reads the table public.basket.",
              "To read it, write its contract, as docs/contracts.md walks through.")],
    ),
    "a table that may not be read": (
        f"REVOKE SELECT ON currency FROM {READER}",
        [fail("source.currency", "The login may not read public.currency.", "GRANT SELECT ON public.currency to it.")],
    ),
    "a view in a table's place": (
        "ALTER TABLE currency RENAME TO money; CREATE VIEW currency AS SELECT * FROM money;"
        f"GRANT SELECT ON currency TO {READER}",
        [fail("source.currency",
              "Expected public.currency to be a table and found a view, which has no transaction ids.",
              "Read its table."),
         note("source", "No feed reads the table public.money.",
              "To read it, write its contract, as docs/contracts.md walks through.")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), SOURCE_DEVIATIONS.values(), ids=SOURCE_DEVIATIONS)
def test_a_source_that_falls_short_of_a_contract_is_told_so_in_a_sentence(
    source: Connection, change: str, expected: list[Finding]
) -> None:
    with altered(source, f"{change}; SET LOCAL ROLE {READER}"):
        assert list(source_findings(source, "public", ALL)) == expected


def test_what_prints_alike_and_what_is_stricter_than_the_contract_is_fine(source: Connection) -> None:
    change = """
        CREATE TYPE kind AS ENUM ('SALE', 'PURCHASE'); CREATE DOMAIN label AS varchar NOT NULL;
        ALTER TABLE transaction ALTER transaction_type TYPE kind USING transaction_type::kind;
        ALTER TABLE design ALTER design_name TYPE text, ALTER file_name TYPE label, ALTER file_name DROP NOT NULL;
        ALTER TABLE sales_order ALTER units_sold TYPE smallint, ALTER unit_price TYPE numeric(10, 2);
        ALTER TABLE department ALTER location SET NOT NULL"""

    with altered(source, change):
        assert source_findings(source, "public", ALL) == ()


def test_a_contract_that_takes_bigints_finds_nothing_in_them(source: Connection) -> None:
    class Wide(CurrencyRow):
        currency_id: Annotated[int, Field(ge=0, le=2**63 - 1), AsText(Family.INTEGER, "^[0-9]{1,19}$")]

    with altered(source, "ALTER TABLE currency ALTER currency_id TYPE bigint"):
        today = source_findings(source, "public", [FEEDS["currency"]])
        wide = source_findings(source, "public", [replace(FEEDS["currency"], row=Wide)])

    assert [one.verdict for one in today if one.check != "source"] == ["warn"]
    assert [one for one in wide if one.check != "source"] == []


def test_a_schema_that_is_not_there_is_one_finding_and_not_one_for_each_table(source: Connection) -> None:
    assert source_findings(source, "nowhere", ALL) == (
        fail(
            "source",
            "Expected the schema 'nowhere' in the source and found none.",
            "Correct TOTES_SOURCE_SCHEMA or the DSN.",
        ),
    )


@pytest.mark.parametrize("against", [against_source, against_warehouse])
def test_a_server_that_does_not_answer_is_said_in_one_sentence_without_the_password(against: Any) -> None:
    with pytest.raises(Unavailable, match=r"Expected a Postgres server at 127.0.0.1:1/totesys") as caught:
        against("postgresql://reader:hush@127.0.0.1:1/totesys", "public")

    assert "hush" not in str(caught.value)


def test_a_wrong_password_is_said_in_one_sentence_and_never_repeated(asking_server: OwnServer) -> None:
    with pytest.raises(ConfigurationError, match="The password of 'postgres' was refused at") as caught:
        against_source(asking_server.dsn("postgres", password="hush"), "public")

    assert "hush" not in str(caught.value)


def test_a_migrated_warehouse_has_no_finding_even_for_a_login_without_rights(
    server: Server, warehouse_dsn: str
) -> None:
    assert against_warehouse(warehouse_dsn.replace("postgres@", f"{READER}@"), SCHEMA) == ()


def no_view(name: str, contract: str) -> Finding:
    return fail(contract, f"Expected the view warehouse.{name} and found none.", MIGRATE)


WAREHOUSE_DEVIATIONS = {
    "a column is missing": (
        "ALTER TABLE dim_staff DROP COLUMN location",
        [fail("star.dim_staff", "Expected the column warehouse.dim_staff.location (varchar) and found none.", MIGRATE)],
    ),
    "another type": (
        "ALTER TABLE dim_design ALTER design_id TYPE bigint",
        [fail("star.dim_design",
              "Expected the column warehouse.dim_design.design_id to be integer and found bigint.", MIGRATE)],
    ),
    "other decimals": (
        "DROP VIEW current_sales_order, history_sales_order;"
        "ALTER TABLE fact_sales_order ALTER unit_price TYPE numeric",
        [fail("star.fact_sales_order",
              "Expected the column warehouse.fact_sales_order.unit_price to be numeric(10,2) and found numeric.",
              MIGRATE),
         no_view("current_sales_order", "star.fact_sales_order"),
         no_view("history_sales_order", "star.fact_sales_order")],
    ),
    "NULL where none may stand": (
        "ALTER TABLE fact_payment ALTER paid DROP NOT NULL",
        [warn("star.fact_payment",
              "Expected the column warehouse.fact_payment.paid to be NOT NULL and found that it may be NULL.",
              BY_HAND)],
    ),
    "no NULL where one may stand": (
        "ALTER TABLE dim_location ALTER district SET NOT NULL",
        [fail("star.dim_location",
              "Expected that the column warehouse.dim_location.district may be NULL and found NOT NULL.", MIGRATE)],
    ),
    "a column nobody promised": (
        "ALTER TABLE dim_design ADD COLUMN colour text",
        [note("star.dim_design", "No contract knows the column warehouse.dim_design.colour.",
              "The loader leaves it out.")],
    ),
    "a column nobody can fill": (
        "ALTER TABLE dim_design ADD COLUMN colour text NOT NULL",
        [fail("star.dim_design",
              "No contract knows the column warehouse.dim_design.colour, and it is NOT NULL without a default.",
              f"No load can fill it. {BY_HAND}")],
    ),
    "columns in another order": (
        "ALTER TABLE dim_staff DROP COLUMN last_name; ALTER TABLE dim_staff ADD COLUMN last_name varchar NOT NULL",
        [fail("star.dim_staff",
              "Expected the columns of warehouse.dim_staff in the contract's order and found department_name before "
              "last_name.", "Who reads by position reads another column: put them back in their order.")],
    ),
    "a reference is missing": (
        "ALTER TABLE fact_payment DROP CONSTRAINT fact_payment_currency_id_fkey",
        [warn("star.fact_payment",
              "Expected the column warehouse.fact_payment.currency_id to refer to dim_currency and found that it does "
              "not.", BY_HAND)],
    ),
    "a reference too many": (
        "ALTER TABLE dim_transaction ADD FOREIGN KEY (sales_order_id) REFERENCES dim_design",
        [fail("star.dim_transaction",
              "Expected no reference of the column warehouse.dim_transaction.sales_order_id to dim_design and found "
              "one.",
              f"Loads without that row would be refused. {BY_HAND}")],
    ),
    "no primary key": (
        "ALTER TABLE fact_payment DROP CONSTRAINT fact_payment_pkey",
        [fail("star.fact_payment",
              "Expected the primary key of warehouse.fact_payment to be payment_record_id and found none.", BY_HAND)],
    ),
    "a record id that does not number itself": (
        "ALTER TABLE fact_payment ALTER payment_record_id DROP DEFAULT",
        [fail("star.fact_payment",
              "Expected the column warehouse.fact_payment.payment_record_id to number itself and found no default.",
              BY_HAND)],
    ),
    "a table is missing": (
        "DROP TABLE dim_payment_type CASCADE",
        [fail("star.dim_payment_type", "Expected the table warehouse.dim_payment_type and found none.", MIGRATE),
         warn("star.fact_payment",
              "Expected the column warehouse.fact_payment.payment_type_id to refer to dim_payment_type and found that "
              "it does not.", BY_HAND)],
    ),
    "a view in a table's place": (
        "ALTER TABLE fact_payment RENAME TO paid; CREATE VIEW fact_payment AS SELECT * FROM paid",
        [fail("star.fact_payment", "Expected warehouse.fact_payment to be a table and found a view.", BY_HAND)],
    ),
    "a view is missing": ("DROP VIEW history_payment", [no_view("history_payment", "star.fact_payment")]),
    "the view of freshness is missing": ("DROP VIEW freshness", [no_view("freshness", "star")]),
    "a view shows a column under another name": (
        "ALTER VIEW history_payment RENAME COLUMN ended_by TO ending",
        [fail("star.fact_payment",
              "Expected the view warehouse.history_payment to show ended_by (text) and found none.", MIGRATE)],
    ),
    "our own columns are no part of a contract": ("ALTER TABLE dim_staff ADD COLUMN _read_at timestamptz NOT NULL", []),
}  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), WAREHOUSE_DEVIATIONS.values(), ids=WAREHOUSE_DEVIATIONS)
def test_a_warehouse_that_falls_short_of_a_contract_is_told_so_in_a_sentence(
    warehouse: Connection, change: str, expected: list[Finding]
) -> None:
    with altered(warehouse, change):
        assert list(warehouse_findings(warehouse, SCHEMA)) == expected


def test_a_schema_without_a_star_is_one_finding_and_not_one_for_each_table(warehouse: Connection) -> None:
    assert warehouse_findings(warehouse, "nowhere") == (
        fail("star", "Expected the star schema in the schema 'nowhere' and found no table there.", MIGRATE),
    )


def test_findings_are_told_by_contract_the_worst_first() -> None:
    found = [
        note("source.b", "New.", "Look."),
        warn("source.a", "Odd.", "Mend."),
        fail("source.b", "Gone.", "Restore."),
    ]

    assert list(lines(found)) == [
        "source.a",
        "  warn: Odd. Mend.",
        "source.b",
        "  fail: Gone. Restore.",
        "  note: New. Look.",
    ]


def test_that_there_are_no_findings_is_said() -> None:
    assert list(lines(())) == ["Everything is as the contracts say."]


def generated(table: type[StarRow]) -> Relation:
    """A star table as the generated SQL has it, read as text."""
    body = re.search(rf'^CREATE TABLE "{table.table}" \(\n(.*?)\n\);', star_schema(), re.MULTILINE | re.DOTALL)
    assert body is not None
    declared = re.findall(r'^    "(\w+)" (numeric\(10, 2\)|\w+)(.*?),?$', body[1], re.MULTILINE)
    return Relation(is_table=True, columns=tuple(_generated_column(*each) for each in declared))


def _generated_column(name: str, kind: str, rest: str) -> Column:
    key = "PRIMARY KEY" in rest
    return Column(
        name=name,
        type="integer" if kind == "serial" else SPELLED.get(kind, kind.replace(" ", "")),
        nullable=not key and "NOT NULL" not in rest,
        filled=kind == "serial",
        of_key=key,
        references=tuple(re.findall(r'REFERENCES "(\w+)"', rest)),
    )


@TABLES
def test_the_generated_sql_is_as_the_contract_says(table: type[StarRow]) -> None:
    assert list(of_table(table, generated(table), table.table)) == []


def test_generated_sql_that_lost_a_column_is_told() -> None:
    whole = generated(FactPayment)
    lost = replace(whole, columns=tuple(column for column in whole.columns if column.name != "paid"))

    assert list(of_table(FactPayment, lost, "fact_payment")) == [
        fail("star.fact_payment", "Expected the column fact_payment.paid (boolean) and found none.", MIGRATE)
    ]


VALUES: dict[type, Any] = {
    int: 1,
    str: "a",
    bool: True,
    date: date(2026, 11, 25),
    time: time(9, 30),
    Decimal: Decimal("2.50"),
}
DUCKDB_TYPES = {
    "integer": "INTEGER",
    "character varying": "VARCHAR",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time without time zone": "TIME",
    "numeric(10,2)": "DECIMAL(10,2)",
    "numeric": "DECIMAL(18,2)",
}
"""What DuckDB should read where the warehouse has such a column."""


@pytest.fixture(scope="module")
def relations(warehouse: Connection) -> dict[str, Relation]:
    return read_relations(warehouse, SCHEMA)


def one_row(table: type[StarRow]) -> dict[str, Any]:
    return {column.name: VALUES[column.python] for column in table.columns()}


def predefined(table: type[StarRow], relations: dict[str, Relation]) -> list[Column]:
    """The warehouse's own columns of a table that its contract speaks of."""
    theirs = relations[table.table].columns
    return [column for column in theirs if not column.name.startswith("_") and column.name != table.record_id]


@TABLES
def test_parquet_has_the_names_the_order_the_types_and_the_nulls_of_the_warehouse(
    table: type[StarRow], relations: dict[str, Relation], tmp_path: Path
) -> None:
    arrays = {column.name: array(column, [one_row(table)[column.name]]) for column in table.columns()}
    types = view(parquet.write(table, {**arrays, ROW_HASH: np.array([1], "int64")}), tmp_path).types
    with duckdb.connect() as duck:
        described = "SELECT name, repetition_type FROM parquet_schema(?) WHERE repetition_type IS NOT NULL"
        nulls = dict(duck.execute(described, [str(tmp_path / "view.parquet")]).fetchall())

    columns = predefined(table, relations)
    assert list(types.items()) == [*((one.name, DUCKDB_TYPES[one.type]) for one in columns), (ROW_HASH, "BIGINT")]
    assert {one.name: nulls[one.name] == "OPTIONAL" for one in columns} == {one.name: one.nullable for one in columns}


class Listening:
    """A session that remembers what was said to it."""

    def __init__(self, real: Connection) -> None:
        self._real = real
        self.said: list[str] = []

    def run(self, sql: str, **arguments: Any) -> Any:
        self.said.append(sql)
        return self._real.run(sql, **arguments)

    @property
    def row_count(self) -> int:
        return int(self._real.row_count)


@pytest.mark.parametrize("table", [feed.star for feed in ALL if feed.star], ids=lambda table: table.table)
def test_the_loader_stages_the_columns_of_the_warehouse_under_their_names_types_and_order(
    table: type[StarRow], warehouse: Connection, relations: dict[str, Relation]
) -> None:
    listening = Listening(warehouse)
    with altered(warehouse, create_stage(table)):
        staging.stage(listening, table, changed(table, [one_row(table)], at(1, 10)).load)  # type: ignore[arg-type]
        [[temporary]] = warehouse.run("SELECT nspname::text FROM pg_namespace WHERE oid = pg_my_temp_schema()")
        staged = read_relations(warehouse, temporary)[f"stage_{table.table}"]

    [copied] = re.findall(r"COPY \S+ \((.*)\) FROM STDIN", listening.said[0])
    names = [name.strip('"') for name in copied.split(", ")]
    columns = [(one.name, one.type) for one in predefined(table, relations)]
    assert [(one.name, one.type) for one in staged.columns if not one.name.startswith("_")] == columns
    assert names[: len(columns)] == [name for name, _ in columns]
    assert all(name.startswith("_") for name in names[len(columns) :])
