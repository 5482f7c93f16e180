"""Which warehouse the dashboards read, as whom, and what is said where that cannot be."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from services.dashboards.options import DashboardOptions
from services.dashboards.warehouse import Warehouse, opened
from services.loader.migrate import migrate
from services.local.description import StackDescription
from services.local.processes import Process
from shared.errors import ConfigurationError, Unavailable
from shared.postgres import Dsn
from tests.conftest import READER, NewDatabase, open_connection

ROOT = Path(__file__).parents[2]


@pytest.fixture
def owner(new_database: NewDatabase) -> str:
    """A warehouse as migrations leave it; its superuser's DSN."""
    dsn = new_database("dashboard")
    migrate(dsn, "warehouse", loader_role=None, analyst_role=None)
    return dsn


def reader(dsn: str) -> str:
    return dsn.replace("postgres@", f"{READER}@")


def test_a_warehouse_that_can_be_read_is_opened(owner: str) -> None:
    with open_connection(owner) as connection:
        connection.run(f"GRANT USAGE ON SCHEMA warehouse TO {READER}")
        connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA warehouse TO {READER}")

    with opened(DashboardOptions(analyst_dsn=reader(owner)), print) as found:
        assert found == Warehouse(Dsn.parse(reader(owner)), "warehouse")


def test_the_grants_that_the_documents_show_are_enough(owner: str) -> None:
    [grants] = re.findall(r"^```sql\n(.*?)^```", (ROOT / "docs" / "dashboards.md").read_text(), re.M | re.S)
    with open_connection(owner) as connection:
        connection.run("DROP ROLE IF EXISTS analyst")
        connection.run(grants.replace("SCHEMA terrific", "SCHEMA warehouse"))

    with opened(DashboardOptions(analyst_dsn=owner.replace("postgres@", "analyst@")), print) as found:
        assert found.dsn.user == "analyst"


def test_a_login_without_a_grant_is_told_which(owner: str) -> None:
    with open_connection(owner) as connection:
        connection.run(f"GRANT USAGE ON SCHEMA warehouse TO {READER}")
        connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA warehouse TO {READER}")
        connection.run(f"REVOKE SELECT ON warehouse.current_payment, warehouse.freshness FROM {READER}")

    with (
        pytest.raises(ConfigurationError, match=r"may not read current_payment, freshness: grant it SELECT"),
        opened(DashboardOptions(analyst_dsn=reader(owner)), print),
    ):
        pass


def test_a_schema_without_the_star_is_named(owner: str) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"star schema in the schema 'elsewhere' at .* found none"),
        opened(DashboardOptions(analyst_dsn=owner, warehouse_schema="elsewhere"), print),
    ):
        pass


def test_a_warehouse_that_is_away_is_named_in_a_sentence() -> None:
    options = DashboardOptions(analyst_dsn="postgresql://analyst@127.0.0.1:1/warehouse")

    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/warehouse"), opened(options, print):
        pass


def test_of_a_running_stack_its_analysts_login_is_used(owner: str, tmp_path: Path) -> None:
    describe(tmp_path, warehouse_dsn=owner, analyst_role=READER)
    with open_connection(owner) as connection:
        connection.run(f"GRANT USAGE ON SCHEMA warehouse TO {READER}")
        connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA warehouse TO {READER}")

    with opened(DashboardOptions(state_dir=tmp_path), print) as found:
        assert found.dsn.user == READER


def test_a_running_stack_with_somebody_elses_warehouse_asks_for_a_login(owner: str, tmp_path: Path) -> None:
    describe(tmp_path, warehouse_dsn=owner, analyst_role=None)

    with (
        pytest.raises(ConfigurationError, match="make dashboard WAREHOUSE="),
        opened(DashboardOptions(state_dir=tmp_path), print),
    ):
        pass


def describe(folder: Path, *, warehouse_dsn: str, analyst_role: str | None) -> None:
    me = Process.of("totes up", os.getpid())
    assert me is not None
    nothing: dict[str, Any] = {"buckets": {}, "queues": {}, "dead_letter_queues": {}, "children": ()}
    StackDescription(
        up=me,
        state_dir=folder,
        endpoint_url="http://127.0.0.1:1",
        region="eu-west-2",
        source_dsn=warehouse_dsn,
        source_owner_dsn=None,
        warehouse_dsn=warehouse_dsn,
        warehouse_owner_dsn=warehouse_dsn,
        loader_role=None,
        analyst_role=analyst_role,
        warehouse_schema="warehouse",
        time_zone="UTC",
        **nothing,
    ).write(folder)


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://a@localhost/w", {"sslmode": "disable"}),
        ("postgresql://a@/w?host=/run/postgresql", {"sslmode": "disable"}),
        ("postgresql://a@db.example.com/w?sslmode=require", {"sslmode": "require"}),
        (
            "postgresql://a@db.example.com/w?sslrootcert=/ca.pem",
            {"sslmode": "verify-full", "sslrootcert": "/ca.pem"},
        ),
    ],
)
def test_tls_is_checked_unless_nothing_crosses_a_network_or_the_dsn_says_so(dsn: str, expected: dict[str, str]) -> None:
    arguments = Warehouse(Dsn.parse(dsn), "warehouse").driver_arguments()

    assert {name: value for name, value in arguments.items() if name.startswith("ssl")} == expected


def test_tls_is_checked_where_the_dsn_says_nothing() -> None:
    arguments = Warehouse(Dsn.parse("postgresql://a@db.example.com/w"), "warehouse").driver_arguments()

    assert arguments["sslmode"] == "verify-full"
    assert arguments["sslrootcert"]
