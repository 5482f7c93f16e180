"""The temporary table of a star table's load batches: its name and its DDL. Needs no numpy. Pure.

Invariant: a stage is empty at the start of each transaction, and creating it again changes nothing.
"""

from contracts.star import Kind, StarRow
from shared.bookkeeping import star_hash
from shared.postgres import identifier


def stage_table(table: type[StarRow]) -> str:
    """The name of a star table's stage."""
    return str(identifier(f"stage_{table.table}"))


def create_stage(table: type[StarRow]) -> str:
    """DDL of a star table's stage, and of what history needs beside it; harmless where they exist."""
    columns = ",\n    ".join(f"{identifier(column.name)} {column.sql}" for column in table.columns())
    stage = f"""
CREATE TEMP TABLE IF NOT EXISTS {stage_table(table)} (
    {columns},
    _row_hash bigint, _deleted boolean NOT NULL,
    _generation int NOT NULL, _revision bigint NOT NULL, _contract int NOT NULL, _seen_at timestamptz NOT NULL,
    _star_hash bigint GENERATED ALWAYS AS (CASE WHEN NOT _deleted THEN {star_hash(table)} END) STORED
) ON COMMIT DELETE ROWS;"""
    return stage if table.kind() is Kind.DIMENSION else stage + _OBSERVATIONS + _keys(table)


def stage_keys(fact: type[StarRow]) -> str:
    """The name of a fact's stage of keys, for rows that need no other."""
    return str(identifier(f"stage_keys_{fact.table}"))


def _keys(fact: type[StarRow]) -> str:
    return f"""
CREATE TEMP TABLE IF NOT EXISTS {stage_keys(fact)} (
    {identifier(fact.key)} int NOT NULL,
    _generation int NOT NULL, _revision bigint NOT NULL, _contract int NOT NULL, _star_hash bigint NOT NULL
) ON COMMIT DELETE ROWS;"""


_OBSERVATIONS = """
CREATE TEMP TABLE IF NOT EXISTS stage_fresh (
    key int, generation int, revision bigint, contract int, row_hash bigint, star_hash bigint, seen_at timestamptz
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS stage_touched (
    key int, generation int, revision bigint, contract int, row_hash bigint, star_hash bigint, seen_at timestamptz,
    head boolean
) ON COMMIT DELETE ROWS;"""
