"""Write planned events into totesys: one session holds one transaction open, the seed is one transaction by COPY.

Invariant: what a session answers at commit is exactly what that transaction changed. Two deliveries of an event are
two changes; a second seed finds rows and writes none.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from pg8000.native import InterfaceError, PreparedStatement

from contracts.feeds import FEEDS
from services.local.simulator import statements
from services.local.simulator.plan import DeleteOrder, Event, NewDesign, NewOrder, PayDuePayments, Update
from services.local.simulator.seed import Batch
from shared.postgres import Connection, DatabaseError, Dsn, connect, copy_in, explain, rows_of

APPLICATION_NAME = "totes-simulator"
STATEMENT_TIMEOUT_SECONDS = 60
"""Longer than the foreign keys of a seed of some million orders take."""
LOCK_TIMEOUT_SECONDS = 5
"""Nothing of ours waits for a lock; somebody else's ALTER TABLE may make us."""


class ChangeKind(StrEnum):
    """What happened to one row."""

    INSERTED = "inserted"
    UPDATED = "updated"
    SILENTLY_UPDATED = "silently_updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """One row changed; `feed` is its table."""

    feed: str
    key: int
    kind: ChangeKind


class Session:
    """One connection with at most one open transaction. Every method raises Unavailable if the connection is lost."""

    def __init__(self, dsn: Dsn, *, journal: bool) -> None:
        """Connect."""
        self._dsn = dsn
        self._journal = journal
        self._changes: list[Change] = []
        self._prepared: dict[str, PreparedStatement] = {}
        self._connection = open_connection(dsn)

    def begin(self) -> None:
        """Begin a transaction: its start is the created_at and last_updated of what it will write."""
        with explained(self._dsn):
            self._changes = []
            self._connection.run("BEGIN")

    def write(self, events: Iterable[Event]) -> None:
        """Write events, not yet visible to others."""
        with explained(self._dsn):
            for event in events:
                self._changes += self._apply(event)

    def commit(self) -> Sequence[Change]:
        """Commit; what the transaction changed, in its order."""
        with explained(self._dsn):
            if self._journal and self._changes:
                self._write_journal()
            self._connection.run("COMMIT")
            return self._changes

    def close(self) -> None:
        """Close the connection, which may be lost already; an open transaction is rolled back."""
        try:
            self._connection.close()
        except (InterfaceError, OSError):
            return

    def _write_journal(self) -> None:
        columns = zip(*((change.feed, change.key, change.kind.value) for change in self._changes), strict=True)
        feeds, keys, kinds = map(list, columns)
        self._run(statements.from_file("write_journal"), feeds=feeds, keys=keys, kinds=kinds)

    def _apply(self, event: Event) -> list[Change]:
        match event:
            case NewOrder():
                return self._insert_order(event)
            case NewDesign():
                rows = self._run(statements.from_file("new_design"), **asdict(event))
                return [Change("design", key, ChangeKind.INSERTED) for (key,) in rows]
            case PayDuePayments():
                days = {name: day.isoformat() for name, day in asdict(event).items()}
                rows = self._run(statements.from_file("pay_due_payments"), **days)
                return [Change("payment", key, ChangeKind.UPDATED) for (key,) in sorted(rows)]
            case Update():
                return self._update(event)
            case DeleteOrder():
                return self._delete_order(event)

    def _insert_order(self, event: NewOrder) -> list[Change]:
        terms = event.terms
        places = {name: place for name, place in vars(event).items() if name.endswith("_place")}
        dates = {name: getattr(terms, name).isoformat() for name in ("agreed_delivery_date", "agreed_payment_date")}
        (keys,) = self._run(
            statements.new_order(sale=terms.is_sale),
            **{**asdict(terms), **dates, **places, "amount": terms.amount},
        )
        return _changes_of_order(keys, ChangeKind.INSERTED, sale=terms.is_sale)

    def _update(self, event: Update) -> list[Change]:
        sql = statements.update(event.table, event.column, silent=event.silent)
        kind = ChangeKind.SILENTLY_UPDATED if event.silent else ChangeKind.UPDATED
        rows = self._run(sql, place=event.place, value=event.value)
        return [Change(event.table, key, kind) for (key,) in rows]

    def _delete_order(self, event: DeleteOrder) -> list[Change]:
        """Child rows first."""
        found = self._run(statements.lock_order(sale=event.sale), place=event.place)
        changes = [
            change
            for keys in found
            for change in reversed(_changes_of_order(keys, ChangeKind.DELETED, sale=event.sale))
        ]
        for change in changes:
            self._run(statements.delete(change.feed), key=change.key)
        return changes

    def _run(self, sql: str, **parameters: Any) -> list[list[Any]]:
        """Run a statement, prepared at its first use: half the round trips."""
        if sql not in self._prepared:
            self._prepared[sql] = self._connection.prepare(sql)
        return self._prepared[sql].run(**parameters) or []


def open_connection(dsn: Dsn) -> Connection:
    """A connection of the simulator. Raises ConfigurationError or Unavailable."""
    return connect(
        dsn,
        application_name=APPLICATION_NAME,
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
    )


@contextmanager
def explained(dsn: Dsn) -> Iterator[None]:
    """Raise the driver's errors as ours, each in one sentence."""
    try:
        yield
    except (InterfaceError, DatabaseError, OSError) as exc:
        explain(exc, dsn.place, dsn.user)


def write_seed(connection: Connection, batches: Iterable[Batch]) -> int:
    """Fill an empty totesys in one transaction; the number of rows written, 0 if it held any."""
    connection.run("BEGIN")
    # Two simulators that start at once take turns here, and the second finds rows.
    connection.run("LOCK TABLE currency IN EXCLUSIVE MODE")
    rows = _fill(connection, batches) if rows_of(connection, statements.is_empty())[0][0] else 0
    connection.run("COMMIT")
    return rows


@dataclass(frozen=True)
class Progress:
    """How far an earlier run had come: the latest payment_date that is paid, and the highest payment."""

    paid_through: date | None
    payments: int


def read_progress(connection: Connection) -> Progress:
    """Read it from the payments; an unpaid totesys has no `paid_through`."""
    paid_through, payments = rows_of(connection, statements.from_file("read_progress"))[0]
    return Progress(None if paid_through is None else date.fromisoformat(paid_through), payments)


def create_journal(connection: Connection) -> None:
    """Create the journal's schema and table if they are not there."""
    connection.run(statements.from_file("journal"))


def copy_line(row: Iterable[object]) -> str:
    """One row in COPY's text format, with its newline."""
    return "\t".join(map(_copy_field, row)) + "\n"


def _fill(connection: Connection, batches: Iterable[Batch]) -> int:
    """Copy all batches. Foreign keys are checked once at the end: row by row, they take twice as long as the rest."""
    foreign_keys = rows_of(connection, statements.from_file("foreign_keys"), tables=list(FEEDS))
    for table, name, _ in foreign_keys:
        connection.run(statements.drop_constraint(table, name))
    rows = sum(_copy(connection, batch) for batch in batches if batch.rows)
    for table, name, definition in foreign_keys:
        connection.run(statements.add_constraint(table, name, definition))
    for feed in FEEDS.values():
        connection.run(statements.move_sequence(feed.name), table=feed.name, key=feed.key)
    return rows


def _copy(connection: Connection, batch: Batch) -> int:
    body = "".join(map(copy_line, batch.rows)).encode()
    return copy_in(connection, statements.copy_rows(batch.table, batch.rows[0]._fields), [body])


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copy_field(value: object) -> str:
    if value is None:
        return "\\N"
    return value.translate(_ESCAPES) if isinstance(value, str) else str(value)


def _changes_of_order(keys: Sequence[int], kind: ChangeKind, *, sale: bool) -> list[Change]:
    """The changes of an order, its transaction and its payment, parents first."""
    feeds = ("sales_order" if sale else "purchase_order", "transaction", "payment")
    return [Change(feed, key, kind) for feed, key in zip(feeds, keys, strict=True)]
