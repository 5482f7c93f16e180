"""What the loader's DDL and its merges share about the star tables. Pure text, no connection.

Invariant: a rule that two statements share is written here once; names that others read too are in shared.bookkeeping.
"""

from contracts.feeds import FEEDS
from contracts.star import STAR_TABLES, Column, Kind, StarRow

DATES = "dim_date"
"""The one dimension without a feed: its rows are made here, so they carry no position."""
FACTS = tuple(table for table in STAR_TABLES if table.kind() is Kind.FACT)
_UNKNOWN = {"varchar": "'Unknown'"}
"""What an inferred member holds in a column that may not be null; a new SQL type needs its word here."""


def feed_of(table: type[StarRow]) -> str:
    """The name of the feed that a star table is made from."""
    return next(feed.name for feed in FEEDS.values() if feed.star is table)


def unknown(column: Column) -> str:
    """What an inferred member holds in a column. Raises KeyError for a type that has no word for unknown."""
    return "NULL" if column.nullable else _UNKNOWN[column.sql]
