"""A totesys of any number of sales orders, made by the server itself, and changes of a given number of them.

Invariant: equal numbers make equal rows, on every server; keys count from 1 without gaps, foreign keys hold, and every
`last_updated` of the seed is past. A second seed finds rows and is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path

from services.local import postgres
from services.local.simulator import statements
from services.local.simulator.apply import explained, write_seed
from services.local.simulator.seed import History, seed_batches
from services.local.simulator.simulator import repeatable
from shared.errors import ConfigurationError
from shared.postgres import Connection, Dsn, connect, rows_of

BEGINS, ENDS = (datetime.fromisoformat(f"{day}T08:00") for day in ("2025-01-06", "2025-11-03"))
"""The past over which the orders are spread: months, and over before any clock that runs this."""
DESIGNS = 300
TABLE = "sales_order"
STATEMENT_TIMEOUT_SECONDS = 1_800
"""Longer than 10,000,000 rows and their foreign keys take."""
LOCK_TIMEOUT_SECONDS = 10


def seed_orders(dsn: str, orders: int) -> None:
    """Fill a totesys that holds no row, made first if there is none; about 4 s for 1,000,000 orders.

    `dsn` is its owner's. Raises ConfigurationError or Unavailable.
    """
    with _session(dsn) as connection:
        if not rows_of(connection, "SELECT FROM pg_tables WHERE tablename = :table", table=TABLE):
            connection.run(Path(postgres.__file__).with_name("totesys.sql").read_text(encoding="utf-8"))
        if not write_seed(connection, seed_batches(repeatable(0), _history())):
            raise ConfigurationError(f"Expected a totesys without rows at {Dsn.parse(dsn).place}, and it has some.")
        connection.run("BEGIN")
        _insert(connection, orders)
        connection.run("COMMIT")
        # Or the first to read them would pay for it.
        connection.run("VACUUM ANALYZE")


def change_orders(dsn: str, orders: int, *, every: int = 10) -> None:
    """Change so many orders, those whose key `every` divides: one more unit, and `last_updated` is now.

    Raises ConfigurationError where there are fewer (which then have changed), Unavailable.
    """
    with _session(dsn) as connection:
        connection.run(_sql("change_orders"), orders=orders, every=every)
        if connection.row_count != orders:
            raise ConfigurationError(
                f"Expected {orders:,} orders to change and found {connection.row_count:,}: seed {orders * every:,}."
            )


def _history() -> History:
    """Everything that an order points to, and no order."""
    return History(today=ENDS.date(), start=BEGINS, orders=0, days=1, designs=DESIGNS)


def _insert(connection: Connection, orders: int) -> None:
    """Foreign keys are checked once at the end: row by row, they take longer than the rest."""
    foreign_keys = rows_of(connection, statements.from_file("foreign_keys"), tables=[TABLE])
    for table, name, _ in foreign_keys:
        connection.run(statements.drop_constraint(table, name))
    connection.run(_sql("sales_orders"), orders=orders, begins=BEGINS, ends=ENDS)
    for table, name, definition in foreign_keys:
        connection.run(statements.add_constraint(table, name, definition))
    connection.run(statements.move_sequence(TABLE), table=TABLE, key="sales_order_id")


@contextmanager
def _session(dsn: str) -> Iterator[Connection]:
    place = Dsn.parse(dsn)
    with (
        explained(place),
        connect(
            place,
            application_name="totes bench",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        ) as connection,
    ):
        yield connection


@cache
def _sql(name: str) -> str:
    """The text of a .sql file beside this module."""
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
