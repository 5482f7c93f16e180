"""Writers that change totesys and journal each change in the same transaction.

Invariant: each key belongs to one writer, which gives its versions growing numbers and never gives one twice, not even
after a rollback. A commit with unknown outcome is resolved by the journal, which was in the same transaction.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from time import monotonic

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from tests.soak.judge import DELETE, INSERT, REINSERT, SILENT, UPDATE

FIRST_KEY = 1000
"""Below it are the rows that others refer to."""
DEPARTMENT, DEPARTMENTS = "department", range(1, 6)
LARGEST_TRANSACTION = 4
PAUSES = ((0.93, 0.0, 0.0), (0.06, 0.05, 0.5), (0.01, 2.5, 2.5))
"""How transactions linger before their commit: share, least and most seconds. Late commits are what cursors lose."""
REFERRED = 20
"""Rows of each table that others refer to, numbered from 1."""
ROLLED_BACK_SHARE = 0.02
RECONNECT_SECONDS = 0.2
LOST = (InterfaceError, OSError)


@dataclass(frozen=True)
class Table:
    """A table of the source, and the column that carries the version all the way to the warehouse."""

    key: str
    insert: str
    update: str
    share: float


TABLES = {
    "sales_order": Table(
        "sales_order_id",
        "INSERT INTO sales_order (sales_order_id, design_id, staff_id, counterparty_id, units_sold, unit_price, "
        "currency_id, agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id) "
        "VALUES (:key, :any, :any, :any, :version, 2.50, 1, '2030-02-28', '2030-03-01', :any)",
        "units_sold = :version, staff_id = :any",
        0.45,
    ),
    "payment": Table(
        "payment_id",
        "INSERT INTO payment (payment_id, transaction_id, counterparty_id, payment_amount, currency_id, "
        "payment_type_id, paid, payment_date, company_ac_number, counterparty_ac_number) "
        "VALUES (:key, :any, :any, :version, 2, 1, false, '2030-03-01', 12345678, 87654321)",
        "payment_amount = :version, transaction_id = :any, paid = NOT paid",
        0.35,
    ),
    "staff": Table(
        "staff_id",
        "INSERT INTO staff (staff_id, first_name, last_name, department_id, email_address) "
        "VALUES (:key, 'Person', 'Number ' || :any, 1 + :key % 5, 'v' || :version)",
        "email_address = 'v' || :version, last_name = 'Number ' || :any",
        0.07,
    ),
    "design": Table(
        "design_id",
        "INSERT INTO design (design_id, design_name, file_location, file_name) "
        "VALUES (:key, 'Design', '/' || :any, 'v' || :version)",
        "file_name = 'v' || :version, file_location = '/' || :any",
        0.11,
    ),
    "department": Table(
        "department_id", "", "department_name = 'Department v' || :version, manager = 'Manager ' || :any", 0.02
    ),
}
OPERATIONS = {INSERT: 0.25, UPDATE: 0.4, SILENT: 0.15, DELETE: 0.1, REINSERT: 0.1}
_JOURNAL = """
INSERT INTO soak.journal (feed, key, version, operation)
SELECT feed, key, version, operation
  FROM json_to_recordset(CAST(:steps AS json)) AS step (feed text, key int, version int, operation text)
RETURNING number"""
_LAST = """
SELECT DISTINCT ON (feed, key) feed, key, version, operation FROM soak.journal
 WHERE key % :writers = :writer ORDER BY feed, key, version DESC"""


@dataclass(frozen=True)
class Step:
    """One change of a transaction."""

    feed: str
    key: int
    version: int
    operation: str


@dataclass
class Books:
    """What all writers did: for each journal number the first moment at which it was seen committed."""

    acknowledged: dict[int, tuple[object, int]] = field(default_factory=dict)
    transactions: int = 0
    rows: int = 0
    rolled_back: int = 0
    unknown: int = 0


@dataclass
class Keys:
    """A writer's keys: the greatest version given to each, and of each feed those alive and those deleted."""

    greatest: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    alive: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    dead: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def keep(self, steps: Sequence[Step]) -> None:
        """These were committed."""
        for step in steps:
            if step.operation == DELETE:
                self.alive[step.feed].remove(step.key)
                self.dead[step.feed].append(step.key)
            elif step.operation in (INSERT, REINSERT):
                self.alive[step.feed].append(step.key)
                if step.operation == REINSERT:
                    self.dead[step.feed].remove(step.key)

    def next_version(self, feed: str, key: int) -> int:
        """A version never given before."""
        self.greatest[feed, key] += 1
        return self.greatest[feed, key]


class Writer:
    """One session that writes; `number` of `writers`."""

    def __init__(
        self, number: int, writers: int, *, rate: float, random: Random, connect: Callable[[], Connection], books: Books
    ) -> None:
        self._number, self._writers = number, writers
        self._rate, self._random, self._connect, self._books = rate, random, connect, books
        self._keys = self._empty({})
        self._next_key = FIRST_KEY - FIRST_KEY % writers + writers + number

    def run(self, stop: threading.Event) -> None:
        """Write until told to stop, whatever happens to the server."""
        while not stop.is_set():
            try:
                with self._connect() as session:
                    self._reload(session)
                    self._write(session, stop)
            except (DatabaseError, *LOST):
                stop.wait(RECONNECT_SECONDS)

    def _write(self, session: Connection, stop: threading.Event) -> None:
        due = monotonic()
        while not stop.is_set():
            steps = self._plan()
            due = max(due + len(steps) / self._rate, monotonic() - 1)  # a second is caught up with, not an outage
            self._transaction(session, steps, stop)
            stop.wait(max(0.0, due - monotonic()))

    def _transaction(self, session: Connection, steps: Sequence[Step], stop: threading.Event) -> None:
        session.run("BEGIN")
        for step in steps:
            session.run(statement(step), **_values(step, self._random))
        stop.wait(self._pause())
        if self._random.random() < ROLLED_BACK_SHARE:
            session.run("ROLLBACK")
            self._books.rolled_back += 1
            return
        numbers = [number for [number] in session.run(_JOURNAL, steps=_as_json(steps))]
        try:
            session.run("COMMIT")
        except (DatabaseError, *LOST):
            self._books.unknown += 1
            raise
        self._keys.keep(steps)
        self._books.transactions += 1
        self._books.rows += len(steps)
        [[server, revision]] = session.run("SELECT pg_postmaster_start_time(), soak.revision()")
        self._books.acknowledged.update(dict.fromkeys(numbers, (server, revision)))

    def _pause(self) -> float:
        [(_, least, most)] = self._random.choices(PAUSES, [share for share, _, _ in PAUSES])
        return self._random.uniform(least, most)

    def _plan(self) -> list[Step]:
        """A few changes of different rows."""
        steps: dict[tuple[str, int], Step] = {}
        for _ in range(self._random.randint(1, LARGEST_TRANSACTION)):
            feed, operation, key = self._choose()
            if (feed, key) not in steps:
                steps[feed, key] = Step(feed, key, self._keys.next_version(feed, key), operation)
        return list(steps.values())

    def _choose(self) -> tuple[str, str, int]:
        """What to do with which row. Departments are only updated; where there is no row to change, one is made."""
        feed = _drawn({name: table.share for name, table in TABLES.items()}, self._random)
        operation = _drawn(OPERATIONS, self._random)
        if feed == DEPARTMENT:
            operation = SILENT if operation == SILENT else UPDATE
        keys = (self._keys.dead if operation == REINSERT else self._keys.alive)[feed]
        if operation == INSERT or not keys:
            self._next_key += self._writers
            return feed, INSERT, self._next_key
        return feed, operation, self._random.choice(keys)

    def _reload(self, session: Connection) -> None:
        """What was committed, by the journal alone; a version that may have been given is not given again."""
        keys = self._empty(self._keys.greatest)
        for feed, key, version, operation in session.run(_LAST, writers=self._writers, writer=self._number):
            keys.greatest[feed, key] = max(version, keys.greatest[feed, key])
            if feed != DEPARTMENT:
                (keys.dead if operation == DELETE else keys.alive)[feed].append(key)
        self._keys = keys

    def _empty(self, greatest: Mapping[tuple[str, int], int]) -> Keys:
        keys = Keys(defaultdict(int, greatest))
        keys.alive[DEPARTMENT] = [key for key in DEPARTMENTS if key % self._writers == self._number]
        return keys


def statement(step: Step) -> str:
    """The change in SQL; a silent update leaves last_updated alone."""
    table = TABLES[step.feed]
    if step.operation in (INSERT, REINSERT):
        return table.insert
    if step.operation == DELETE:
        return f"DELETE FROM {step.feed} WHERE {table.key} = :key"
    moved = "" if step.operation == SILENT else ", last_updated = now()"
    return f"UPDATE {step.feed} SET {table.update}{moved} WHERE {table.key} = :key"


def _values(step: Step, random: Random) -> dict[str, int]:
    if step.operation == DELETE:
        return {"key": step.key}
    return {"key": step.key, "version": step.version, "any": random.randint(1, REFERRED)}


def _as_json(steps: Sequence[Step]) -> str:
    return json.dumps([asdict(step) for step in steps])


def _drawn(shares: Mapping[str, float], random: Random) -> str:
    [drawn] = random.choices(list(shares), list(shares.values()))
    return drawn
