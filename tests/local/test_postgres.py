"""The servers of the embedded stack, for real: logins, a kill, a half-made folder, a foreign process id."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pg8000.native import DatabaseError

from services.local.postgres import (
    ANALYST,
    LOADER,
    OWNER,
    READER,
    SOURCE_DATABASE,
    WAREHOUSE_DATABASE,
    PostgresServer,
    prepare_source,
    prepare_warehouse,
)
from shared.errors import ConfigurationError
from tests.conftest import open_connection
from tests.local.conftest import nothing_left

PRIVILEGE = "42501"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    running = PostgresServer(tmp_path_factory.mktemp("stack") / "source")
    try:
        running.start()
        prepare_source(running, "Europe/London")
        yield running
    finally:
        running.stop()


def refused(server: PostgresServer, database: str, user: str, statement: str) -> str:
    with open_connection(server.dsn(user, database)) as session, pytest.raises(DatabaseError) as caught:
        session.run(statement)
    return str(caught.value.args[0]["C"])


def test_the_reader_reads_tables_made_later_and_writes_none(source: PostgresServer):
    with source.connect(SOURCE_DATABASE) as owner:
        owner.run("CREATE TABLE made_later (id int); INSERT INTO made_later VALUES (7)")

    with open_connection(source.dsn(READER, SOURCE_DATABASE)) as reader:
        assert reader.run("SELECT id FROM made_later") == [[7]]
        assert reader.run("SELECT count(*) FROM payment") == [[0]]
        assert reader.run("SELECT pg_has_role('pg_read_all_stats', 'USAGE')") == [[False]]
    assert refused(source, SOURCE_DATABASE, READER, "DELETE FROM made_later") == PRIVILEGE
    assert refused(source, SOURCE_DATABASE, READER, "CREATE TABLE mine (id int)") == PRIVILEGE


def test_the_source_writes_its_defaults_in_the_time_zone_of_its_settings(source: PostgresServer):
    with open_connection(source.dsn("postgres", SOURCE_DATABASE)) as session:
        assert session.run("SHOW TimeZone") == [["Europe/London"]]


def test_a_server_is_as_durable_as_any_and_reachable_by_nobody_else(source: PostgresServer):
    with source.connect(SOURCE_DATABASE) as session:
        settings = dict(session.run("SELECT name, setting FROM pg_settings"))

    assert (settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"]) == ("on", "on", "on")
    assert settings["listen_addresses"] == ""
    assert (source.sockets / ".s.PGSQL.5432").stat().st_mode & 0o077 == 0


def test_the_warehouse_has_an_owner_a_loader_and_an_analyst_none_of_them_a_superuser(source: PostgresServer):
    prepare_warehouse(source)
    prepare_warehouse(source)

    with open_connection(source.dsn(OWNER, WAREHOUSE_DATABASE)) as owner:
        owner.run("CREATE SCHEMA mine")
        known = owner.run("SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper ORDER BY 1")
    assert [name for [name] in known] == sorted([READER, OWNER, LOADER, ANALYST])
    assert refused(source, WAREHOUSE_DATABASE, LOADER, "CREATE SCHEMA theirs") == PRIVILEGE


def test_a_kill_costs_no_committed_row_and_a_second_preparation_changes_nothing(source: PostgresServer):
    with source.connect(SOURCE_DATABASE) as session:
        session.run("INSERT INTO currency (currency_code) VALUES ('GBP')")
    process = source.process()
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(process.pid)] if psutil.pid_exists(process.pid) else [], timeout=10)

    source.start()
    prepare_source(source, "Europe/London")

    with source.connect(SOURCE_DATABASE) as session:
        assert session.run("SELECT currency_code FROM currency") == [["GBP"]]


def test_a_second_start_ends_the_server_a_killed_run_has_left(source: PostgresServer):
    before = source.process()

    source.start()

    assert before is not None
    assert before.running() is None
    assert source.process() is not None


def test_a_long_path_gets_its_socket_elsewhere_and_a_killed_initdb_is_done_again(tmp_path: Path):
    folder = tmp_path / ("deep" * 30)
    (folder / "source.new").mkdir(parents=True)
    (folder / "source.new" / "PG_VERSION").write_text("18")
    server = PostgresServer(folder / "source")

    try:
        server.start()
        with server.connect("postgres") as session:
            assert session.run("SELECT 1") == [[1]]
    finally:
        server.stop()

    assert not server.sockets.exists()
    assert nothing_left(folder)


def test_a_process_id_that_is_somebody_elses_by_now_is_left_alone(tmp_path: Path):
    server = PostgresServer(tmp_path / "source")
    server.data.mkdir()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")

    assert server.process() is None
    assert server.end_leftover() is None
    assert not (server.data / "postmaster.pid").exists()


def test_a_server_that_cannot_start_says_why_in_one_sentence(tmp_path: Path):
    server = PostgresServer(tmp_path / "source")
    server.data.mkdir()

    with pytest.raises(ConfigurationError, match=r"PostgreSQL in .* did not start: .*"):
        server.start()


def test_a_socket_folder_that_others_may_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = PostgresServer(tmp_path / ("deep" * 30) / "source")
    server.data.mkdir(parents=True)
    server.sockets.mkdir(mode=0o777)
    server.sockets.chmod(0o777)

    try:
        with pytest.raises(ConfigurationError, match="open to nobody else"):
            server.start()
    finally:
        server.sockets.rmdir()
