"""A migrated warehouse is what the contracts say, however often and by however many it was migrated."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from pg8000.exceptions import DatabaseError
from pg8000.native import identifier

from contracts.feeds import FEEDS
from contracts.star import STAR_TABLES, Kind, StarRow
from services.loader import ddl
from services.loader.migrate import migrate
from services.loader.revisions import VERSIONS, revisions
from services.loader.stage_table import create_stage
from shared.errors import ConfigurationError, PipelineError, WarehouseUnavailable
from tests.conftest import open_connection
from tests.loader.conftest import ANALYST, LOADER, SCHEMA, Star, load_all
from tests.loader.rows import SALE, at, changed

ODD_SCHEMA = 'We "ird"; -- %s :name schéma'
SQL_TYPES = {
    "int": "integer",
    "varchar": "character varying",
    "date": "date",
    "time": "time without time zone",
    "numeric(10, 2)": "numeric(10,2)",
    "numeric": "numeric",
    "boolean": "boolean",
}
CATALOG = {
    "columns": """
        SELECT c.relname, c.relkind, CASE WHEN c.relkind = 'v' THEN a.attnum END, a.attname,
               format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
         WHERE c.relnamespace = CAST(:schema AS regnamespace)
           AND c.relname NOT LIKE '%alembic%'
         ORDER BY 1, 3, 4""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = CAST(:schema AS regnamespace) AND conname NOT LIKE '%alembic%' AND contype <> 'n'
         ORDER BY 1, 2""",
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes
         WHERE schemaname = :schema AND indexname NOT LIKE '%alembic%' ORDER BY 1""",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = :schema ORDER BY 1",
}


def catalog(dsn: str, schema: str) -> dict[str, Any]:
    with open_connection(dsn) as connection:
        connection.run(f"SET search_path TO {identifier(schema)}")
        return {name: connection.run(sql, schema=schema) for name, sql in CATALOG.items()}


@pytest.mark.parametrize("table", STAR_TABLES, ids=lambda table: table.table)
def test_a_star_table_has_the_predefined_columns_in_their_order(common_star: Star, table: type[StarRow]) -> None:
    """Read from the catalog, and compared with the contract column by column; one that came later is behind our own."""
    found = common_star.rows(
        "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, f.confrelid::regclass::text"
        "  FROM pg_attribute a LEFT JOIN pg_constraint f"
        "    ON f.conrelid = a.attrelid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum]"
        " WHERE a.attrelid = CAST(:name AS regclass) AND attnum > 0 ORDER BY attnum",
        name=table.table,
    )
    primary = common_star.rows(
        "SELECT a.attname FROM pg_constraint p JOIN pg_attribute a"
        "    ON a.attrelid = p.conrelid AND a.attnum = ANY (p.conkey)"
        " WHERE p.conrelid = CAST(:name AS regclass) AND p.contype = 'p'",
        name=table.table,
    )

    expected = [[c.name, SQL_TYPES[c.sql], c.nullable, c.references] for c in table.columns()]
    if table.record_id is not None:
        expected.insert(0, [table.record_id, "integer", False, None])
    assert [column for column in found if not column[0].startswith("_")] == expected
    assert primary == [[table.record_id or table.key]]


def test_the_migrations_end_in_what_is_generated_from_the_contracts(
    new_database: Callable[[str], str], common_star: Star
) -> None:
    generated = new_database("generated")
    with open_connection(generated) as connection:
        connection.run(f"CREATE SCHEMA {SCHEMA}")
        connection.run(f"SET search_path TO {SCHEMA}")
        connection.run(ddl.star_schema())

    assert catalog(common_star.owner_dsn, SCHEMA) == catalog(generated, SCHEMA)


@pytest.mark.parametrize("feed", [feed for feed in FEEDS.values() if feed.star and feed.star.kind() is Kind.FACT])
def test_views_show_exactly_the_predefined_columns_and_history_adds_three(common_star: Star, feed: Any) -> None:
    predefined = [feed.star.record_id, *(column.name for column in feed.star.columns())]
    with common_star.connect() as connection:
        connection.run(f"SELECT * FROM current_{feed.name} LIMIT 0")
        current = [column["name"] for column in connection.columns]
        connection.run(f"SELECT * FROM history_{feed.name} LIMIT 0")
        history = [column["name"] for column in connection.columns]

    assert current == predefined
    assert history == [*predefined, "valid_from", "valid_to", "ended_by"]


BEFORE_VERSIONS = """
INSERT INTO dim_date (date_id, year, month, day, day_of_week, day_name, month_name, quarter)
VALUES ('2026-11-20', 2026, 11, 20, 5, 'Friday', 'November', 4);
INSERT INTO dim_staff (staff_id, first_name, last_name, department_name, location, email_address,
                       _generation, _revision, _contract) VALUES (1, 'a', 'b', 'c', 'd', 'e', 1, 1, 1);
INSERT INTO dim_counterparty (counterparty_id, counterparty_legal_name, counterparty_legal_address_line_1,
       counterparty_legal_city, counterparty_legal_postal_code, counterparty_legal_country,
       counterparty_legal_phone_number, _generation, _revision, _contract) VALUES (1, '', '', '', '', '', '', 1, 1, 1);
INSERT INTO dim_currency (currency_id, currency_code, currency_name, _generation, _revision, _contract)
VALUES (1, 'GBP', 'Pound', 1, 1, 1);
INSERT INTO dim_design (design_id, design_name, file_location, file_name, _generation, _revision, _contract)
VALUES (1, '', '', '', 1, 1, 1);
INSERT INTO dim_location (location_id, address_line_1, city, postal_code, country, phone,
                          _generation, _revision, _contract) VALUES (1, '', '', '', '', '', 1, 1, 1);
INSERT INTO fact_sales_order (sales_order_id, created_date, created_time, last_updated_date, last_updated_time,
       sales_staff_id, counterparty_id, units_sold, unit_price, currency_id, design_id, agreed_payment_date,
       agreed_delivery_date, agreed_delivery_location_id, _generation, _revision, _contract, _star_hash)
SELECT key, '2026-11-20', '09:00', '2026-11-20', '09:00', 1, 1, 10, 2.5, 1, 1, '2026-11-20', '2026-11-20', 1,
       1, revision, 1, star_hash FROM (VALUES (1, 10, 7), (1, 30, 8), (2, 10, 9)) v (key, revision, star_hash);
INSERT INTO _seen_sales_order
SELECT key, 1, revision, 1, revision * 100 + key, star_hash,
       CAST('2026-11-21 10:00Z' AS timestamptz) + make_interval(secs => revision)
  FROM (VALUES (1, 10, 7), (1, 20, 7), (1, 30, 8), (2, 10, 9), (2, 20, NULL), (3, 10, 5)) v (key, revision, star_hash)
"""
"""Versions, a repetition, a deletion, and an observation whose version somebody has deleted."""


def test_versions_take_over_where_and_when_they_were_seen(new_database: Callable[[str], str]) -> None:
    shown = (
        "SELECT CAST(to_jsonb(s) AS text) FROM _seen_sales_order s ORDER BY key, revision",
        "SELECT CAST(to_jsonb(h) AS text) FROM history_sales_order h ORDER BY sales_record_id",
        "SELECT CAST(to_jsonb(c) AS text) FROM current_sales_order c ORDER BY sales_record_id",
    )
    with open_connection(new_database("before_versions")) as connection:
        for name in ("0001_star_schema", "0002_heartbeat"):
            connection.run((VERSIONS / f"{name}.sql").read_text())
        connection.run(BEFORE_VERSIONS)
        before = [connection.run(sql) for sql in shown]

        connection.run((VERSIONS / "0003_versions.sql").read_text())

        assert [connection.run(sql) for sql in shown] == before
        beside = connection.run("SELECT key, revision FROM _unversioned_sales_order ORDER BY 1, 2")
        assert beside == [[1, 20], [2, 20], [3, 10]]


def test_a_second_migration_applies_nothing(new_database: Callable[[str], str], roles: None) -> None:
    dsn = new_database("twice")
    first = migrate(dsn, SCHEMA, loader_role=LOADER, analyst_role=ANALYST)
    before = catalog(dsn, SCHEMA)

    second = migrate(dsn, SCHEMA, loader_role=LOADER, analyst_role=ANALYST)

    assert (first[0], second, catalog(dsn, SCHEMA)) == ("0001", [], before)


def test_two_migrations_at_once_end_like_one(new_database: Callable[[str], str], roles: None) -> None:
    dsn = new_database("at_once")
    applied: list[list[str]] = []

    def run() -> None:
        applied.append(migrate(dsn, SCHEMA, loader_role=LOADER, analyst_role=ANALYST))

    threads = [Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(applied)[:2] == [[], []]
    assert sorted(applied)[2][0] == "0001"


def test_a_schema_with_odd_characters_is_migrated_and_loaded(new_database: Callable[[str], str], roles: None) -> None:
    dsn = new_database("odd")

    migrate(dsn, ODD_SCHEMA, loader_role=LOADER, analyst_role=ANALYST)
    star = Star(dsn, ODD_SCHEMA)
    load_all(star.warehouse(), changed(FEEDS["sales_order"].star, [SALE], at(1, 10)))  # type: ignore[arg-type]

    assert star.rows("SELECT sales_order_id FROM current_sales_order") == [[1]]
    star.close()


def test_two_teams_share_a_database_each_in_its_schema(new_database: Callable[[str], str], roles: None) -> None:
    dsn = new_database("teams")

    applied = [migrate(dsn, name, loader_role=LOADER, analyst_role=None) for name in ("red", "blue")]

    assert [revisions[0] for revisions in applied] == ["0001", "0001"]


def refused(star: Star, user: str, sql: str) -> str:
    """The SQLSTATE with which a login is refused."""
    connection = star.connect(user)
    try:
        with pytest.raises(DatabaseError) as caught:
            connection.run(sql)
    finally:
        connection.close()
    return str(caught.value.args[0]["C"])


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE mine (a int)",
        "ALTER TABLE dim_staff ADD COLUMN a int",
        "DROP TABLE fact_payment",
        "TRUNCATE fact_payment",
        "DELETE FROM fact_payment",
        "UPDATE _alembic_version SET version_num = '9999'",
        "CREATE SCHEMA mine",
    ],
)
def test_the_loader_changes_no_schema_and_deletes_nothing(common_star: Star, sql: str) -> None:
    assert refused(common_star, LOADER, sql) == "42501"


def test_a_loader_of_before_versions_is_refused_by_what_does_not_park_its_messages(common_star: Star) -> None:
    """It began with bookkeeping, which is a view now; only class 22 and broken constraints are parked."""
    assert refused(common_star, LOADER, "INSERT INTO _seen_payment (key) VALUES (1)") == "55000"


@pytest.mark.parametrize(
    "table", ["dim_staff", "fact_payment", "_unversioned_payment", "_load_batch", "current_payment"]
)
def test_an_analyst_reads_everything_and_writes_nothing(common_star: Star, table: str) -> None:
    with common_star.connect(ANALYST) as connection:
        connection.run(f"SELECT * FROM {table} LIMIT 1")

    assert refused(common_star, ANALYST, f"INSERT INTO {table} DEFAULT VALUES") == "42501"
    assert refused(common_star, ANALYST, "CREATE TABLE mine (a int)") == "42501"


def test_grants_cover_the_tables_of_later_migrations(star: Star) -> None:
    star.rows("CREATE TABLE later (id serial, what text)")

    with star.connect(LOADER) as connection:
        connection.run("INSERT INTO later (what) VALUES ('new')")
    with star.connect(ANALYST) as connection:
        found = connection.run("SELECT what FROM later")

    assert found == [["new"]]
    assert refused(star, ANALYST, "INSERT INTO later (what) VALUES ('mine')") == "42501"


def test_a_role_that_is_named_and_absent_is_reported_before_anything_is_created(
    new_database: Callable[[str], str],
) -> None:
    dsn = new_database("no_role")

    with pytest.raises(ConfigurationError, match=r"Expected the role 'nobody' at .* and found none: create it"):
        migrate(dsn, SCHEMA, loader_role=None, analyst_role="nobody")

    assert catalog_schemas(dsn) == []


def catalog_schemas(dsn: str) -> list[Any]:
    with open_connection(dsn) as connection:
        return connection.run("SELECT nspname FROM pg_namespace WHERE nspname = :schema", schema=SCHEMA)


def test_a_login_that_may_not_create_is_told_so_in_one_sentence(
    new_database: Callable[[str], str], roles: None
) -> None:
    dsn = new_database("no_rights").replace("postgres@", f"{LOADER}@")

    with pytest.raises(ConfigurationError, match="Expected the login 'totes_loader' to be allowed to create") as caught:
        migrate(dsn, SCHEMA, loader_role=None, analyst_role=None)

    assert "\n" not in str(caught.value)


def test_a_login_without_create_on_the_database_migrates_a_schema_it_was_given(
    new_database: Callable[[str], str], roles: None
) -> None:
    dsn = new_database("given")
    with open_connection(dsn) as connection:
        connection.run(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {LOADER}")

    applied = migrate(dsn.replace("postgres@", f"{LOADER}@"), SCHEMA, loader_role=None, analyst_role=None)

    assert applied[0] == "0001"


def test_an_unreachable_warehouse_is_unavailable() -> None:
    with pytest.raises(WarehouseUnavailable, match="localhost:1/nothing and could not reach it"):
        migrate("postgresql://nobody@localhost:1/nothing", SCHEMA, loader_role=None, analyst_role=None)


def test_a_schema_of_a_newer_version_is_left_alone(new_database: Callable[[str], str]) -> None:
    dsn = new_database("newer")
    migrate(dsn, SCHEMA, loader_role=None, analyst_role=None)
    with open_connection(dsn) as connection:
        connection.run(f"UPDATE {SCHEMA}._alembic_version SET version_num = '9999'")

    with pytest.raises(PipelineError, match="newest revision: Can't locate revision identified by '9999'"):
        migrate(dsn, SCHEMA, loader_role=None, analyst_role=None)


def test_a_stage_takes_every_star_table(common_star: Star) -> None:
    with common_star.connect(LOADER) as connection:
        for table in STAR_TABLES[1:]:
            connection.run(create_stage(table))
            connection.run(create_stage(table))


def test_the_revisions_known_without_alembic_are_those_that_it_applies():
    scripts = ScriptDirectory(str(VERSIONS.parent)).walk_revisions()

    assert revisions() == [script.revision for script in scripts][::-1]
