"""Keep the latest state of a dimension, and let no foreign key ever lack its member.

Invariant: the content is that of the newest changed observation, the deletion position that of the newest deletion,
each guarded by position; so any order and repetition ends in the same row. New keys are inserted in order, table
after table in the order of STAR_TABLES, so that two loaders never wait for each other in a circle; rows that exist
are updated by the holder of the star table's lock alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy.typing as npt

from contracts.star import STAR_TABLES, Column, StarRow
from services.loader.history import refuse_conflict
from services.loader.schema import DATES, unknown
from services.loader.stage_table import stage_table
from shared.bookkeeping import POSITION, columns_of, listed, row, star_hash
from shared.postgres import Connection, as_array, identifier, literal, rows_of

_CONTENT = (*POSITION, "_row_hash", "_star_hash", "_seen_at")
"""What a dimension row says of its content's observation."""


@dataclass(frozen=True)
class DimensionSql:
    """The statements of one dimension, in the order in which they run."""

    insert_members: str
    update_content: str
    find_conflict: str
    update_deletion: str
    restore: str


def merge(connection: Connection, dimension: type[StarRow], *, repairs: bool = False) -> None:
    """Merge the staged rows and deletions. `repairs`: some of them came to mend what was changed by hand.

    Raises PositionConflict where one key has two rows at one position.
    """
    sql = dimension_sql(dimension)
    if repairs:
        connection.run(sql.restore)
    connection.run(sql.insert_members)
    connection.run(sql.update_content)
    refuse_conflict(connection, dimension, sql.find_conflict)
    connection.run(sql.update_deletion)


def infer_members(connection: Connection, members: Mapping[str, npt.NDArray[Any]]) -> None:
    """Give every dimension key a member, and every date its row: dimension -> the keys that staged rows refer to."""
    wanted = {name: as_array(keys) for name, keys in members.items() if len(keys)}
    if not wanted:
        return
    dimensions = tuple(table for table in STAR_TABLES if table.table in wanted)
    lacking = {name for (name,) in rows_of(connection, _find_lacking(dimensions), **wanted)}
    for dimension in dimensions:
        if dimension.table in lacking:
            connection.run(_insert_lacking(dimension), keys=wanted[dimension.table])


@cache
def _find_lacking(dimensions: tuple[type[StarRow], ...]) -> str:
    """Which dimensions lack a member that is wanted: mostly none, so that one question is all."""
    return " UNION ALL ".join(
        f"SELECT {literal(table.table)} WHERE EXISTS (SELECT FROM {_wanted(table, table.table)} "
        f"WHERE NOT EXISTS (SELECT FROM {identifier(table.table)} d WHERE d.{identifier(table.key)} = wanted.key))"
        for table in dimensions
    )


@cache
def _insert_lacking(dimension: type[StarRow]) -> str:
    wanted = _wanted(dimension, "keys")
    return _insert_dates(wanted) if dimension.table == DATES else _infer(dimension, wanted)


def _wanted(dimension: type[StarRow], parameter: str) -> str:
    """The keys in a parameter, as a table."""
    (key,) = (column for column in dimension.columns() if column.name == dimension.key)
    return f"unnest(CAST(:{parameter} AS {key.sql}[])) wanted (key)"


@cache
def dimension_sql(dimension: type[StarRow]) -> DimensionSql:
    """The statements of one dimension."""
    return DimensionSql(
        insert_members=_insert_members(dimension),
        update_content=_update_content(dimension),
        find_conflict=_find_conflict(dimension),
        update_deletion=_update_deletion(dimension),
        restore=_restore(dimension),
    )


def _insert_members(dimension: type[StarRow]) -> str:
    """A key met for the first time gets its newest content at once, or an inferred member if it was only deleted."""
    name, key, stage = identifier(dimension.table), identifier(dimension.key), stage_table(dimension)
    known = [
        f"CASE WHEN b._deleted THEN {unknown(column)} ELSE b.{identifier(column.name)} END"
        for column in _described(dimension)
    ]
    position = [f"CASE WHEN b._deleted THEN 0 ELSE b.{column} END" for column in POSITION]
    seen_at = "CASE WHEN NOT b._deleted THEN b._seen_at END"
    return f"""
-- New keys, in their order: the newest content staged, or an inferred member where the key is only deleted.
INSERT INTO {name} ({listed(columns_of(dimension))}, {listed(_CONTENT)}, _inferred_at)
SELECT DISTINCT ON (b.{key}) {listed([f"b.{key}", *known, *position])}, b._row_hash, b._star_hash, {seen_at},
       CASE WHEN b._deleted THEN now() END
  FROM {stage} b
 WHERE NOT EXISTS (SELECT FROM {name} d WHERE d.{key} = b.{key})
 ORDER BY b.{key}, b._deleted, {_newest_first("b")}, b._seen_at
    ON CONFLICT DO NOTHING"""


def _update_content(dimension: type[StarRow]) -> str:
    key = identifier(dimension.key)
    changing = [*(identifier(column.name) for column in _described(dimension)), *_CONTENT]
    return f"""
-- Newer content replaces older; of one position read twice, the earlier sight is kept.
UPDATE {identifier(dimension.table)} d SET ({listed(changing)}, _inferred_at) = ({listed(changing, "n")}, NULL)
  FROM (SELECT DISTINCT ON (b.{key}) b.* FROM {stage_table(dimension)} b WHERE NOT b._deleted
         ORDER BY b.{key}, {_newest_first("b")}, b._seen_at) n
 WHERE d.{key} = n.{key}
   AND ({row(POSITION, "d")} < {row(POSITION, "n")}
        OR {row(POSITION, "d")} = {row(POSITION, "n")} AND n._seen_at < d._seen_at)"""


def _find_conflict(dimension: type[StarRow]) -> str:
    key = identifier(dimension.key)
    return f"""
-- Two hashes at one position of one key.
SELECT d.{key}, {listed(POSITION, "d")}
  FROM {stage_table(dimension)} b JOIN {identifier(dimension.table)} d ON d.{key} = b.{key}
 WHERE NOT b._deleted AND {row(POSITION, "d")} = {row(POSITION, "b")} AND b._star_hash <> d._star_hash
 LIMIT 1"""


def _update_deletion(dimension: type[StarRow]) -> str:
    key = identifier(dimension.key)
    return f"""
-- The newest deletion is kept beside the content; whichever position is greater says whether the row lives.
UPDATE {identifier(dimension.table)} d SET (_deleted_generation, _deleted_revision) = (n._generation, n._revision)
  FROM (SELECT DISTINCT ON (b.{key}) b.{key}, b._generation, b._revision FROM {stage_table(dimension)} b
         WHERE b._deleted ORDER BY b.{key}, b._generation DESC, b._revision DESC) n
 WHERE d.{key} = n.{key}
   AND (d._deleted_generation IS NULL
        OR (d._deleted_generation, d._deleted_revision) < (n._generation, n._revision))"""


def _restore(dimension: type[StarRow]) -> str:
    key, columns = identifier(dimension.key), columns_of(dimension)
    return f"""
-- A member whose columns are no longer those of its star hash gets them back from an equal row that was staged.
UPDATE {identifier(dimension.table)} d SET ({listed(columns)}) = ({listed(columns, "b")})
  FROM {stage_table(dimension)} b
 WHERE NOT b._deleted AND d.{key} = b.{key} AND d._star_hash = b._star_hash
   AND {star_hash(dimension, "d")} <> b._star_hash"""


def _infer(dimension: type[StarRow], wanted: str) -> str:
    name, key = identifier(dimension.table), identifier(dimension.key)
    values = listed(["wanted.key", *(unknown(column) for column in _described(dimension)), "0", "0", "0", "now()"])
    return f"""
-- Keys that no row has described yet get an inferred member, which the real row will replace.
INSERT INTO {name} ({listed(columns_of(dimension))}, {listed(POSITION)}, _inferred_at)
SELECT {values}
  FROM {wanted}
 WHERE NOT EXISTS (SELECT FROM {name} d WHERE d.{key} = wanted.key)
 ORDER BY wanted.key
    ON CONFLICT DO NOTHING"""


def _insert_dates(wanted: str) -> str:
    return f"""
-- Every date that the staged rows name.
INSERT INTO dim_date (date_id, year, month, day, day_of_week, day_name, month_name, quarter)
SELECT key, extract(year FROM key), extract(month FROM key), extract(day FROM key), extract(isodow FROM key),
       to_char(key, 'FMDay'), to_char(key, 'FMMonth'), extract(quarter FROM key)
  FROM {wanted}
 WHERE NOT EXISTS (SELECT FROM dim_date d WHERE d.date_id = wanted.key)
 ORDER BY key
    ON CONFLICT DO NOTHING"""


def _described(dimension: type[StarRow]) -> list[Column]:
    return [column for column in dimension.columns() if column.name != dimension.key]


def _newest_first(alias: str) -> str:
    return listed((f"{column} DESC" for column in POSITION), alias)
