"""Hold the feeds' contracts against the source's catalog. Reads the catalog alone, so every login may.

Invariant: a feed without a finding can be read by the generated SQL; a feed with one is stopped alone, with a
sentence that says what was expected, what was found and what to do. Asking twice gives the same findings.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contracts.columnar import family
from contracts.feeds import NOT_POLLED, Feed
from contracts.fields import Family
from shared.postgres import Connection, rows_of
from shared.totesys import sql

OLDEST_VERSION = 130000
"""PostgreSQL 13: the first with pg_current_snapshot."""
FAMILIES: Mapping[str, Family] = {
    **dict.fromkeys(("text", "varchar", "bpchar", "citext", "enum"), Family.TEXT),
    **dict.fromkeys(("int2", "int4", "int8"), Family.INTEGER),
    "numeric": Family.NUMERIC,
    "bool": Family.BOOLEAN,
    "timestamp": Family.TIMESTAMP,
}
"""Source types that print alike; a domain counts as what it is made of."""


@dataclass(frozen=True)
class Findings:
    """What the catalog says of the source as a whole, of each feed that cannot be read, and what is only worth noting.

    `feeds` holds sentences by feed name; a feed without an entry can be read.
    """

    source: tuple[str, ...]
    feeds: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Every sentence that keeps something from being read, each once."""
        return tuple(dict.fromkeys((*self.source, *(one for found in self.feeds.values() for one in found))))


@dataclass(frozen=True)
class Column:
    """A column of the source: what its type is made of, the type's name as declared, and whether the key holds it."""

    made_of: str
    declared: str
    nullable: bool
    of_key: bool


@dataclass(frozen=True)
class Table:
    """A table of the source: whether it is one (a view is not), whether it may be read, and its columns."""

    real: bool
    readable: bool
    columns: Mapping[str, Column]


def examine(connection: Connection, feeds: Sequence[Feed], schema: str) -> Findings:
    """Everything that keeps `feeds` from being read in `schema`, and what is new there."""
    version, in_recovery, usable = rows_of(connection, sql.statement("server"), schema=schema)[0]
    tables = read_tables(connection, schema)
    return Findings(
        source=tuple(_of_source(version, in_recovery=in_recovery, usable=usable, schema=schema)),
        feeds={feed.name: found for feed in feeds if (found := tuple(_of_feed(feed, tables, schema)))},
        notes=tuple(_of_interest(feeds, tables, schema)),
    )


def read_tables(connection: Connection, schema: str) -> dict[str, Table]:
    """Every table and view of a schema, partitions left out."""
    columns: dict[str, dict[str, Column]] = {}
    for table, name, *facts in rows_of(connection, sql.statement("columns"), schema=schema):
        columns.setdefault(table, {})[name] = Column(*facts)
    return {
        name: Table(real, readable, columns.get(name, {}))
        for name, real, readable in rows_of(connection, sql.statement("tables"), schema=schema)
    }


def expected(feed: Feed, table: str) -> Iterator[tuple[str, Family]]:
    """The columns a feed needs of one of its tables, and their families."""
    if feed.join is not None and table == feed.join.table:
        yield feed.join.key, Family.INTEGER
        yield "last_updated", Family.TIMESTAMP
        yield from ((column, family(feed.row, column)) for column in feed.join.columns)
    else:
        theirs = feed.join.columns if feed.join is not None else ()
        yield from ((column, family(feed.row, column)) for column in feed.columns if column not in theirs)


def unread(feeds: Iterable[Feed], tables: Mapping[str, Table]) -> Iterator[tuple[str, str | None]]:
    """What no feed reads: a table (with None), or a column of a table that is read for others."""
    wanted: dict[str, set[str]] = {}
    for feed in feeds:
        for name in feed.tables:
            wanted.setdefault(name, set()).update(column for column, _ in expected(feed, name))
    for name, table in sorted(tables.items()):
        if name not in wanted:
            yield name, None
        else:
            yield from ((name, column) for column in table.columns if column not in wanted[name])


def _of_source(version: int, *, in_recovery: bool, usable: bool | None, schema: str) -> Iterator[str]:
    if version < OLDEST_VERSION:
        yield f"Expected PostgreSQL 13 or later as the source and found {version // 10000}: upgrade it."
    if in_recovery:
        yield "Expected a primary and found a source in recovery (a hot standby): point the DSN to the primary."
    if usable is None:
        yield f"Expected the schema {schema!r} in the source and found none: correct TOTES_SOURCE_SCHEMA or the DSN."
    elif not usable:
        yield f"The login may not look into the schema {schema!r} of the source: GRANT USAGE ON SCHEMA to it."


def _of_feed(feed: Feed, tables: Mapping[str, Table], schema: str) -> Iterator[str]:
    for name in feed.tables:
        place = f"{schema}.{name}"
        if name not in tables:
            yield f"Expected the table {place} in the source and found none: create it or correct the DSN."
        elif not tables[name].real:
            yield f"Expected {place} to be a table and found a view, which has no transaction ids: read its table."
        elif not tables[name].readable:
            yield f"The login may not read {place}: GRANT SELECT ON {place} to it."
        else:
            yield from _of_columns(expected(feed, name), tables[name], place)


def _of_columns(needed: Iterable[tuple[str, Family]], table: Table, place: str) -> Iterator[str]:
    for column, wanted in needed:
        if column not in table.columns:
            yield (
                f"Expected the column {place}.{column} ({wanted}) and found none: "
                "restore it, or change the contract to follow the source."
            )
        elif FAMILIES.get(table.columns[column].made_of) is not wanted:
            yield (
                f"Expected the column {place}.{column} to be of the {wanted} family and found "
                f"{table.columns[column].declared}: restore its type, or change the contract to follow the source."
            )


def _of_interest(feeds: Sequence[Feed], tables: Mapping[str, Table], schema: str) -> Iterator[str]:
    """Tables and columns nobody reads: ignored, but an operator may want to know."""
    for table, column in unread(feeds, tables):
        if table in NOT_POLLED:
            yield f"The table {schema}.{table} is no business data: not polled."
        elif column is None:
            yield f"The table {schema}.{table} is unknown to the contracts: not polled."
        else:
            yield f"The column {schema}.{table}.{column} is unknown to the contracts: ignored."
