"""A changed star contract brings the skeleton of its migration, which leads to what the contracts generate."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from contracts.star import STAR_TABLES, DimLocation, FactPayment, FactSalesOrder, StarRow
from services.loader import ddl
from services.ops.contracts.migration import Change, skeleton
from services.ops.contracts.published import today
from tests.conftest import open_connection
from tests.loader.test_migrate import CATALOG

OTHER_VIEWS = """
DROP VIEW current_{0}; CREATE VIEW current_{0} AS SELECT 1; DROP VIEW history_{0}; CREATE VIEW history_{0} AS SELECT 1;
"""
"""The views as they were: they do not name the column that is to change."""
STARS = {each.name: each.written for each in today() if each.kind == "star"}


def former(table: type[StarRow], **changed: Any) -> dict[str, Any]:
    """The table's schema as it may have been: a column with another schema, or none where it is None."""
    schema = STARS[table.table]
    properties = {**schema["properties"], **changed}
    return {**schema, "properties": {name: each for name, each in properties.items() if each is not None}}


def sql_of(table: type[StarRow], before: Mapping[str, Any] | None) -> str:
    files = skeleton([Change(table, before)], ["0001", "0002"])
    return next((text for path, text in files.items() if path.suffix == ".sql"), "")


def catalog(dsn: str) -> dict[str, Any]:
    with open_connection(dsn) as connection:
        return {name: connection.run(sql, schema="public") for name, sql in CATALOG.items()}


@pytest.mark.parametrize(
    ("table", "lost", "was"),
    [
        (DimLocation, "ALTER TABLE dim_location DROP COLUMN district", {"district": None}),
        (
            FactPayment,
            OTHER_VIEWS.format("payment") + "ALTER TABLE fact_payment DROP COLUMN payment_type_id",
            {"payment_type_id": None},
        ),
        (
            DimLocation,
            "ALTER TABLE dim_location ADD COLUMN floor int",
            {"floor": {"anyOf": [{"type": "integer", "x-sql": "int"}, {"type": "null"}]}},
        ),
        (
            FactSalesOrder,
            OTHER_VIEWS.format("sales_order") + "ALTER TABLE fact_sales_order ALTER COLUMN unit_price TYPE numeric",
            {"unit_price": {"type": "number", "x-sql": "numeric"}},
        ),
        (
            DimLocation,
            "ALTER TABLE dim_location ALTER COLUMN district SET NOT NULL",
            {"district": {"type": "string", "x-sql": "varchar"}},
        ),
        (FactPayment, "DROP TABLE fact_payment CASCADE; DROP TABLE _unversioned_payment CASCADE", None),
    ],
    ids=["a column", "a column of a fact", "one that is gone", "another type", "NULL allowed", "a table"],
)
def test_the_skeleton_leads_to_what_the_contracts_generate(
    new_database: Callable[[str], str], table: type[StarRow], lost: str, was: dict[str, Any] | None
) -> None:
    whole, changed = new_database("whole"), new_database("changed")
    for dsn in (whole, changed):
        with open_connection(dsn) as connection:
            connection.run(ddl.star_schema())

    with open_connection(changed) as connection:
        connection.run(lost)
        connection.run(sql_of(table, None if was is None else former(table, **was)))

    assert catalog(changed) == catalog(whole)


def test_what_did_not_change_needs_no_migration() -> None:
    assert skeleton([Change(table, former(table)) for table in STAR_TABLES]) == {}


def test_a_migration_follows_the_last_one_and_names_its_tables() -> None:
    files = skeleton([Change(DimLocation, former(DimLocation, district=None))], ["0001", "0002"])

    python, sql = files
    assert python == Path("services/loader/migrations/versions/0003_dim_location.py")
    assert sql == python.with_suffix(".sql")
    assert 'revision = "0003"\ndown_revision = "0002"' in files[python]
    compile(files[python], "migration", "exec")


def test_rows_of_before_need_a_value_where_none_may_be_missing() -> None:
    sql = sql_of(DimLocation, former(DimLocation, phone=None))

    assert "Rows of before need a value here" in sql
    assert 'ADD COLUMN "phone" varchar NOT NULL' in sql
