"""Sessions that change totesys at a steady rate and journal each change with the time at which its commit returned.

Invariant: a key belongs to one writer, which gives its changes growing numbers; the number stands in a column that the
warehouse keeps. A row is changed again only after all others of its writer, so that at the rates its table is seeded
for (`pool_rows`) two changes of one row are `APART_SECONDS` apart at least and no poll collapses them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from math import ceil
from pathlib import Path
from random import Random

from services.ops.bench.delays import Change
from shared.postgres import Connection

APART_SECONDS = 2.5
LEAST_ROWS = 200
"""Of each table before the load begins."""
NEW_SHARE = 0.2
"""Of all changes those that insert a row; the others update one."""
COMMITS_PER_SECOND = 100
"""Of one writer: more rows are put into each transaction, as an application under load does."""
REFERRED = 20
"""Rows of each table that others refer to, as referred.sql makes them."""
REFERRED_ROWS = Path(__file__).with_name("referred.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Table:
    """A table that is changed: its share of the changes, and the statement that brings numbers into its keys."""

    name: str
    share: float
    upsert: str


def _upsert(table: str, key: str, columns: str, values: str, number: str) -> str:
    """One transaction's rows: inserted where the key is new, updated where it is known."""
    return (
        f"INSERT INTO {table} ({key}, {columns}) SELECT row.key, {values} "
        "FROM unnest(CAST(:keys AS int[]), CAST(:numbers AS int[])) AS row (key, number) "
        f"ON CONFLICT ({key}) DO UPDATE SET {number} = EXCLUDED.{number}, last_updated = now()"
    )


_ANY = f"1 + row.key % {REFERRED}"
TABLES = (
    Table(
        "sales_order",
        0.45,
        _upsert(
            "sales_order",
            "sales_order_id",
            "units_sold, design_id, staff_id, counterparty_id, unit_price, currency_id, agreed_delivery_date, "
            "agreed_payment_date, agreed_delivery_location_id",
            f"row.number, {_ANY}, {_ANY}, {_ANY}, 2.50, 1, '2030-02-28', '2030-03-01', {_ANY}",
            "units_sold",
        ),
    ),
    Table(
        "payment",
        0.35,
        _upsert(
            "payment",
            "payment_id",
            "payment_amount, transaction_id, counterparty_id, currency_id, payment_type_id, paid, payment_date, "
            "company_ac_number, counterparty_ac_number",
            f"row.number, {_ANY}, {_ANY}, 2, 1, false, '2030-03-01', 12345678, 87654321",
            "payment_amount",
        ),
    ),
    Table(
        "design",
        0.1,
        _upsert(
            "design",
            "design_id",
            "file_name, design_name, file_location",
            "row.number::text, 'Design', '/usr'",
            "file_name",
        ),
    ),
    Table(
        "staff",
        0.1,
        _upsert(
            "staff",
            "staff_id",
            "email_address, first_name, last_name, department_id",
            "row.number::text, 'Person', 'Number ' || row.key, 1 + row.key % 5",
            "email_address",
        ),
    ),
)
"""Facts and dimensions as an application changes them; inserts among them, no deletions, which a scan must find."""


def pool_rows(table: Table, rate: float) -> int:
    """How many rows a table needs before changes at this rate leave each row alone for long enough."""
    return max(LEAST_ROWS, ceil(rate * table.share * APART_SECONDS))


class Writer:
    """One session; `number` of `writers`, which share `rate` changes a second among them."""

    def __init__(
        self, number: int, writers: int, *, rate: float, rows: Mapping[str, int], numbers: Iterator[int], seed: int
    ) -> None:
        """Take the tables' rows as they were seeded, keyed from 1, changes' numbers, and the seed of its choices."""
        self._rate, self._numbers = rate / writers, numbers
        self._random = Random(f"{seed} {number}")  # noqa: S311 - to be repeated, not to be secret
        first = REFERRED + 1
        self._keys = {name: deque(range(first + number, first + known, writers)) for name, known in rows.items()}
        self._new = {name: count(first + known + number, writers) for name, known in rows.items()}

    def write(self, session: Connection, journal: list[Change], stop: threading.Event) -> None:
        """Change rows until told to stop; the rate is that of the clock, a second's delay at the most is caught up."""
        statements = {table.name: session.prepare(table.upsert) for table in TABLES}
        rows = max(1, round(self._rate / COMMITS_PER_SECOND))
        due = time.monotonic()
        while not stop.is_set():
            table = self._table()
            keys, numbers = [self._key(table) for _ in range(rows)], [next(self._numbers) for _ in range(rows)]
            statements[table].run(keys=keys, numbers=numbers)
            committed_at = time.time()
            journal.extend(Change(table, key, number, committed_at) for key, number in zip(keys, numbers, strict=True))
            due = max(due + rows / self._rate, time.monotonic() - 1)
            stop.wait(max(0.0, due - time.monotonic()))

    def _table(self) -> str:
        [table] = self._random.choices(TABLES, [table.share for table in TABLES])
        return table.name

    def _key(self, table: str) -> int:
        """The key that was left alone longest, or a new one, which is then changed like any other."""
        keys = self._keys[table]
        key = next(self._new[table]) if self._random.random() < NEW_SHARE else keys.popleft()
        keys.append(key)
        return key


class Crew:
    """Writers at work, each in a session and a thread of its own."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """Take what opens a session with totesys."""
        self._connect = connect
        self.journal: list[Change] = []
        self.error: BaseException | None = None

    def work(self, writers: list[Writer], seconds: float) -> None:
        """Let them write for so long. Raises what one of them failed of."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._run, args=(writer, stop), daemon=True) for writer in writers]
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        if self.error is not None:
            raise self.error

    def _run(self, writer: Writer, stop: threading.Event) -> None:
        journal = list[Change]()
        try:
            with self._connect() as session:
                writer.write(session, journal, stop)
        except BaseException as exc:  # noqa: BLE001 - raised by `work`, in the thread that waits
            self.error = exc
            stop.set()
        finally:
            self.journal.extend(journal)


def seed(session: Connection, rows: Mapping[str, int]) -> None:
    """Make the rows of before the load, each with the number 0, and those that they refer to."""
    session.run(REFERRED_ROWS)
    for table in TABLES:
        keys = list(range(REFERRED + 1, REFERRED + 1 + rows[table.name]))
        session.run(table.upsert, keys=keys, numbers=[0] * len(keys))


def new_numbers() -> Iterator[int]:
    """The numbers of all changes, from 1; several threads may take them."""
    return count(1)
