"""Passwords and account numbers appear in nothing that a run writes: no log, message, metric, quarantine or status."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from pg8000.native import Connection, identifier

from services.local.simulator import Simulator, SimulatorOptions
from services.ops.running import utc_now
from tests.conftest import TOTESYS_SQL, open_connection
from tests.e2e.command import Up, totes
from tests.e2e.servers import WHEEL_18, TcpServer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("secrets")]
READER, LOADER = "reader-Pa55word-6f1d", "loader-Pa55word-93ab"
ACCOUNT = re.compile(rb"1987654[0-9]{3,}")
"""Every account number in the source begins like this, and nothing else does."""
SECRET = re.compile(rb"Pa55word")
KEPT_PRIVATE = {"running.json", "secretsmanager.json", "lambda.json"}
"""Files of the embedded stack that hold a DSN because they must, readable by their owner alone."""
PARAMETERS = ("--poll-interval", "0.25", "--reconcile-interval", "3600")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TcpServer, TcpServer]]:
    folder = tmp_path_factory.mktemp("servers")
    with TcpServer(WHEEL_18, folder / "source") as source, TcpServer(WHEEL_18, folder / "warehouse") as warehouse:
        yield source, warehouse


def _fill(source: TcpServer) -> None:
    with open_connection(source.dsn("postgres")) as connection:
        connection.run("CREATE DATABASE totesys")
    owner = source.dsn("totesys")
    with open_connection(owner) as connection:
        connection.run(TOTESYS_SQL.read_text())
        connection.run(f"CREATE ROLE reader LOGIN PASSWORD '{READER}'")
        connection.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        connection.run("ALTER TABLE payment ALTER company_ac_number TYPE bigint")
    Simulator(
        owner, SimulatorOptions(seed=1, orders=120, changes_per_second=1), now=utc_now, sleep=lambda _: None
    ).seed_if_empty()
    with open_connection(owner) as connection:
        connection.run(
            "UPDATE payment SET company_ac_number = 1987654000 + payment_id % 900,"
            " counterparty_ac_number = 1987654000 + payment_id % 900"
        )
        connection.run("UPDATE payment SET company_ac_number = 1987654000000 + payment_id WHERE payment_id <= 3")


def test_no_password_and_no_account_number_is_in_anything_that_a_run_writes(
    databases: tuple[TcpServer, TcpServer], tmp_path: Path
) -> None:
    source, warehouse = databases
    _fill(source)
    with open_connection(warehouse.dsn("postgres")) as connection:
        connection.run(f"CREATE ROLE loader LOGIN PASSWORD '{LOADER}'")
        connection.run("CREATE DATABASE warehouse OWNER loader")
    dsns = source.dsn("totesys", "reader", READER), warehouse.dsn("warehouse", "loader", LOADER)

    with Up(tmp_path, ("--source", dsns[0], "--warehouse", dsns[1], *PARAMETERS)) as up:
        up.until("three payments in quarantine", lambda: _quarantined(up) == 3)
        with open_connection(source.dsn("totesys")) as connection:
            connection.run("UPDATE payment SET company_ac_number = 1987654000000 + payment_id, last_updated = now()")
        up.until("a whole batch to be parked", lambda: up.parked() > 0)
        said = _everything_asked(tmp_path)
        loaded = _everything_in(warehouse.dsn("warehouse"))
        objects = list(_objects(up))
        assert up.interrupt() == 0

    assert "***" in said, "a masked value was seen at all"
    found = [
        ("what the commands said", said.encode()),
        ("the warehouse", loaded),
        ("up.log", up.output.encode()),
        *objects,
    ]
    found += [(str(path), path.read_bytes()) for path in _files(tmp_path)]
    assert len(found) > 20
    log = b"".join(path.read_bytes() for path in tmp_path.rglob("aws.log"))
    assert all(word in log for word in (b'"rows_quarantined"', b'"parked_messages"', b'"parked"')), (
        "metrics and log lines"
    )
    assert [name for name, text in found if SECRET.search(text)] == []
    assert [name for name, text in found if ACCOUNT.search(text) and "/totes-archive/" not in name] == []
    for name in KEPT_PRIVATE:
        for path in tmp_path.rglob(name):
            assert path.stat().st_mode & 0o077 == 0, path


def _everything_asked(folder: Path) -> str:
    """What every command that looks has to say, and one that tries again."""
    listed = json.loads(totes("dlq", "list", "--json", folder=folder).stdout)
    examples = [group["example"] for group in listed["groups"]]
    assert len(examples) >= 2
    asked = [
        ("status",),
        ("status", "--json"),
        ("doctor",),
        ("doctor", "--json"),
        ("dlq", "list"),
        ("dlq", "list", "--json"),
        *(("dlq", "show", each) for each in examples),
        ("dlq", "check"),
        ("dlq", "check", "--json"),
        ("trace", "payment", "2"),
        ("trace", "payment", "2", "--json"),
        ("trace", "payment", "50", "--json"),
        ("reconcile", "--json"),
        ("dlq", "replay", "--yes"),
        ("compact", "--dry-run"),
        ("dlq", "audit"),
        ("dlq", "audit", "--json"),
    ]
    answers = [totes(*words, folder=folder) for words in asked]
    for words, answer in zip(asked, answers, strict=True):
        assert answer.returncode in (0, 1), (words, answer.stderr)
    return json.dumps(listed) + "".join(answer.stdout + answer.stderr for answer in answers)


def _everything_in(dsn: str) -> bytes:
    """Every row of every table in the warehouse, as text."""
    with open_connection(dsn) as connection:
        tables = connection.run("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'warehouse'")
        return "\n".join(text for schema, table in tables for text in _rows(connection, schema, table)).encode()


def _rows(connection: Connection, schema: str, table: str) -> list[str]:
    return [row for [row] in connection.run(f"SELECT t::text FROM {identifier(schema)}.{identifier(table)} t")]


def _objects(up: Up) -> Iterator[tuple[str, bytes]]:
    """What the Parquet files say, since their bytes are compressed."""
    for path in up.folder.rglob("*.parquet"):
        rows = duckdb.sql(f"SELECT * FROM '{path}'").fetchall()
        yield str(path), repr(rows).encode()


def _files(folder: Path) -> Iterator[Path]:
    """All that lies in the state folder, but for what must hold a DSN."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in KEPT_PRIVATE:
            yield path


def _quarantined(up: Up) -> int:
    feeds = up.feeds()
    return feeds["payment"].rows_quarantined if feeds else 0
