"""The writers: each variant is one shape of transaction, and each writer journals what it committed.

The journal is made by the writer from what it was told was committed, so it owes nothing to any reader.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pg8000.native import Connection

from tests.conftest import open_connection

KEYS_PER_WRITER = 1_000_000
UPDATES = 0.2
"""Share of writes that change a row of an earlier transaction."""
OVERFLOW = 0.03
"""Share of transactions with savepoints that have more of them than a backend advertises (64)."""
MANY_SAVEPOINTS, FEW_SAVEPOINTS = 80, 4
CLOCKS_SECONDS = (-50.0, -20.0, -1.0, -0.2, 0.2, 1.0, 20.0, 3600.0)
"""How wrong the applications' clocks are: behind by less than the default margin, ahead by anything."""
FAR_BEHIND_SECONDS = (-90.0, -3600.0)
DEFAULT_SECONDS = 60.0
"""The default margin."""
TIGHT_SECONDS = 0.25
"""A margin that does where `now()` and the transaction's lock are of one moment: it only covers a busy machine."""


@dataclass(frozen=True)
class Lengths:
    """How long transactions stay open: shares and seconds."""

    shares: tuple[float, ...] = (0.90, 0.09, 0.01)
    seconds: tuple[float, ...] = (0.002, 0.150, 2.5)


QUICK = Lengths((0.90, 0.07, 0.03), (0.002, 0.1, 0.8))


@dataclass(frozen=True)
class Committed:
    """One row as it was committed, and when the writer heard of it (monotonic seconds of this machine)."""

    key: int
    version: str
    at: float


@dataclass
class Writer:
    """One application's sessions: `session` writes, `other` commits what was prepared."""

    dsn: str
    number: int
    lengths: Lengths
    clock_seconds: float | None = None
    transactions: int = 0
    journal: list[Committed] = field(default_factory=list)
    pending: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.number)  # noqa: S311 - must be repeatable, so it may not be secret
        self.session: Connection = open_connection(self.dsn)
        self.other: Connection = open_connection(self.dsn)
        self.key = self.number * KEYS_PER_WRITER
        self.begun = datetime.now(UTC)

    def length(self) -> float:
        return self.random.choices(self.lengths.seconds, self.lengths.shares)[0]

    def begin(self) -> None:
        self.begun = datetime.now(UTC)
        self.session.run("BEGIN")

    def write(self) -> None:
        self.session.run(self.change())

    def change(self) -> str:
        """SQL that inserts a row or updates one; it is pending until it is `committed`."""
        settled = self.journal[-1].key if self.journal else None
        if settled is not None and settled not in self.pending and self.random.random() < UPDATES:
            return self._named(
                settled, "UPDATE design SET design_name = '{version}', last_updated = {time} WHERE design_id = {key}"
            )
        self.key += 1
        return self._named(
            self.key,
            "INSERT INTO design (design_id, design_name, file_location, file_name, created_at, last_updated)"
            " VALUES ({key}, '{version}', '/usr', 'a.json', {time}, {time})",
        )

    def end(self, verb: str = "COMMIT", session: Connection | None = None) -> None:
        (session or self.session).run(verb)
        self.committed()

    def committed(self) -> None:
        at = time.monotonic()
        self.journal += [Committed(key, version, at) for key, version in self.pending.items()]
        self.pending = {}
        self.transactions += 1

    def _named(self, key: int, sql: str) -> str:
        self.pending[key] = f"w{self.number}-{self.transactions}-{len(self.pending)}-{self.random.random()}"
        return sql.format(key=key, version=self.pending[key], time=self._time())

    def _time(self) -> str:
        if self.clock_seconds is None:
            return "now()"
        shown = self.begun + timedelta(seconds=self.clock_seconds)
        return f"'{shown.replace(tzinfo=None).isoformat(' ')}'"


def plain(writer: Writer) -> None:
    writer.begin()
    writer.write()
    time.sleep(writer.length())
    writer.end()


def savepoints(writer: Writer) -> None:
    """Every third savepoint is rolled back; now and then there are more than a snapshot can list."""
    writer.begin()
    for number in range(MANY_SAVEPOINTS if writer.random.random() < OVERFLOW else FEW_SAVEPOINTS):
        writer.session.run("SAVEPOINT s")
        before = dict(writer.pending)
        writer.write()
        if number % 3 == 1:
            writer.session.run("ROLLBACK TO s")
            writer.pending = before
        else:
            writer.session.run("RELEASE s")
    time.sleep(writer.length())
    writer.end()


def prepared(writer: Writer) -> None:
    """Half of its time it is an ordinary transaction, half a prepared one; another session commits it."""
    half = writer.length() / 2
    name = f"w{writer.number}_{writer.transactions}"
    writer.begin()
    writer.write()
    time.sleep(half)
    writer.session.run(f"PREPARE TRANSACTION '{name}'")
    time.sleep(half)
    writer.end(f"COMMIT PREPARED '{name}'", writer.other)


def chained(writer: Writer) -> None:
    writer.begin()
    for verb in ("COMMIT AND CHAIN", "COMMIT AND CHAIN", "COMMIT"):
        writer.write()
        time.sleep(writer.length())
        writer.end(verb)
        writer.begun = datetime.now(UTC)


def messages(writer: Writer) -> None:
    """Three transactions in one message: for all of them `now()` is the moment at which the message came."""
    half = writer.length() / 2
    wait = f"SELECT pg_sleep({half})"
    first, second, third = writer.change(), writer.change(), writer.change()
    writer.session.run(f"BEGIN; {first}; {wait}; COMMIT AND CHAIN; {second}; {wait}; COMMIT; {third}")
    writer.committed()


@dataclass(frozen=True)
class Variant:
    """A shape of transaction, and what is peculiar about its surroundings.

    `idle` is what a session runs that then stays open for the whole run. From `least_margin_seconds` on not one row may
    be lost; None where no margin promises that.
    """

    name: str
    transaction: Callable[[Writer], None]
    clocks_seconds: tuple[float, ...] | None = None
    idle: str | None = None
    least_margin_seconds: float | None = TIGHT_SECONDS


IDLE_KEY, IDLE_VERSION = 1, "idle"
VARIANTS = {
    one.name: one
    for one in (
        Variant("plain", plain),
        Variant("savepoints", savepoints),
        Variant("prepared", prepared),
        Variant("chain", chained),
        Variant("message", messages, least_margin_seconds=DEFAULT_SECONDS),
        Variant("clock", plain, clocks_seconds=CLOCKS_SECONDS, least_margin_seconds=DEFAULT_SECONDS),
        Variant("clock-far-behind", plain, clocks_seconds=FAR_BEHIND_SECONDS, least_margin_seconds=None),
        Variant(
            "idle-reader", plain, idle="BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM design; SELECT 1"
        ),
        Variant(
            "idle-writer",
            plain,
            idle=f"BEGIN; UPDATE design SET design_name = '{IDLE_VERSION}', last_updated = now()"
            f" WHERE design_id = {IDLE_KEY}",
        ),
    )
}


def work(dsn: str, number: int, variant: Variant, lengths: Lengths, seconds: float) -> Writer:
    """Write for so many seconds; the writer, with its journal and without its sessions."""
    clocks = variant.clocks_seconds
    writer = Writer(dsn, number, lengths, clocks and clocks[number % len(clocks)])
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        variant.transaction(writer)
    writer.session.close()
    writer.other.close()
    del writer.session, writer.other
    return writer
