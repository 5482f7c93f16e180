"""A migrated warehouse, seen by its owner, its loader and its analyst; and a connection that fails on request."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from pg8000.exceptions import InterfaceError
from pg8000.native import Connection, identifier

from contracts.star import StarRow
from services.loader.load import Report, load
from services.loader.migrate import migrate
from services.loader.references import MANY_ROWS
from services.loader.warehouse import Warehouse
from shared.postgres import Dsn, connect
from tests.conftest import Databases, NewDatabase, Server, open_connection
from tests.loader.rows import Made

LOADER, TRUSTED = "totes_loader", "totes_trusted_loader"
ANALYST = "totes_analyst"
SCHEMA = "warehouse"


class FailingConnection:
    """A real connection that breaks at the call it is told to, before or after the server did what was asked."""

    def __init__(self, real: Connection, fault: "Fault") -> None:
        self._real = real
        self._fault = fault

    def run(self, sql: str, **arguments: Any) -> Any:
        self._fault.calls += 1
        due = self._fault.calls == self._fault.at
        if due and not self._fault.after:
            self._fault.strike(self._real)
        answer = self._real.run(sql, **arguments)
        if due:
            self._fault.strike(self._real)
        return answer

    @property
    def row_count(self) -> int:
        return int(self._real.row_count)

    def close(self) -> None:
        self._real.close()


@dataclass
class Fault:
    """Which call fails, with what, and how many calls there were."""

    at: int = 0
    error: BaseException | None = None
    after: bool = False
    calls: int = 0

    def strike(self, real: Connection) -> None:
        assert self.error is not None
        if not hasattr(self.error, "args") or not self.error.args or not isinstance(self.error.args[0], dict):
            real.close()
        raise self.error


def connect_as_loader(dsn: str) -> Connection:
    """As the function connects."""
    limits = {"statement_timeout_seconds": 60.0, "lock_timeout_seconds": 60.0}
    return connect(Dsn.parse(dsn), application_name="totes-test", **limits)


@dataclass
class Star:
    """One migrated database."""

    owner_dsn: str
    schema: str = SCHEMA
    pauses: list[float] = field(default_factory=list)
    opened: list[Connection] = field(default_factory=list)

    def dsn(self, user: str) -> str:
        return self.owner_dsn.replace("postgres@", f"{user}@")

    def connect(self, user: str = "postgres") -> Connection:
        connection = open_connection(self.dsn(user))
        connection.run(f"SET search_path TO {identifier(self.schema)}; SET TimeZone = 'UTC'")
        self.opened.append(connection)
        return connection

    def warehouse(self, fault: Fault | None = None, login: str = LOADER) -> Warehouse:
        def opened() -> Any:
            connection = connect_as_loader(self.dsn(login))
            self.opened.append(connection)
            return connection if fault is None else FailingConnection(connection, fault)

        return Warehouse(opened, self.schema, sleep=self.pauses.append)

    def rows(self, sql: str, **parameters: Any) -> list[list[Any]]:
        with self.connect() as connection:
            return connection.run(sql, **parameters) or []

    def close(self) -> None:
        for connection in self.opened:
            with suppress(InterfaceError):  # closed by the test already
                connection.close()


def load_all(warehouse: Warehouse, *made: Made, many_rows: int = MANY_ROWS) -> Report:
    """Load batches of one star table in one transaction."""
    table: type[StarRow] = made[0].table
    return load(warehouse, table, [one.load for one in made], many_rows=many_rows)


@pytest.fixture(scope="session")
def roles(server: Server) -> None:
    """Another suite that borrows this fixture has the same roles on the same server."""
    with server.connect() as connection:
        for role in (LOADER, ANALYST):
            if not connection.run("SELECT FROM pg_roles WHERE rolname = :role", role=role):
                connection.run(f"CREATE ROLE {role} LOGIN")


@pytest.fixture(scope="session")
def trusted(roles: None, server: Server) -> str:
    """A loader's login that may leave triggers out."""
    with server.connect() as connection:
        if not connection.run("SELECT FROM pg_roles WHERE rolname = :role", role=TRUSTED):
            connection.run(f"CREATE ROLE {TRUSTED} LOGIN IN ROLE {LOADER}")
        connection.run(f"GRANT SET ON PARAMETER session_replication_role TO {TRUSTED}")
    return TRUSTED


@pytest.fixture(scope="session")
def star_template(roles: None, databases: Databases) -> str:
    """A migrated warehouse that each test copies."""
    name = databases.make("star_template")
    migrate(databases.server.dsn(name), SCHEMA, loader_role=LOADER, analyst_role=ANALYST)
    return name


@pytest.fixture
def star(star_template: str, new_database: NewDatabase) -> Iterator[Star]:
    """A migrated warehouse of its own."""
    found = Star(new_database("star", star_template))
    yield found
    found.close()


@pytest.fixture(scope="session")
def common_star(star_template: str, databases: Databases) -> Iterator[Star]:
    """One migrated warehouse for tests that keep apart by the keys they use."""
    found = Star(databases.server.dsn(databases.make("common_star", star_template)))
    yield found
    found.close()
