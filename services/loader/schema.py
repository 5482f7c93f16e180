"""Names of the warehouse's own bookkeeping, and the SQL fragments that both its DDL and its merges are made of.

Invariant: a name or a column list that two statements share is written here once. Pure text, no connection.
"""

from collections.abc import Iterable

from contracts.feeds import FEEDS
from contracts.star import STAR_TABLES, Column, Kind, StarRow
from shared.postgres import identifier

DATES = "dim_date"
"""The one dimension without a feed: its rows are made here, so they carry no position."""
FACTS = tuple(table for table in STAR_TABLES if table.kind() is Kind.FACT)
POSITION = ("_generation", "_revision", "_contract")
"""What decides who is newer, as columns of a star table or of a stage."""
SEEN_POSITION = ("generation", "revision", "contract")
"""The same as columns of a `_seen_` table."""
_UNKNOWN = {"varchar": "'Unknown'"}
"""What an inferred member holds in a column that may not be null; a new SQL type needs its word here."""


def feed_of(table: type[StarRow]) -> str:
    """The name of the feed that a star table is made from."""
    return next(feed.name for feed in FEEDS.values() if feed.star is table)


def columns_of(table: type[StarRow]) -> list[str]:
    """The predefined columns, quoted, in their order, without a fact's record id."""
    return [identifier(column.name) for column in table.columns()]


def listed(names: Iterable[str], alias: str = "") -> str:
    """A comma separated list, each name behind the alias if one is given."""
    return ", ".join(f"{alias}.{name}" if alias else name for name in names)


def row(names: Iterable[str], alias: str) -> str:
    """A row of an alias's columns, to be compared with another."""
    return f"({listed(names, alias)})"


def star_hash(table: type[StarRow], alias: str = "") -> str:
    """The hash of a star row, computed by the warehouse alike when staging and when checking."""
    return f"hash_record_extended(ROW({listed(columns_of(table), alias)}), 0)"


def unknown(column: Column) -> str:
    """What an inferred member holds in a column. Raises KeyError for a type that has no word for unknown."""
    return "NULL" if column.nullable else _UNKNOWN[column.sql]
