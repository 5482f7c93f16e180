"""What the warehouse holds beside the predefined columns: bookkeeping columns, views and books.

Names and types are read from the DDL, so that none can be missing; what each column means is said here, once. Pure.
Invariant: a column of our own that is not explained here is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contracts.star import Kind, StarRow
from services.loader.ddl import star_schema, view_names
from shared.errors import ConfigurationError

KEPT: Mapping[str, str] = {
    "_generation": "Generation of the snapshot that showed the row; a crash or restore of the source begins another.",
    "_revision": "Revision of that snapshot, which grows with every commit of the source. 0 of an inferred member.",
    "_contract": "Version of the contract under which the row was made. The three together decide which row is newer.",
    "_row_hash": "Hash of the source row, as the source computes it.",
    "_star_hash": "Hash of the predefined columns: equal hashes are the same row.",
    "_seen_at": "Source clock of the snapshot.",
    "_deleted_generation": "Generation of the newest snapshot in which the source row was gone.",
    "_deleted_revision": "Revision of that snapshot. The row lives if its own position is the greater one.",
    "_inferred_at": "When a member was made for a key that no row had described yet; NULL once its row has come.",
}
"""Column of a star table -> what it means."""
HISTORY: Mapping[str, str] = {
    "valid_from": "Source time from which the version held: when it was first seen; of the first, the row's creation.",
    "valid_to": "Source time at which it ended; NULL while it holds.",
    "ended_by": "What ended it: `changed` or `deleted`; NULL while it holds.",
}
"""Columns of a history view after the fact's own."""
FRESHNESS: Mapping[str, str] = {
    "feed": "The feed.",
    "star_table": "The table that is made from it.",
    "as_of": "Source clock at the newest snapshot that was loaded.",
    "last_loaded": "When a batch of it was last committed.",
    "rows_loaded": "Rows loaded so far.",
    "quarantined": "Rows quarantined so far.",
    "generation": "Generation of the newest snapshot.",
    "revision": "Revision of the newest snapshot.",
    "p50_ms": "Median of the freshness of its last polls and scans with rows, in milliseconds.",
    "p99_ms": "The freshness that 99 of 100 of them kept, in milliseconds.",
    "samples": "How many those are, 1,000 at most.",
    "complete_page": "Every page of the feed before this one is loaded.",
    "complete_as_of": "All that was visible in the source at this time is loaded.",
    "proven_at": "When that was found.",
}
"""Columns of the view `freshness`."""


@dataclass(frozen=True)
class Relation:
    """A table or view as the DDL makes it, with the sentence above it."""

    name: str
    kind: str
    said: str
    body: str


@dataclass(frozen=True)
class Kept:
    """A bookkeeping column, and the tables that have it."""

    name: str
    type: str
    nullable: bool
    tables: tuple[str, ...]
    meaning: str


def relations() -> Mapping[str, Relation]:
    """Every table and view of the star schema by its name."""
    made = re.findall(r"^-- ([^\n]*)\nCREATE (TABLE|VIEW) (\S+)(.*?;)$", star_schema(), re.M | re.S)
    return {name.strip('"'): Relation(name.strip('"'), kind, said, body) for said, kind, name, body in made}


def kept(tables: tuple[type[StarRow], ...]) -> tuple[Kept, ...]:
    """The bookkeeping columns of the star tables. Raises ConfigurationError for one that KEPT does not explain."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    for table in tables:
        for column in _bookkeeping(relations()[table.table]):
            found.setdefault(column, []).append(table.table)
    return tuple(Kept(*column, tuple(held), _explained(column[0])) for column, held in found.items())


def views(fact: type[StarRow]) -> tuple[Relation, Relation]:
    """A fact's view of what lives, and its view of every version."""
    current, history = (relations()[name] for name in view_names(fact))
    return current, history


def books() -> Iterator[Relation]:
    """The tables and views of our own."""
    return (each for each in relations().values() if each.name.startswith("_"))


def facts(tables: tuple[type[StarRow], ...]) -> tuple[type[StarRow], ...]:
    """Those that keep every version."""
    return tuple(table for table in tables if table.kind() is Kind.FACT)


def _bookkeeping(table: Relation) -> Iterator[tuple[str, str, bool]]:
    """Name, type and whether it may be NULL of each column with a leading underscore."""
    for name, kind, not_null in re.findall(r"^    (_\w+) (\w+)( NOT NULL)?,?$", table.body, re.M):
        yield name, kind, not not_null


def _explained(name: str) -> str:
    if name not in KEPT:
        raise ConfigurationError(
            f"Expected a sentence that says what {name} means, found none: write it into KEPT of {__name__}."
        )
    return KEPT[name]
