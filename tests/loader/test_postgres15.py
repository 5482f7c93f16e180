"""The same warehouse on PostgreSQL 15, where one is installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.star import DimStaff, FactSalesOrder
from services.loader.migrate import migrate
from tests.conftest import open_connection
from tests.loader.conftest import ANALYST, LOADER, SCHEMA, Star, load_all
from tests.loader.rows import AS_OF, SALE, STAFF, at, changed, deleted

BIN = Path("/usr/lib/postgresql/15/bin")
needs_15 = pytest.mark.skipif(not (BIN / "postgres").exists(), reason="PostgreSQL 15 is not installed")


def run(*command: str) -> None:
    """Postgres refuses root, so another user runs it where we are root."""
    as_other = {"user": "nobody"} if os.geteuid() == 0 else {}
    subprocess.run(command, check=True, capture_output=True, cwd="/", **as_other)  # type: ignore[call-overload]


@pytest.fixture
def star15(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Star]:
    folder = Path("/tmp") / f"totes15-{os.getpid()}"  # noqa: S108 - another user must reach it, and sockets need short paths
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    data = str(folder / "data")
    run(str(BIN / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    run(str(BIN / "pg_ctl"), "-D", data, "-w", "-o", options, "-l", f"{folder}/log", "start")
    try:
        dsn = f"postgresql://postgres@/postgres?host={folder}&port=5432"
        with open_connection(dsn) as connection:
            for role in (LOADER, ANALYST):
                connection.run(f"CREATE ROLE {role} LOGIN")
        found = Star(dsn)
        migrate(dsn, SCHEMA, loader_role=LOADER, analyst_role=ANALYST)
        yield found
        found.close()
    finally:
        run(str(BIN / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@needs_15
def test_postgresql_15_keeps_the_same_history(star15: Star) -> None:
    warehouse = star15.warehouse()
    load_all(warehouse, changed(DimStaff, [STAFF], at(1, 10)))
    for batch in (
        deleted(FactSalesOrder, [1], at(1, 40), as_of=AS_OF + timedelta(seconds=40)),
        changed(FactSalesOrder, [SALE], at(1, 30), as_of=AS_OF + timedelta(seconds=30)),
        changed(FactSalesOrder, [SALE], at(1, 10), as_of=AS_OF),
        changed(FactSalesOrder, [{**SALE, "units_sold": 5}], at(1, 20), as_of=AS_OF + timedelta(seconds=20)),
    ):
        load_all(warehouse, batch)

    versions = star15.rows("SELECT units_sold, ended_by FROM history_sales_order ORDER BY valid_from")

    assert versions == [[1000, "changed"], [5, "changed"], [1000, "deleted"]]
    assert star15.rows("SELECT count(*) FROM current_sales_order") == [[0]]
    assert star15.rows("SELECT last_name FROM dim_staff") == [["O'Keefe"]]
