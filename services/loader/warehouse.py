"""The loader's session with the warehouse: one transaction at a time, retried where that is safe.

Invariant: work runs in exactly one READ COMMITTED transaction, under its star table's advisory lock from the first
look at what others write, and is either committed whole or not at all. Work must be safe to repeat: after a lost
connection nobody knows whether the commit happened, so it runs again, and finds its load batches already there.
"""

import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

from pg8000.exceptions import InterfaceError

from contracts.messages import Position
from contracts.star import StarRow
from services.loader.stage_table import create_stage
from shared.errors import ConfigurationError, ContractViolation, PipelineError, Unavailable, WarehouseUnavailable
from shared.postgres import Connection, DatabaseError, explain, identifier, literal, rows_of

TRIES = 5
"""Of one transaction: two loaders in each other's way are soon apart; an outage is left to the queue."""
FIRST_PAUSE_SECONDS = 0.05
"""Doubled after each try: 0.75 seconds in all."""
_COLLISIONS = ("40001", "40P01", "23505")
"""Serialization failure and deadlock: Postgres asks for the same transaction again. And a row that another loader
brought of the same position at the same moment: the next try finds it there."""
_NEVER = ("23502", "23514")
"""NULL in a column that takes none, and a broken check; with class 22 (bad values) these rows can never be stored."""
_FIND_OTHER = """
-- Whether a loader of this star table announced another position. Locks are read as they are, not as a snapshot sees.
SELECT EXISTS (
       SELECT FROM pg_locks held
         JOIN (VALUES {mine}) mine (classid, objid) ON held.classid = mine.classid AND held.objid <> mine.objid
        WHERE held.locktype = 'advisory' AND held.objsubid = 2
          AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""
_LOST = (InterfaceError, OSError)
T = TypeVar("T")
Work = Callable[[Connection], T]


class Warehouse:
    """One connection, opened when it is needed and again when it is lost."""

    def __init__(
        self, connect: Callable[[], Connection], schema: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take what opens a connection, the star schema's name, and how to wait between two tries."""
        self._connect = connect
        self._schema = schema
        self._sleep = sleep
        self._connection: Connection | None = None
        self._staged: set[str] = set()

    def transaction(self, table: type[StarRow] | None, work: Work[T], *, locked: bool = True) -> T:
        """Do the work in one transaction and commit it; collisions and lost connections are tried again.

        Work on no star table (None) holds no star table's lock and has no stage. Work that is not `locked` from the
        beginning calls `take_lock` itself, after its stage, of which nobody else sees anything.
        Raises WarehouseUnavailable, ConfigurationError, ContractViolation (rows that can never be stored), or what
        the work raises; then nothing is committed, or, after a lost connection, the same work will find it done.
        """
        for attempt in range(TRIES):
            try:
                return self._once(table, work, locked=locked)
            except (DatabaseError, *_LOST) as exc:
                if attempt == TRIES - 1 or not _worth_another_try(exc):
                    _explain(exc)
            self._sleep(FIRST_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """End the session; the next transaction opens another."""
        connection, self._connection = self._connection, None
        self._staged.clear()
        if connection is not None:
            try:
                connection.close()
            except (DatabaseError, *_LOST):
                return

    def _once(self, table: type[StarRow] | None, work: Work[T], *, locked: bool) -> T:
        try:
            connection = self._ready(table)
            connection.run(_begin(table if locked else None))
            done = work(connection)
            connection.run("COMMIT")
            return done
        except (DatabaseError, PipelineError):
            self._roll_back()
            raise
        except BaseException:
            # The connection may be lost or in the middle of a COPY: only the server's end is certain.
            self.close()
            raise

    def _ready(self, table: type[StarRow] | None) -> Connection:
        """A connection whose stage for this table exists."""
        connection = self._connection or self._open()
        if table is not None and table.table not in self._staged:
            connection.run(create_stage(table))
            self._staged.add(table.table)
        return connection

    def _open(self) -> Connection:
        try:
            self._connection = connection = self._connect()
        except WarehouseUnavailable:
            raise
        except Unavailable as exc:
            raise WarehouseUnavailable(str(exc)) from exc
        connection.run(f"SET search_path TO {identifier(self._schema)}")
        if rows_of(connection, "SELECT to_regclass('_load_batch')") == [[None]]:
            raise ConfigurationError(
                f"Expected the star schema in the schema {self._schema!r} of the warehouse and found none: "
                "run `totes migrate` or correct the schema's name."
            )
        return connection

    def _roll_back(self) -> None:
        try:
            if self._connection is not None:
                self._connection.run("ROLLBACK")
        except (DatabaseError, *_LOST):
            self.close()


def take_lock(connection: Connection, table: type[StarRow]) -> None:
    """One loader a star table, until the transaction ends; what a later statement sees is of after the lock."""
    connection.run(_lock(table))


def take_lock_beside(connection: Connection, table: type[StarRow], position: Position) -> bool:
    """The same lock, shared by loaders that announce one position; False and none where another position is announced.

    Each announces before it looks, so that of two with different positions one at least sees the other's.
    """
    announced = _announced(table, position)
    locks = ", ".join(f"pg_advisory_xact_lock_shared({among}, {number})" for among, number in announced)
    connection.run(f"SELECT {locks}")
    mine = ", ".join(f"({among}::oid, CAST({number} AS int)::oid)" for among, number in announced)
    if rows_of(connection, _FIND_OTHER.format(mine=mine)) == [[True]]:
        return False
    connection.run(_lock(table, "pg_advisory_xact_lock_shared"))
    return True


def _announced(table: type[StarRow], position: Position) -> list[tuple[str, int]]:
    """Two numbers of 32 bits, each with what tells it from others: no two positions that may meet have both in common.

    Revisions that do are four thousand million transactions apart.
    """
    numbers = {"revision": position.revision, "generation": position.generation << 16 | position.contract}
    return [(f"hashtext({_name(f'totes load {of}', table)})", _signed(number)) for of, number in numbers.items()]


def _signed(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31


def _begin(table: type[StarRow] | None) -> str:
    """With the lock of a star table, if there is one, in one round trip."""
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
    return begin if table is None else f"{begin}; {_lock(table)}"


def _lock(table: type[StarRow], way: str = "pg_advisory_xact_lock") -> str:
    return f"SELECT {way}(hashtextextended({_name('totes load', table)}, 0))"


def _name(what: str, table: type[StarRow]) -> str:
    return f"concat_ws(' ', {literal(what)}, current_schema(), {literal(table.table)})"


def _state(exc: BaseException) -> str:
    """The SQLSTATE of a server's error, nothing where the connection itself failed."""
    found = exc.args[0] if exc.args else None
    return str(found.get("C", "")) if isinstance(found, dict) else ""


def _worth_another_try(exc: BaseException) -> bool:
    return _state(exc) in _COLLISIONS or isinstance(exc, _LOST)


def _explain(exc: BaseException) -> NoReturn:
    """Raise the pipeline's error for a driver's."""
    state = _state(exc)
    if state.startswith("22") or state in _NEVER:
        text = exc.args[0].get("M", "")
        raise ContractViolation(
            f"Expected rows that the star schema can hold, found: {text} (SQLSTATE {state})."
        ) from exc
    explain(exc, "the warehouse", unavailable=WarehouseUnavailable)
