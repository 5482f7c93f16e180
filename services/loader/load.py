"""Load batches of one star table into the warehouse: rows, history, members and bookkeeping in one transaction.

Invariant: a load batch is in exactly one committed transaction. A second delivery finds its id in `_load_batch` and
does nothing, with two exceptions that are merged again: a repair or replay, which changes nothing unless the star rows
were damaged since or more rows pass their contract by now, and a batch that another reader made of the same snapshot a
moment earlier (its id is the same, its clock is not). A captured page that a repair was equal to changes no row and
counts as captured. Batches in any order end in the same tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.messages import LoadBatch, LoadBatchData, Operation, Origin
from contracts.star import Kind, StarRow
from services.loader import dimensions, history
from services.loader.proof import prove
from services.loader.references import MANY_ROWS
from services.loader.staging import Load, Staged, stage, together
from services.loader.warehouse import Warehouse
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


def fetch(objects: ObjectStore, batch: LoadBatch, table: type[StarRow]) -> Load:
    """A load batch with its object, which is small; it is decoded when it is staged, so memory holds one page.

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
    return warehouse.transaction(table, lambda connection: _load(connection, table, loads, many_rows))


def _load(connection: Connection, table: type[StarRow], loads: Sequence[Load], many_rows: int) -> Report:
    there: dict[str, datetime] = dict(rows_of(connection, _FIND_LOADED, ids=[load.batch.id for load in loads]))
    new, again = sort_out(loads, there)
    # By page, so that keys mostly lie in the stage in the order in which they are inserted.
    told = sorted((*new, *again), key=lambda load: load.batch.data.page)
    staged = together([stage(connection, table, load) for load in told])
    repairs = any(_is_repair(load) for load in told)
    versions = _merge(connection, table, staged, repairs=repairs, many_rows=many_rows) if staged.rows else 0
    for item in new:
        _keep(connection, item.batch.id, item.batch.data)
    prove(connection, {item.batch.data.feed for item in new} | _captured(connection, loads, new))
    return Report(tuple(load.batch.id for load in new), tuple(sorted(there)), staged.rows, versions)


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


def _keep(connection: Connection, batch_id: str, data: LoadBatchData) -> None:
    """Write down the load batch and what it tells of its feed. Raises MalformedMessage for an unknown time zone."""
    check_time_zone(connection, data.time_zone)
    shared = {
        "feed": data.feed,
        "star_table": data.star_table,
        "generation": data.position.generation,
        "revision": data.position.revision,
        "as_of": data.as_of,
        "rows": data.object.rows,
        "quarantined": data.quarantined,
    }
    connection.run(
        _KEEP_LOAD_BATCH,
        id=batch_id,
        change_batch=data.change_batch,
        operation=data.operation.value,
        origin=data.origin.value,
        contract=data.position.contract,
        page=data.page,
        since=data.since,
        object_key=data.object.key,
        **shared,
    )
    connection.run(_KEEP_FEED, time_zone=data.time_zone, **shared)


def check_time_zone(connection: Connection, name: str) -> None:
    """A zone that Postgres does not know would break the history views for everyone."""
    try:
        connection.run("SELECT now() AT TIME ZONE CAST(:name AS text)", name=name)
    except DatabaseError as exc:
        if exc.args[0].get("C") != "22023":
            raise
        raise MalformedMessage(f"Expected a time zone that Postgres knows, found {name!r}.") from exc


_FIND_LOADED = "SELECT id, as_of FROM _load_batch WHERE id = ANY(CAST(:ids AS text[]))"
_KEEP_LOAD_BATCH = """
-- In the same transaction as its rows, so that a second delivery finds it. The time is that of the commit, nearly.
INSERT INTO _load_batch (id, change_batch, feed, star_table, operation, origin, generation, revision, contract, page,
                         since, as_of, rows, quarantined, object_key, loaded_at)
VALUES (:id, :change_batch, :feed, :star_table, :operation, :origin, :generation, :revision, :contract, :page,
        :since, :as_of, :rows, :quarantined, :object_key, clock_timestamp())"""
_CAPTURED = """
-- A page counts as loaded by whoever captured it, although a repair brought the same rows under its number.
UPDATE _load_batch b SET origin = c.origin
  FROM unnest(CAST(:ids AS text[]), CAST(:origins AS text[])) c (id, origin)
 WHERE b.id = c.id AND b.origin IN ('repair', 'replay')
RETURNING b.feed"""
_KEEP_FEED = """
-- Totals grow; the time zone is that of the newest snapshot, whatever order the batches come in.
INSERT INTO _feed AS kept (feed, star_table, time_zone, generation, revision, as_of, last_loaded,
                           rows_loaded, quarantined)
VALUES (:feed, :star_table, :time_zone, :generation, :revision, :as_of, clock_timestamp(), :rows, :quarantined)
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
