"""The warehouse as the reconciler sees it: the newest observation of each key, and whether a star row is as loaded.

Invariant: it only reads, and what is read was committed. Names go through `identifier`, keys through `set_config`,
because COPY takes no parameters.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pg8000.native import InterfaceError

from contracts.messages import Position
from contracts.star import Kind, StarRow
from services.reconciler.plan import Newest
from shared.bookkeeping import (
    LOADED_BATCHES,
    POSITION,
    SEEN_POSITION,
    listed,
    row,
    seen_view,
    star_hash,
    unversioned_table,
)
from shared.errors import WarehouseUnavailable
from shared.postgres import Connection, DatabaseError, Sink, as_array, copy_out, explain, hang_up, identifier, rows_of

See = Callable[[int, Newest], None]
"""What is done with a key's newest observation."""


@dataclass(frozen=True)
class Damaged:
    """A star row that is not as it was loaded: its key, and the position of the observation it shows."""

    key: int
    position: Position


@dataclass(frozen=True)
class Brought:
    """A change batch that was loaded, with its snapshot's source clock (UTC)."""

    change_batch: str
    as_of: datetime


class Warehouse:
    """One session for one run, opened when first needed."""

    def __init__(self, connect: Callable[[], Connection], schema: str) -> None:
        """Take what opens a connection, and the star schema's name."""
        self._connect = connect
        self._schema = schema
        self._connection: Connection | None = None

    def newest(self, table: type[StarRow], keys: Sequence[int]) -> dict[int, Newest]:
        """The newest observation of each of these keys, if any. Raises WarehouseUnavailable, ConfigurationError."""
        found = _Observations()
        self.copy(newest_sql(table, "= ANY(current_setting('totes.keys')::bigint[])"), found, keys=as_array(keys))
        return found.by_key

    def copy(self, query: str, sink: Sink, **settings: str) -> None:
        """Stream a query's rows, which reads its settings by `current_setting`; raises as `newest` does."""
        with self._answering() as connection:
            connection.run("BEGIN READ ONLY")
            chosen = (f"set_config('totes.{name}', :{name}, true)" for name in settings)
            rows_of(connection, f"SELECT {', '.join(chosen)}", **settings)
            copy_out(connection, f"COPY ({query}) TO STDOUT", sink)
            connection.run("COMMIT")

    def loaded(self, batches: Sequence[str]) -> set[str]:
        """Those of the change batches that are loaded."""
        with self._answering() as connection:
            return {name for [name] in rows_of(connection, LOADED_BATCHES, batches=list(batches))}

    def batches_at(self, feed: str, position: Position) -> list[Brought]:
        """The change batches that brought a feed's rows at a position."""
        with self._answering() as connection:
            found = rows_of(connection, _statement("batches_at"), feed=feed, **position.model_dump())
        return [Brought(*each) for each in found]

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

    def __init__(self) -> None:
        self.by_key: dict[int, Newest] = {}

    def writelines(self, lines: Sequence[bytes], /) -> None:
        self.by_key.update(map(observation, lines))


def observation(line: bytes) -> tuple[int, Newest]:
    """A line of `newest_sql`."""
    key, generation, revision, row_hash, live = line.split(b"\t")
    return int(key), Newest(int(generation), int(revision), int(row_hash), live.startswith(b"t"))


IN_RANGE = "{key} > current_setting('totes.low')::bigint AND {key} <= current_setting('totes.high')::bigint"


def newest_sql(table: type[StarRow], wanted: str | None = None) -> str:
    """Key, generation, revision, row hash and liveness of each key that is `wanted`, or between two settings."""
    key = key_of(table)
    condition = IN_RANGE.format(key=key) if wanted is None else f"{key} {wanted}"
    name = "newest_of_a_fact" if table.kind() is Kind.FACT else "newest_of_a_dimension"
    return _statement(name).format(table=observed(table), key=key, wanted=condition)


def checksums_sql(table: type[StarRow]) -> str:
    """Part, rows and sum of row hashes between two settings, live rows only."""
    part = "(key::bigint - current_setting('totes.low')::bigint - 1) / current_setting('totes.width')::bigint"
    return f"SELECT {part}, count(*), sum(row_hash) FROM (\n{newest_sql(table)}) newest WHERE live GROUP BY 1"


def bounds_sql(table: type[StarRow]) -> str:
    """Number, least and greatest key of the first `totes.limit` observations behind the key `totes.after`."""
    key = key_of(table)
    return (
        f"SELECT count(*), min(key), max(key) FROM (SELECT {key} AS key FROM {observed(table)} "
        f"WHERE {key} > current_setting('totes.after')::bigint ORDER BY {key} "
        "LIMIT current_setting('totes.limit')::bigint) ahead HAVING count(*) > 0"
    )


def inferred_sql(dimension: type[StarRow]) -> str:
    """Keys of members inferred more than `totes.seconds` ago that no row has described, between two settings."""
    key = key_of(dimension)
    return (
        f"SELECT {key} FROM {observed(dimension)} WHERE {IN_RANGE.format(key=key)} AND _generation = 0 "
        "AND _deleted_generation IS NULL "
        "AND _inferred_at < now() - make_interval(secs => current_setting('totes.seconds')::float8)"
    )


def damaged_sql(table: type[StarRow]) -> str:
    """Key and position of star rows whose columns are not those of their star hash, or that are gone, in a range."""
    if table.kind() is Kind.DIMENSION:
        key = key_of(table)
        return (
            f"SELECT {key}, {listed(POSITION)} FROM {observed(table)} "
            f"WHERE {IN_RANGE.format(key=key)} AND _generation > 0 AND {star_hash(table)} IS DISTINCT FROM _star_hash"
        )
    return _statement("damaged_of_a_fact").format(
        seen=seen_view(table),
        unversioned=unversioned_table(table),
        fact=identifier(table.table),
        key=identifier(table.key),
        position=listed(POSITION, "f"),
        wanted=IN_RANGE.format(key="key"),
        wanted_rows=IN_RANGE.format(key=f"f.{identifier(table.key)}"),
        place=row(("key", *SEEN_POSITION), "s"),
        row_place=row((identifier(table.key), *POSITION), "f"),
        star_hash=star_hash(table, "f"),
    )


def key_of(table: type[StarRow]) -> str:
    """The column that holds the keys of `observed`."""
    return "key" if table.kind() is Kind.FACT else str(identifier(table.key))


def observed(table: type[StarRow]) -> str:
    """Where a star table's observations are kept."""
    return seen_view(table) if table.kind() is Kind.FACT else str(identifier(table.table))


def _statement(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
