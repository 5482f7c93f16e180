"""Load batches of one star table into the warehouse: rows, history, members and bookkeeping in one transaction.

Invariant: a load batch is in exactly one committed transaction. A second delivery finds its id in `_load_batch` and
does nothing, with two exceptions that are merged again: a repair or replay, which changes nothing unless the star rows
were damaged since or more rows pass their contract by now, and a batch that another reader made of the same snapshot a
moment earlier (its id is the same, its clock is not). A captured page that a repair was equal to changes no row and
counts as captured. Batches in any order end in the same tables.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.messages import LoadBatch, Operation, Origin
from contracts.star import Kind, StarRow
from services.loader import dimensions, history, straight
from services.loader.proof import TAKEN, prove, take
from services.loader.references import MANY_ROWS
from services.loader.stage_table import stage_table
from services.loader.staging import Load, Staged, look, stage, together
from services.loader.warehouse import Warehouse, take_lock, take_lock_beside
from shared import parquet
from shared.errors import MalformedMessage
from shared.objects import ObjectStore
from shared.postgres import Connection, DatabaseError, rows_of


@dataclass(frozen=True)
class Report:
    """What one transaction did: ids of the load batches loaded and of those already there, rows, fact versions."""

    loaded: tuple[str, ...]
    already_there: tuple[str, ...]
    rows: int = 0
    versions: int = 0


@dataclass(frozen=True)
class Ahead:
    """What was told of a large merge before its lock was asked for, and whether it lies in the stage already.

    `begins`: whether it is known under the lock that each row begins a version.
    """

    told: Staged
    in_stage: bool
    begins: bool = False


def fetch(objects: ObjectStore, batch: LoadBatch, table: type[StarRow]) -> Load:
    """A load batch with its object, which is small; it is decoded when it is staged, so that objects wait small.

    Raises CorruptObject, ObjectStoreUnavailable.
    """
    body = objects.get(batch.data.object)
    if batch.data.operation is Operation.DELETED:
        return Load(batch, lambda: {table.key: parquet.read_keys(table, body)})
    return Load(batch, lambda: parquet.read(table, body))


def load(warehouse: Warehouse, table: type[StarRow], loads: Sequence[Load], *, many_rows: int = MANY_ROWS) -> Report:
    """Load all or none of the batches, each of this star table; from `many_rows` on, as a large merge.

    Raises ContractViolation where one of them can never be loaded, WarehouseUnavailable, ConfigurationError.
    """
    if sum(load.batch.data.object.rows for load in loads) < many_rows:
        return warehouse.transaction(table, lambda connection: _load(connection, table, loads, many_rows, None))
    return warehouse.transaction(
        table, lambda connection: _load_many(connection, table, loads, many_rows), locked=False
    )


def _load_many(connection: Connection, table: type[StarRow], loads: Sequence[Load], many_rows: int) -> Report:
    """Stage before the lock is asked for, while another loader merges; rows that begin versions need no stage.

    Those of one position need not wait for each other either: a snapshot has one row of a key, so that they commute.
    """
    opened = [load.opened() for load in _by_page(loads)]
    told = together([look(table, load) for load in opened])
    copied = straight.able(connection, table, [load.batch.data for load in opened], told)
    if copied:
        opened = [straight.hashed(table, load) for load in opened]
        straight.prepare(connection, table, opened, told)
    else:
        told = _stage(connection, table, opened)
    begins = copied and _begin_beside(connection, table, opened, told)
    if not begins:
        take_lock(connection, table)
    return _load(connection, table, opened, many_rows, Ahead(told, in_stage=not copied, begins=begins))


def _begin_beside(connection: Connection, table: type[StarRow], loads: Sequence[Load], told: Staged) -> bool:
    """Take the lock beside others of the same position, if all is new and each row begins a version; else no lock."""
    position, *others = {load.batch.data.position for load in loads}
    connection.run("SAVEPOINT unlocked")
    if (
        not others
        and take_lock_beside(connection, table, position)
        and not _there(connection, loads)
        and straight.all_begin(connection, table, told)
    ):
        return True
    connection.run("ROLLBACK TO SAVEPOINT unlocked")
    return False


def _load(
    connection: Connection, table: type[StarRow], loads: Sequence[Load], many_rows: int, ahead: Ahead | None
) -> Report:
    """Under the lock. What was done `ahead` serves where all of it is to be loaded, as is usual."""
    there = _there(connection, loads)
    new, again = sort_out(loads, there)
    if ahead and not ahead.in_stage and _all_begin(connection, table, ahead, all_new=len(new) == len(loads)):
        dimensions.infer_members(connection, ahead.told.members)
        rows = versions = straight.copy_versions(connection, table, loads, ahead.told)
    else:
        rows, versions = _stage_and_merge(connection, table, loads, (*new, *again), many_rows, ahead)
    _keep(connection, [item.batch for item in new])
    kept, captured = {item.batch.data.feed for item in new}, _captured(connection, loads, new)
    take(connection, captured - kept)
    prove(connection, kept | captured)
    return Report(tuple(load.batch.id for load in new), tuple(sorted(there)), rows, versions)


def _there(connection: Connection, loads: Sequence[Load]) -> dict[str, datetime]:
    """The clocks of those that were loaded before, by id."""
    return dict(rows_of(connection, _FIND_LOADED, ids=[load.batch.id for load in loads]))


def _all_begin(connection: Connection, table: type[StarRow], ahead: Ahead, *, all_new: bool) -> bool:
    return ahead.begins or (all_new and straight.all_begin(connection, table, ahead.told))


def _stage_and_merge(
    connection: Connection,
    table: type[StarRow],
    loads: Sequence[Load],
    told: Sequence[Load],
    many_rows: int,
    ahead: Ahead | None,
) -> tuple[int, int]:
    """Those of the load batches that have something to say; their rows, and the versions they made."""
    serves = ahead is not None and ahead.in_stage and len(told) == len(loads)
    if ahead and ahead.in_stage and not serves:
        connection.run(f"TRUNCATE {stage_table(table)}")
    staged = ahead.told if ahead and serves else _stage(connection, table, told)
    repairs = any(_is_repair(load) for load in told)
    versions = _merge(connection, table, staged, repairs=repairs, many_rows=many_rows) if staged.rows else 0
    return staged.rows, versions


def _stage(connection: Connection, table: type[StarRow], loads: Sequence[Load]) -> Staged:
    return together([stage(connection, table, load) for load in _by_page(loads)])


def _by_page(loads: Sequence[Load]) -> list[Load]:
    """So that keys mostly lie in the stage in the order in which they are inserted."""
    return sorted(loads, key=lambda load: load.batch.data.page)


def sort_out(loads: Sequence[Load], there: Mapping[str, datetime]) -> tuple[list[Load], list[Load]]:
    """What is new, and what has something to say although its id is known, by the clocks of what is `there`."""
    earliest, new, again = dict(there), list[Load](), list[Load]()
    for load in loads:
        known, as_of = earliest.get(load.batch.id), load.batch.data.as_of
        if known is None:
            new.append(load)
        elif as_of < known or _is_repair(load):
            again.append(load)
        earliest[load.batch.id] = min(as_of, known or as_of)
    return new, again


def _is_repair(load: Load) -> bool:
    return load.batch.data.origin in (Origin.REPAIR, Origin.REPLAY)


def _captured(connection: Connection, loads: Sequence[Load], new: Sequence[Load]) -> set[str]:
    """Let captured pages count whose id a repair of the same snapshot had before them; their feeds.

    The source was quiet between the two: number, position and rows are equal, so that the page itself is never new.
    """
    known = {load.batch.id: load.batch.data for load in loads if load.batch.data.origin.captured and load not in new}
    if not known:
        return set()
    origins = [data.origin.value for data in known.values()]
    return {feed for (feed,) in rows_of(connection, _CAPTURED, ids=list(known), origins=origins)}


def _merge(connection: Connection, table: type[StarRow], staged: Staged, *, repairs: bool, many_rows: int) -> int:
    """Bring the stage into the star table; the number of fact versions inserted."""
    if table.kind() is Kind.DIMENSION:
        dimensions.merge(connection, table, repairs=repairs)
        return 0
    dimensions.infer_members(connection, staged.members)
    return history.keep_history(connection, table, staged, repairs=repairs, many=staged.rows >= many_rows)


def _keep(connection: Connection, batches: Sequence[LoadBatch]) -> None:
    """Write down load batches and what they tell of their feed, and take its proof.

    Raises MalformedMessage for an unknown time zone.
    """
    if batches:
        told = [_told(batch) for batch in batches]
        with _refusing({batch.data.time_zone for batch in batches}):
            connection.run(_KEEP, **{name: [one[name] for one in told] for name in _TOLD})


def _told(batch: LoadBatch) -> dict[str, Any]:
    """What is written down of a load batch, a value for each of _TOLD."""
    data = batch.data
    return {
        "id": batch.id,
        "change_batch": data.change_batch,
        "feed": data.feed,
        "star_table": data.star_table,
        "operation": data.operation.value,
        "origin": data.origin.value,
        "generation": data.position.generation,
        "revision": data.position.revision,
        "contract": data.position.contract,
        "page": data.page,
        "since": data.since,
        "as_of": data.as_of,
        "rows": data.object.rows,
        "quarantined": data.quarantined,
        "object_key": data.object.key,
        "time_zone": data.time_zone,
    }


def check_time_zone(connection: Connection, name: str) -> None:
    """A zone that Postgres does not know would break the history views for everyone. Raises MalformedMessage."""
    with _refusing({name}):
        connection.run("SELECT now() AT TIME ZONE CAST(:name AS text)", name=name)


@contextmanager
def _refusing(names: Collection[str]) -> Iterator[None]:
    """Say in words that Postgres does not know a time zone."""
    try:
        yield
    except DatabaseError as exc:
        if exc.args[0].get("C") != "22023":
            raise
        raise MalformedMessage(
            f"Expected a time zone that Postgres knows, found {', '.join(map(repr, names))}."
        ) from exc


_FIND_LOADED = "SELECT id, as_of FROM _load_batch WHERE id = ANY(CAST(:ids AS text[]))"
_CAPTURED = """
-- A page counts as loaded by whoever captured it, although a repair brought the same rows under its number.
UPDATE _load_batch b SET origin = c.origin
  FROM unnest(CAST(:ids AS text[]), CAST(:origins AS text[])) c (id, origin)
 WHERE b.id = c.id AND b.origin IN ('repair', 'replay')
RETURNING b.feed"""
_TOLD = {
    "id": "text",
    "change_batch": "text",
    "feed": "text",
    "star_table": "text",
    "operation": "text",
    "origin": "text",
    "generation": "int",
    "revision": "bigint",
    "contract": "int",
    "page": "bigint",
    "since": "timestamptz",
    "as_of": "timestamptz",
    "rows": "bigint",
    "quarantined": "bigint",
    "object_key": "text",
    "time_zone": "text",
}
"""What is written down of a load batch: its columns, and with them the time zone of its feed."""
_KEPT = ", ".join(name for name in _TOLD if name != "time_zone")
_KEEP = f"""
-- In the same transaction as their rows, so that a second delivery finds them. The time is that of the commit, nearly.
-- A feed's totals grow; its time zone is that of the newest snapshot, whatever order the batches come in. A zone that
-- is unknown fails here. The feed's proof is taken, so that the next statement sees all that was proven of it.
WITH told AS MATERIALIZED (
     SELECT * FROM unnest({", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _TOLD.items())})
                   batch ({", ".join(_TOLD)})
      WHERE now() AT TIME ZONE time_zone IS NOT NULL),
kept AS (
     INSERT INTO _load_batch ({_KEPT}, loaded_at)
     SELECT {_KEPT}, clock_timestamp() FROM told),
taken AS ({TAKEN.format(feeds="(SELECT DISTINCT feed FROM told) f")})
INSERT INTO _feed AS kept (feed, star_table, time_zone, generation, revision, as_of, last_loaded,
                           rows_loaded, quarantined)
SELECT DISTINCT ON (feed) feed, star_table, time_zone, generation, revision, max(as_of) OVER every, clock_timestamp(),
       sum(rows) OVER every, sum(quarantined) OVER every
  FROM told
WINDOW every AS (PARTITION BY feed)
 ORDER BY feed, generation DESC, revision DESC, time_zone
    ON CONFLICT (feed) DO UPDATE SET
       (time_zone, generation, revision) = (
           SELECT n.*
             FROM (VALUES (EXCLUDED.time_zone, EXCLUDED.generation, EXCLUDED.revision),
                          (kept.time_zone, kept.generation, kept.revision)) n (zone, generation, revision)
            ORDER BY n.generation DESC, n.revision DESC, n.zone LIMIT 1),
       as_of = GREATEST(kept.as_of, EXCLUDED.as_of),
       last_loaded = EXCLUDED.last_loaded,
       rows_loaded = kept.rows_loaded + EXCLUDED.rows_loaded,
       quarantined = kept.quarantined + EXCLUDED.quarantined"""
