"""A totesys that has lived: seeded, then changed for some seconds of a clock that only `sleep` moves."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pg8000.native import Connection, identifier

from contracts.feeds import FEEDS
from services.local.simulator import Kind, Simulator, SimulatorOptions
from services.local.simulator.apply import Change, ChangeKind
from services.local.simulator.plan import Shares
from tests.conftest import TOTESYS_SQL, Server, open_connection

WEDNESDAY = datetime(2026, 1, 7, 15, 30, tzinfo=UTC)
BUSY = Shares(
    design=0.1,
    silent_sales_order=0.4,
    silent_purchase_order=0.3,
    silent_design=0.2,
    late_order=0.1,
    amendment=0.4,
    deletion=0.15,
    tie=0.2,
)
"""Everything happens within some hundred changes."""
LIVELY = SimulatorOptions(
    seed=7, orders=400, changes_per_second=300, compression=60_000, shares=BUSY, late_seconds=0.4, journal=True
)


class Clock:
    """Time that passes while somebody sleeps, and stops the simulator after so many seconds."""

    def __init__(self, seconds: float, moment: datetime = WEDNESDAY) -> None:
        self.moment = moment
        self.stop = threading.Event()
        self.on_sleep: Callable[[], object] = lambda: None
        self._end = moment + timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.moment += timedelta(seconds=seconds)
        self.on_sleep()
        if self.moment >= self._end:
            self.stop.set()


Rows = dict[int, dict[str, Any]]


def read_table(connection: Connection, table: str) -> Rows:
    """All rows by their key, with the transaction id that wrote each as `xmin`."""
    found = connection.run(f"SELECT xmin::text::bigint AS xmin, * FROM {identifier(table)}")
    names = [column["name"] for column in connection.columns]
    return {row[FEEDS[table].key]: row for row in (dict(zip(names, values, strict=True)) for values in found)}


def read_tables(connection: Connection) -> dict[str, Rows]:
    return {table: read_table(connection, table) for table in FEEDS}


@dataclass(frozen=True)
class Journaled:
    """One row of the journal."""

    id: int
    change: Change
    txid: int
    at: datetime


def read_journal(connection: Connection) -> list[Journaled]:
    found = connection.run("SELECT id, feed, key, kind, committed_in_txid, at FROM totes_journal.change ORDER BY id")
    return [Journaled(n, Change(feed, key, ChangeKind(kind)), txid, at) for n, feed, key, kind, txid, at in found]


@dataclass(frozen=True)
class Life:
    """A totesys before and after its simulator ran."""

    dsn: str
    before: dict[str, Rows]
    after: dict[str, Rows]
    counts: dict[Kind, int]
    journal: list[Journaled] = field(repr=False)
    began: datetime
    ended: datetime
    clock: Clock = field(repr=False)


def live(dsn: str, options: SimulatorOptions, clock: Clock) -> Simulator:
    simulator = Simulator(dsn, options, now=clock.now, sleep=clock.sleep)
    simulator.seed_if_empty()
    simulator.run(clock.stop)
    return simulator


def server_clock(connection: Connection) -> datetime:
    """The server's clock in UTC, without zone, as the rows have it."""
    return connection.run("SELECT date_trunc('milliseconds', clock_timestamp() AT TIME ZONE 'UTC')")[0][0]


def make_totesys(server: Server, name: str) -> str:
    with server.connect() as connection:
        connection.run(f"CREATE DATABASE {identifier(name)}")
    with server.connect(name) as connection:
        connection.run(TOTESYS_SQL.read_text())
    return server.dsn(name)


@pytest.fixture(scope="session")
def life(server: Server) -> Iterator[Life]:
    """Four seconds at 300 changes a second, while the calendar moves on by six working days."""
    dsn, clock = make_totesys(server, "life"), Clock(seconds=4)
    with open_connection(dsn) as connection:
        Simulator(dsn, LIVELY, now=clock.now, sleep=clock.sleep).seed_if_empty()
        before, began = read_tables(connection), server_clock(connection)
        simulator = live(dsn, LIVELY, clock)
        after, ended = read_tables(connection), server_clock(connection)
        yield Life(dsn, before, after, dict(simulator.counts), read_journal(connection), began, ended, clock)
    with server.connect() as connection:
        connection.run("DROP DATABASE life WITH (FORCE)")
