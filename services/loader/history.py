"""Keep the exact history of a fact: every observation, and one fact row per run of equal star hash.

A version is the observation that began its run; what made no version is kept beside the fact. Invariant: for any order
and repetition of the same observations, the same rows at the same positions. Works on the stage of one transaction
(READ COMMITTED, the star table's advisory lock taken first). A replayed observation adds nothing; a late one may move
a row to an earlier position or split a run; no version is ever deleted. A repair also gives back what somebody changed
or deleted in the fact by hand. What mostly comes is merged without looking around: keys that nobody has seen, and
observations each later than all of its key; anything else falls to the general merge.
"""

from dataclasses import dataclass
from functools import cache

from contracts.star import StarRow
from services.loader.binary import VERSION
from services.loader.references import hold_members, skipping_checks
from services.loader.stage_table import stage_table
from services.loader.staging import Staged
from shared.bookkeeping import (
    POSITION,
    SEEN_POSITION,
    columns_of,
    listed,
    row,
    seen_view,
    star_hash,
    unversioned_table,
)
from shared.errors import PositionConflict
from shared.postgres import Connection, as_array, identifier, rows_of


@dataclass(frozen=True)
class FactSql:
    """The statements of one fact, in the order in which they run."""

    find_any: str
    keep_first: str
    insert_first: str
    append_later: str
    keep_observations: str
    keep_earlier_sight: str
    date_versions: str
    find_conflict: str
    look_again: str
    find_touched: str
    keep_moved: str
    move_rows: str
    insert_heads: str
    copy_heads: str
    forget_versions: str
    restore: str


def keep_history(
    connection: Connection, fact: type[StarRow], staged: Staged, *, repairs: bool = False, many: bool = False
) -> int:
    """Merge the staged observations; the number of versions inserted.

    `repairs`: some of them came to mend. `many`: so many rows that asking pays for what need not be done row by row.
    Raises PositionConflict where one key has two star hashes at one position.
    """
    sql = fact_sql(fact, in_order=staged.ascending)
    held = many and hold_members(connection, fact, staged.members)
    if staged.once and not repairs:
        if many and not any_seen(connection, fact, staged):
            connection.run(sql.keep_first)
            return _insert(connection, sql.insert_first, held=held)
        with skipping_checks(connection, held=held):
            [[later, versions]] = rows_of(connection, sql.append_later)
        if later:
            return int(versions)
    return _merge(connection, fact, staged, repairs=repairs, held=held)


def any_seen(connection: Connection, fact: type[StarRow], staged: Staged) -> bool:
    """Whether any key between the least and the greatest of a load batch was ever observed."""
    lows, highs = zip(*staged.spans, strict=True)
    asked = fact_sql(fact, in_order=staged.ascending).find_any
    return rows_of(connection, asked, lows=as_array(lows), highs=as_array(highs)) == [[True]]


def _merge(connection: Connection, fact: type[StarRow], staged: Staged, *, repairs: bool, held: bool) -> int:
    """Merge observations that may lie anywhere between those that were seen."""
    sql = fact_sql(fact)
    fresh = _count(connection, sql.keep_observations)
    if fresh < staged.rows:
        connection.run(sql.keep_earlier_sight)
        connection.run(sql.date_versions)
        refuse_conflict(connection, fact, sql.find_conflict)
    if repairs:
        connection.run(sql.restore)
        fresh += _count(connection, sql.look_again)
    versions = _settle(connection, sql, alone=_count(connection, sql.find_touched) == fresh, held=held)
    connection.run(sql.forget_versions)
    return versions


def _settle(connection: Connection, sql: FactSql, *, alone: bool, held: bool) -> int:
    """Give each touched head its row; the number inserted. `alone`: no observation lies behind a fresh one."""
    if alone:
        return _insert(connection, sql.insert_heads, held=held)
    connection.run(sql.keep_moved)
    connection.run(sql.move_rows)
    return _insert(connection, sql.insert_heads, held=held) + _count(connection, sql.copy_heads)


def refuse_conflict(connection: Connection, table: type[StarRow], find_conflict: str) -> None:
    """Raise PositionConflict with the first key the query finds."""
    for key, generation, revision, contract in rows_of(connection, find_conflict):
        raise PositionConflict(
            f"Expected one row of {table.table} for {table.key} {key} at generation {generation}, revision {revision}, "
            f"contract {contract}, found two that differ: find out which reader sent the wrong one."
        )


@cache
def fact_sql(fact: type[StarRow], *, in_order: bool = False) -> FactSql:
    """The statements of one fact; `in_order`: the keys of the stage lie in their order already."""
    order = "" if in_order else f"ORDER BY b.{identifier(fact.key)}"
    return FactSql(
        find_any=_find_any(fact),
        keep_first=_keep_first(fact, order),
        insert_first=_insert_first(fact, order),
        append_later=_append_later(fact, order),
        keep_observations=_keep_observations(fact),
        keep_earlier_sight=_keep_earlier_sight(fact),
        date_versions=_date_versions(fact),
        find_conflict=_find_conflict(fact),
        look_again=_look_again(fact),
        find_touched=_find_touched(fact),
        keep_moved=_keep_moved(fact),
        move_rows=_move_rows(fact),
        insert_heads=_insert_heads(fact),
        copy_heads=_copy_heads(fact),
        forget_versions=_forget_versions(fact),
        restore=_restore(fact),
    )


def _insert(connection: Connection, sql: str, *, held: bool) -> int:
    with skipping_checks(connection, held=held):
        return _count(connection, sql)


def _count(connection: Connection, sql: str) -> int:
    connection.run(sql)
    return int(connection.row_count)


def _find_any(fact: type[StarRow]) -> str:
    return f"""
-- Whether any key in these spans was ever seen: one look into the indexes a span.
SELECT EXISTS (SELECT FROM unnest(CAST(:lows AS int[]), CAST(:highs AS int[])) span (low, high)
                WHERE (SELECT s.key FROM {seen_view(fact)} s WHERE s.key >= span.low ORDER BY s.key LIMIT 1)
                      <= span.high)"""


def _keep_first(fact: type[StarRow], order: str) -> str:
    return f"""
-- Keys that nobody has seen, and that are gone already.
INSERT INTO {_unversioned_target(fact)}
SELECT {_observation(fact, "b")} FROM {stage_table(fact)} b WHERE b._deleted {order}"""


def _insert_first(fact: type[StarRow], order: str) -> str:
    return f"""
-- A key that nobody has seen starts a run with its first observation.
INSERT INTO {_fact_target(fact)}
SELECT {_version(fact, "b")} FROM {stage_table(fact)} b WHERE NOT b._deleted {order}"""


def last_seen(fact: type[StarRow]) -> str:
    """Place and star hash of the last observation of a staged row's key, of which the row is called b."""
    key = identifier(fact.key)
    return f"""
            SELECT {listed(SEEN_POSITION, "s")}, s.star_hash FROM {seen_view(fact)} s WHERE s.key = b.{key}
             ORDER BY s.key DESC, s.generation DESC, s.revision DESC, s.contract DESC LIMIT 1"""


def _append_later(fact: type[StarRow], order: str) -> str:
    return f"""
-- If each staged observation is later than all of its key: a version where the star hash changes, else kept beside.
WITH known AS MATERIALIZED (
     SELECT b.*, COALESCE({row(SEEN_POSITION, "last")} < {row(POSITION, "b")}, true) AS later,
            NOT b._deleted AND b._star_hash IS DISTINCT FROM last.star_hash AS begins
       FROM {stage_table(fact)} b LEFT JOIN LATERAL ({last_seen(fact)}) last ON true
      {order}),
told AS MATERIALIZED (SELECT bool_and(later) AS later FROM known),
kept AS (
     INSERT INTO {_unversioned_target(fact)}
     SELECT {_observation(fact, "b")} FROM known b WHERE (SELECT later FROM told) AND NOT begins),
inserted AS (
     INSERT INTO {_fact_target(fact)}
     SELECT {_version(fact, "b")} FROM known b WHERE (SELECT later FROM told) AND begins
     RETURNING 1)
SELECT later, (SELECT count(*) FROM inserted) FROM told"""


def _keep_observations(fact: type[StarRow]) -> str:
    key, seen = identifier(fact.key), seen_view(fact)
    return f"""
-- Keep every observation; what a replay repeats is not fresh.
WITH kept AS (
    INSERT INTO {_unversioned_target(fact)}
    SELECT DISTINCT ON ({key}, {listed(POSITION)}) {_observation(fact, "b")}
      FROM {stage_table(fact)} b
     WHERE NOT EXISTS (SELECT FROM {seen} s WHERE {_seen_place("s")} = {_place(fact, "b")})
     ORDER BY {key}, {listed(POSITION)}, _seen_at
    RETURNING {listed(_OBSERVATION)})
INSERT INTO stage_fresh SELECT * FROM kept"""


def _earliest(fact: type[StarRow]) -> str:
    """When each staged position was first seen."""
    place = listed([identifier(fact.key), *POSITION])
    return f"(SELECT {place}, min(_seen_at) AS seen_at FROM {stage_table(fact)} GROUP BY {place})"


def _keep_earlier_sight(fact: type[StarRow]) -> str:
    return f"""
-- A position that was read twice was first seen at the earlier time.
UPDATE {unversioned_table(fact)} s SET seen_at = b.seen_at
  FROM {_earliest(fact)} b
 WHERE {_seen_place("s")} = {_place(fact, "b")} AND b.seen_at < s.seen_at"""


def _date_versions(fact: type[StarRow]) -> str:
    return f"""
-- The same of a position that is a version's.
UPDATE {identifier(fact.table)} f SET _seen_at = b.seen_at
  FROM {_earliest(fact)} b
 WHERE {_place(fact, "f")} = {_place(fact, "b")} AND b.seen_at < f._seen_at"""


def _find_conflict(fact: type[StarRow]) -> str:
    seen = seen_view(fact)
    return f"""
-- Two hashes at one position of one key. What somebody gave a version by hand does not count: its own was kept beside.
SELECT b.{identifier(fact.key)}, {listed(POSITION, "b")}
  FROM {stage_table(fact)} b
 WHERE EXISTS (SELECT FROM {seen} s WHERE {_seen_place("s")} = {_place(fact, "b")})
   AND NOT EXISTS (SELECT FROM {seen} s
                    WHERE {_seen_place("s")} = {_place(fact, "b")} AND s.star_hash IS NOT DISTINCT FROM b._star_hash)
 LIMIT 1"""


def _look_again(fact: type[StarRow]) -> str:
    return f"""
-- A repair is looked at although it repeats what was seen: the version it speaks of may have been deleted by hand.
INSERT INTO stage_fresh
SELECT DISTINCT ON ({_seen_place("s")}) {listed(_OBSERVATION, "s")}
  FROM {stage_table(fact)} b JOIN {seen_view(fact)} s
    ON {_seen_place("s")} = {_place(fact, "b")} AND s.star_hash IS NOT DISTINCT FROM b._star_hash
 WHERE NOT EXISTS (SELECT FROM stage_fresh o WHERE {_seen_place("o")} = {_place(fact, "b")})"""


def _restore(fact: type[StarRow]) -> str:
    key, columns = identifier(fact.key), columns_of(fact)
    return f"""
-- Versions whose columns are no longer those of their star hash get them back from an equal row that was staged.
UPDATE {identifier(fact.table)} f SET ({listed(columns)}, _star_hash) = ({listed(columns, "b")}, b._star_hash)
  FROM {stage_table(fact)} b
 WHERE NOT b._deleted AND f.{key} = b.{key}
   AND (f._star_hash = b._star_hash OR {_place(fact, "f")} = {_place(fact, "b")})
   AND {star_hash(fact, "f")} <> b._star_hash"""


def _find_touched(fact: type[StarRow]) -> str:
    seen = seen_view(fact)
    return f"""
-- Whose place may have changed: the fresh observations and each one's next. A head starts a run.
INSERT INTO stage_touched
SELECT DISTINCT ON ({_seen_place("x")}) {listed(_OBSERVATION, "x")},
       x.star_hash IS NOT NULL AND x.star_hash IS DISTINCT FROM
       (SELECT p.star_hash FROM {seen} p
         WHERE p.key = x.key AND {row(SEEN_POSITION, "p")} < {row(SEEN_POSITION, "x")}
         ORDER BY p.generation DESC, p.revision DESC, p.contract DESC LIMIT 1)
  FROM (SELECT * FROM stage_fresh
        UNION ALL
        SELECT n.* FROM stage_fresh f CROSS JOIN LATERAL (
            SELECT {listed(_OBSERVATION, "s")} FROM {seen} s
             WHERE s.key = f.key AND {row(SEEN_POSITION, "s")} > {row(SEEN_POSITION, "f")}
             ORDER BY {listed(SEEN_POSITION, "s")} LIMIT 1) n) x"""


def _keep_moved(fact: type[StarRow]) -> str:
    return f"""
-- The observation of a row that is to move stays: it is no version any more.
INSERT INTO {_unversioned_target(fact)}
SELECT {listed(_OBSERVATION, "t")} FROM stage_touched t
 WHERE NOT t.head AND t.star_hash IS NOT NULL
   AND EXISTS (SELECT FROM {identifier(fact.table)} f WHERE {_place(fact, "f")} = {_seen_place("t")})
   AND NOT EXISTS (SELECT FROM {unversioned_table(fact)} s WHERE {_seen_place("s")} = {_seen_place("t")})"""


def _move_rows(fact: type[StarRow]) -> str:
    return f"""
-- A row that no longer starts its run moves to the fresh head before it.
UPDATE {identifier(fact.table)} f
   SET ({listed(POSITION)}, _row_hash, _seen_at) = ({listed(SEEN_POSITION, "h")}, h.row_hash, h.seen_at)
  FROM stage_touched t CROSS JOIN LATERAL (
       SELECT {listed(_OBSERVATION)} FROM stage_touched h
        WHERE h.head AND h.key = t.key AND {row(SEEN_POSITION, "h")} < {row(SEEN_POSITION, "t")}
        ORDER BY generation DESC, revision DESC, contract DESC LIMIT 1) h
 WHERE NOT t.head AND t.star_hash IS NOT NULL AND {_place(fact, "f")} = {_seen_place("t")}"""


def _insert_heads(fact: type[StarRow]) -> str:
    place = f"t.key, {listed(SEEN_POSITION, 't')}"
    return f"""
-- Heads without a row are inserted from the batch, in the order of their keys.
INSERT INTO {_fact_target(fact)}
SELECT DISTINCT ON ({place}) {listed(columns_of(fact), "b")}, {_HEAD}
  FROM stage_touched t JOIN {stage_table(fact)} b ON {_place(fact, "b")} = {_seen_place("t")}
 WHERE t.head AND {_has_no_row(fact)}
 ORDER BY {place}"""


def _copy_heads(fact: type[StarRow]) -> str:
    columns = listed(columns_of(fact))
    return f"""
-- A late observation split a run: its second part gets a copy of a row of equal key and star hash.
INSERT INTO {_fact_target(fact)}
SELECT {listed(columns_of(fact), "o")}, {_HEAD}
  FROM stage_touched t CROSS JOIN LATERAL (
       SELECT {columns} FROM {identifier(fact.table)} f
        WHERE f.{identifier(fact.key)} = t.key AND f._star_hash = t.star_hash LIMIT 1) o
 WHERE t.head AND {_has_no_row(fact)}
 ORDER BY t.key, {listed(SEEN_POSITION, "t")}"""


def _forget_versions(fact: type[StarRow]) -> str:
    return f"""
-- What is a version says so itself, and is kept beside no longer.
DELETE FROM {unversioned_table(fact)} s
 USING stage_touched t, {identifier(fact.table)} f
 WHERE {_seen_place("s")} = {_seen_place("t")} AND {_place(fact, "f")} = {_seen_place("t")}
   AND f._star_hash = t.star_hash"""


_OBSERVATION = ("key", *SEEN_POSITION, "row_hash", "star_hash", "seen_at")
"""Columns of an observation, in bookkeeping and in what is staged beside it."""
_HEAD = listed((name.removeprefix("_") for name in VERSION), "t")
"""What a version says of the observation that it is, of one that begins a run."""


def _fact_target(fact: type[StarRow]) -> str:
    return f"{identifier(fact.table)} ({listed([*columns_of(fact), *VERSION])})"


def _version(fact: type[StarRow], alias: str) -> str:
    """The staged row as a version."""
    return listed([*columns_of(fact), *VERSION], alias)


def _unversioned_target(fact: type[StarRow]) -> str:
    return f"{unversioned_table(fact)} ({listed(_OBSERVATION)})"


def _observation(fact: type[StarRow], alias: str) -> str:
    """The staged row as an observation."""
    return listed([identifier(fact.key), *POSITION, "_row_hash", "_star_hash", "_seen_at"], alias)


def _has_no_row(fact: type[StarRow]) -> str:
    return f"NOT EXISTS (SELECT FROM {identifier(fact.table)} f WHERE {_place(fact, 'f')} = {_seen_place('t')})"


def _seen_place(alias: str) -> str:
    """Key and position of an observation."""
    return row(("key", *SEEN_POSITION), alias)


def _place(fact: type[StarRow], alias: str) -> str:
    """Key and position of a staged row or of a version."""
    return row((identifier(fact.key), *POSITION), alias)
