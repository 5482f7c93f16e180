"""The skeleton of the migration that a changed star contract needs. Pure: text from two lists of columns.

Invariant: a new table's migration is whole; of a changed table's only what rows of before shall hold is left to say. A
test holds what all migrations end in to what the contracts generate, so a skeleton that was not finished fails there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.star import Column, Kind, StarRow
from services.loader import ddl
from services.loader.revisions import revisions
from services.ops.contracts.published import Schema
from shared.postgres import identifier

VERSIONS = Path("services/loader/migrations/versions")
_PYTHON = '''"""{title}"""

from pathlib import Path

from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    """Run the frozen SQL beside this file."""
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
'''


@dataclass(frozen=True)
class Change:
    """What a star contract's schema was, and the model of today; no former schema where the table is new."""

    table: type[StarRow]
    former: Schema | None


def skeleton(changes: list[Change], known: list[str] | None = None) -> Mapping[Path, str]:
    """The files of one migration for all changes, by their place in the project; none where nothing is to migrate."""
    statements = [each for change in changes for each in _statements(change)]
    if not statements:
        return {}
    before = (known or revisions())[-1]
    revision = f"{int(before) + 1:04d}"
    stem = VERSIONS / f"{revision}_{'_'.join(change.table.table for change in changes)}"
    title = f"Star contracts that changed: {', '.join(change.table.table for change in changes)}."
    return {
        stem.with_suffix(".py"): _PYTHON.format(title=title, revision=revision, before=before),
        stem.with_suffix(".sql"): f"-- {title}\n\n" + "\n\n".join(statements) + "\n",
    }


def _statements(change: Change) -> list[str]:
    if change.former is None:
        return list(ddl.new_table(change.table))
    altered = list(_altered(change.table, change.former))
    if not altered or change.table.kind() is not Kind.FACT:
        return altered
    dropped = "\n".join(f"DROP VIEW {identifier(view)};" for view in ddl.view_names(change.table))
    return [dropped, *altered, *ddl.views(change.table)]


def _altered(table: type[StarRow], former: Schema) -> Iterator[str]:
    """One statement a column; in the order of the contract, the columns that are gone last."""
    name, before = identifier(table.table), former["properties"]
    for column in table.columns():
        if column.name not in before:
            yield _added(table, column)
        else:
            yield from (f"ALTER TABLE {name} {each};" for each in _retyped(column, before[column.name]))
    today = {column.name for column in table.columns()}
    yield from (f"ALTER TABLE {name} DROP COLUMN {identifier(each)};" for each in before if each not in today)


def _added(table: type[StarRow], column: Column) -> str:
    sql = f"ALTER TABLE {identifier(table.table)} ADD COLUMN {ddl.defined(table, column)};"
    if column.nullable:
        return sql
    return f"-- Rows of before need a value here: add DEFAULT, and drop it again below.\n{sql}"


def _retyped(column: Column, before: Mapping[str, Any]) -> Iterator[str]:
    name, former = identifier(column.name), _inside(before)
    if former["x-sql"] != column.sql:
        yield f"ALTER COLUMN {name} TYPE {column.sql}"
    if _nullable(before) != column.nullable:
        yield f"ALTER COLUMN {name} {'DROP' if column.nullable else 'SET'} NOT NULL"


def _nullable(schema: Mapping[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())


def _inside(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a nullable column's schema says of the value; money is a union too, and has its type beside that."""
    if "x-sql" in schema:
        return schema
    found: Mapping[str, Any] = next(each for each in schema["anyOf"] if "x-sql" in each)
    return found
