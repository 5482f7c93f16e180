"""The warehouse as the reconciler sees it: the newest observation of each key. Reads only.

Invariant: what is read was committed, and of one statement's moment. Names go through `identifier`, keys through
`set_config`, because COPY takes no parameters.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pg8000.native import InterfaceError

from contracts.star import Kind, StarRow
from services.reconciler.plan import Newest
from shared.bookkeeping import seen_table
from shared.errors import WarehouseUnavailable
from shared.postgres import Connection, DatabaseError, as_array, copy_out, explain, hang_up, identifier, rows_of

SET_KEYS = "SELECT set_config('totes.keys', CAST(:keys AS text), true)"
See = Callable[[int, Newest], None]
"""What is done with a key's newest observation."""


class Warehouse:
    """One session for one run, opened when first needed."""

    def __init__(self, connect: Callable[[], Connection], schema: str) -> None:
        """Take what opens a connection, and the star schema's name."""
        self._connect = connect
        self._schema = schema
        self._connection: Connection | None = None

    def newest(self, table: type[StarRow], see: See, keys: Sequence[int] | None = None) -> None:
        """Show the newest observation of every key, or of these keys alone, each once.

        Raises WarehouseUnavailable or ConfigurationError.
        """
        with self._answering() as connection:
            connection.run("BEGIN READ ONLY")
            if keys is not None:
                rows_of(connection, SET_KEYS, keys=as_array(keys))
            copy_out(connection, newest_sql(table, all_keys=keys is None), _Observations(see))
            connection.run("COMMIT")

    def close(self) -> None:
        """End the session; the next question opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            hang_up(connection)

    @contextmanager
    def _answering(self) -> Iterator[Connection]:
        """The session, with the driver's errors turned into ours; after any of them its state is unknown."""
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._connection.run(f"SET search_path TO {identifier(self._schema)}")
            yield self._connection
        except (DatabaseError, InterfaceError, OSError, struct.error) as exc:
            self.close()
            explain(exc, "the warehouse", unavailable=WarehouseUnavailable)
        except BaseException:
            self.close()
            raise


class _Observations:
    """COPY's sink: one observation a row."""

    def __init__(self, see: See) -> None:
        self._see = see

    def write(self, row: bytes, /) -> None:
        key, generation, revision, row_hash, live = map(int, row.split(b"\t"))
        self._see(key, Newest(generation, revision, row_hash, bool(live)))


def newest_sql(table: type[StarRow], *, all_keys: bool) -> str:
    """COPY of key, generation, revision, row hash and liveness (0 or 1), of all keys or of those in `totes.keys`."""
    fact = table.kind() is Kind.FACT
    key = "key" if fact else str(identifier(table.key))
    wanted = "true" if all_keys else f"{key} = ANY(current_setting('totes.keys')::bigint[])"
    name = "newest_of_a_fact" if fact else "newest_of_a_dimension"
    text = Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
    place = seen_table(table) if fact else str(identifier(table.table))
    return text.format(table=place, key=key, wanted=wanted)
