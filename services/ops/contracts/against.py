"""Read what the catalogs of a live source and a live warehouse say of the contracts; world.py says what it means.

Invariant: it only reads, catalogs alone, so that every login may; looking again finds the same.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from contracts.feeds import FEEDS, Feed
from services.ops.contracts import world
from services.ops.contracts.world import Column, Relation
from services.ops.doctor.findings import Finding
from services.ops.doctor.looking import connected
from shared.postgres import Connection, Dsn, rows_of
from shared.totesys import catalog

APPLICATION_NAME = "totes contracts"
_COLUMNS = Path(__file__).with_name("warehouse_columns.sql").read_text(encoding="utf-8")


def against_source(dsn: str, schema: str, feeds: Mapping[str, Feed] = FEEDS) -> tuple[Finding, ...]:
    """Where a live source falls short of the row contracts. Raises ConfigurationError or Unavailable."""
    with connected(Dsn.parse(dsn), APPLICATION_NAME) as connection:
        return source_findings(connection, schema, tuple(feeds.values()))


def against_warehouse(dsn: str, schema: str) -> tuple[Finding, ...]:
    """Where a live warehouse falls short of the star contracts. Raises ConfigurationError or Unavailable."""
    with connected(Dsn.parse(dsn), APPLICATION_NAME) as connection:
        return warehouse_findings(connection, schema)


def source_findings(connection: Connection, schema: str, feeds: Sequence[Feed]) -> tuple[Finding, ...]:
    """The same over a session that is open already."""
    found = catalog.examine(connection, feeds, schema)
    return tuple(world.of_source(found, catalog.read_tables(connection, schema), feeds, schema))


def warehouse_findings(connection: Connection, schema: str) -> tuple[Finding, ...]:
    """The same over a session that is open already."""
    return tuple(world.of_warehouse(read_relations(connection, schema), schema))


def read_relations(connection: Connection, schema: str) -> dict[str, Relation]:
    """Every table and view of a schema that has a column."""
    rows = rows_of(connection, _COLUMNS, schema=schema)
    return {name: _relation([row[1:] for row in group]) for name, group in groupby(rows, key=itemgetter(0))}


def _relation(rows: list[list[Any]]) -> Relation:
    columns = tuple(
        Column(name, kind, nullable, filled, of_key, tuple(references))
        for _, name, kind, nullable, filled, of_key, references in rows
    )
    return Relation(bool(rows[0][0]), columns)
