"""Check the foreign keys of a large merge all at once, as strongly as Postgres' own triggers check row by row.

A trigger looks each key of each row up and locks its member FOR KEY SHARE: for a row of a sales order nine times, most
of the time of a backfill, for the same few hundred members. `hold_members` locks every member the staged rows refer to
once, in the same transaction and before a row is inserted, and the triggers are left out of that one insert.

Invariant: what is committed is what the triggers would have let through. A member that another session deletes is
waited for, as the trigger waits, and if it is gone the triggers run and refuse. A member that is held cannot be deleted
before this transaction ends; its deletion then finds the rows that refer to it, since the triggers on the dimension's
side are never left out. They are left out only where nothing else would be: every trigger and rule that an insert
would fire is a foreign key's that the contract names; the check holds until the end, because the table is locked
against a new one. A login that may not SET session_replication_role, or PostgreSQL before 15, keeps the triggers: the
same rows, later. Dropping the keys and adding them NOT VALID would need the owner, and lock dimensions for everybody.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy.typing as npt

from contracts.star import STAR_TABLES, StarRow
from shared.bookkeeping import unversioned_table
from shared.postgres import Connection, as_array, identifier, literal, rows_of

MANY_ROWS = 200
"""Below it the triggers, some 30 µs a row of nine keys, take less time than asking whether they can be left out."""


def hold_members(connection: Connection, fact: type[StarRow], members: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Lock the members that staged rows refer to; whether every one is there, and the triggers can be left out."""
    if not _may_skip(connection) or not _nothing_else_fires(connection, fact):
        return False
    wanted = {name: keys for name, keys in members.items() if len(keys)}
    if not wanted:
        return True
    arrays = {name: as_array(keys) for name, keys in wanted.items()}
    [held] = rows_of(connection, _hold(tuple(wanted)), **arrays)
    return held == [len(keys) for keys in wanted.values()]


@contextmanager
def skipping_checks(connection: Connection, *, held: bool) -> Iterator[None]:
    """Leave out the triggers of what is inserted from the stage, if its members are held.

    After an error the transaction is rolled back, and the setting with it.
    """
    if held:
        connection.run("SET LOCAL session_replication_role = replica")
    yield
    if held:
        connection.run("SET LOCAL session_replication_role TO DEFAULT")


def _may_skip(connection: Connection) -> bool:
    """PostgreSQL 15 brought both the question and the grant."""
    if rows_of(connection, "SELECT to_regprocedure('has_parameter_privilege(text, text)')") == [[None]]:
        return False
    return rows_of(connection, "SELECT has_parameter_privilege('session_replication_role', 'SET')") == [[True]]


def _nothing_else_fires(connection: Connection, fact: type[StarRow]) -> bool:
    """Whether an insert would fire the contract's foreign keys and nothing else, until this transaction ends."""
    tables = f"{identifier(fact.table)}, {unversioned_table(fact)}"
    connection.run(f"LOCK TABLE {tables} IN ROW EXCLUSIVE MODE")
    return rows_of(connection, _find_others(fact)) == [[False]]


@cache
def _find_others(fact: type[StarRow]) -> str:
    keys = {table.table: table.key for table in STAR_TABLES}
    known = ", ".join(
        f"({literal(column.name)}, {_relation(identifier(column.references))}, {literal(keys[column.references])})"
        for column in fact.columns()
        if column.references is not None
    )
    tables = f"({_relation(identifier(fact.table))}, {_relation(unversioned_table(fact))})"
    return f"""
-- What an insert fires (bit 2 of tgtype) beside the foreign keys that the contract names.
SELECT EXISTS (
       SELECT FROM pg_trigger t
        WHERE t.tgrelid IN {tables} AND t.tgtype & 4 <> 0 AND t.tgenabled <> 'D'
          AND NOT (t.tgenabled = 'O' AND EXISTS (
              SELECT FROM pg_constraint c
                JOIN pg_attribute here ON (here.attrelid, here.attnum) = (c.conrelid, c.conkey[1])
                JOIN pg_attribute there ON (there.attrelid, there.attnum) = (c.confrelid, c.confkey[1])
                JOIN (VALUES {known}) known (name, dimension, key)
                  ON (here.attname, c.confrelid, there.attname) = (known.name, known.dimension, known.key)
               WHERE c.oid = t.tgconstraint AND c.contype = 'f' AND cardinality(c.conkey) = 1)))
    OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class IN {tables})"""


@cache
def _hold(dimensions: tuple[str, ...]) -> str:
    """How many members of each dimension are there, each locked against deletion."""
    tables = {table.table: table for table in STAR_TABLES}
    return "SELECT " + ", ".join(_count_held(tables[name]) for name in dimensions)


def _count_held(dimension: type[StarRow]) -> str:
    key = next(column for column in dimension.columns() if column.name == dimension.key)
    return f"""
       (SELECT count(*)
          FROM (SELECT FROM {identifier(dimension.table)}
                 WHERE {identifier(key.name)} = ANY(CAST(:{dimension.table} AS {key.sql}[])) FOR KEY SHARE) held)"""


def _relation(name: str) -> str:
    """A table as the catalog knows it."""
    return f"CAST({literal(name)} AS regclass)"
