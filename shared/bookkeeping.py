"""Names of the warehouse's own bookkeeping, for whoever writes it (the loader) and whoever reads it. Pure text."""

from collections.abc import Iterable
from pathlib import Path

from contracts.star import StarRow
from shared.postgres import identifier

LOADED_BATCHES = Path(__file__).with_name("loaded_batches.sql").read_text(encoding="utf-8")
"""Which of the change batches `:batches` are loaded."""
POSITION = ("_generation", "_revision", "_contract")
"""What decides who is newer, as columns of a star table or of a stage."""
SEEN_POSITION = ("generation", "revision", "contract")
"""The same as columns of an observation."""


def unversioned_table(fact: type[StarRow]) -> str:
    """The table of a fact's observations that made no version: equal to the one before, or deletions."""
    return str(identifier("_unversioned_" + fact.key.removesuffix("_id")))


def seen_view(fact: type[StarRow]) -> str:
    """The view of all of a fact's observations: versions, and what made none."""
    return str(identifier("_seen_" + fact.key.removesuffix("_id")))


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
    """The hash of a star row, computed by the warehouse alike when staging and when checking.

    A column that was added later counts while it is not NULL: rows of before keep their hash, and so their versions.
    """
    first = [identifier(column.name) for column in table.columns() if column.name not in table.added]
    hashed = [f"hash_record_extended(ROW({listed(first, alias)}), 0)"]
    for seed, name in enumerate(table.added, start=1):
        column = listed([identifier(name)], alias)
        hashed.append(f"CASE WHEN {column} IS NULL THEN 0 ELSE hash_record_extended(ROW({column}), {seed}) END")
    return " # ".join(hashed)
