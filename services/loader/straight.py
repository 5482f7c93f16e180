"""Copy rows straight into their fact where each of them begins a version, with no stage and nothing written twice.

Each does where nobody has seen its key, or where it is later than all that was seen of its key and its star hash is
another. Invariant: the fact ends as if the rows had been staged and merged. Their star hash, which a stage has
computed, comes from `services.loader.hashes`; a warehouse that hashes otherwise is asked before, and then there is a
stage as ever.
"""

from collections.abc import Sequence
from dataclasses import replace

from contracts.messages import LoadBatchData, Operation
from contracts.star import Kind, StarRow
from services.loader import binary
from services.loader.hashes import probe, star_hashes
from services.loader.history import any_seen, last_seen
from services.loader.references import hold_members, skipping_checks
from services.loader.stage_table import stage_keys
from services.loader.staging import Load, Staged, expect
from shared.bookkeeping import POSITION, SEEN_POSITION, listed, row
from shared.postgres import Connection, copy_in, identifier, rows_of


def able(connection: Connection, table: type[StarRow], batches: Sequence[LoadBatchData], told: Staged) -> bool:
    """Whether load batches of these rows can be copied so, if each row begins a version."""
    return (
        table.kind() is Kind.FACT
        and binary.fits(table.columns())
        and all(batch.operation is Operation.CHANGED and batch.origin.captured for batch in batches)
        and told.ascending
        and _hashes_alike(connection, table)
    )


def hashed(fact: type[StarRow], load: Load) -> Load:
    """The same with the star hash of each row."""
    columns = {**load.read(), binary.STAR_HASH: star_hashes(fact, load.read())}
    return replace(load, read=lambda: columns)


def prepare(connection: Connection, fact: type[StarRow], loads: Sequence[Load], told: Staged) -> None:
    """Before the lock: tell the warehouse the keys and hashes of rows that may have been seen."""
    if any_seen(connection, fact, told):
        for load in loads:
            _copy(connection, fact, load, stage_keys(fact), [fact.key], (*POSITION, binary.STAR_HASH))


def all_begin(connection: Connection, fact: type[StarRow], told: Staged) -> bool:
    """Under the lock: whether each row begins a version. What was not prepared must not have been seen."""
    [[prepared]] = rows_of(connection, f"SELECT count(*) FROM {stage_keys(fact)}")
    if prepared == told.rows:
        return rows_of(connection, _all_begin(fact)) == [[True]]
    return not any_seen(connection, fact, told)


def copy_versions(connection: Connection, fact: type[StarRow], loads: Sequence[Load], told: Staged) -> int:
    """COPY the load batches, in the order of their keys, into the fact; the number of versions, which is that of rows.

    Their members must be there.
    """
    names = [column.name for column in fact.columns()]
    held = hold_members(connection, fact, told.members)
    with skipping_checks(connection, held=held):
        return sum(_copy(connection, fact, load, identifier(fact.table), names, binary.VERSION) for load in loads)


def _copy(
    connection: Connection, fact: type[StarRow], load: Load, target: str, names: Sequence[str], ours: Sequence[str]
) -> int:
    columns, data = load.read(), load.batch.data
    present = [column for column in expect(fact, data, columns) if column.name in names]
    listing = listed([*(identifier(column.name) for column in present), *ours])
    chunks = binary.copy_binary(present, data, columns, ours)
    return copy_in(connection, f"COPY {target} ({listing}) FROM STDIN (FORMAT binary)", chunks)


def _hashes_alike(connection: Connection, fact: type[StarRow]) -> bool:
    asked, expected = probe(fact)
    return rows_of(connection, asked) == [[expected]]


def _all_begin(fact: type[StarRow]) -> str:
    return f"""
-- Whether each row is later than all that was seen of its key, and other than the last of it.
SELECT NOT EXISTS (
       SELECT FROM {stage_keys(fact)} b JOIN LATERAL ({last_seen(fact)}) last ON true
        WHERE {row(SEEN_POSITION, "last")} >= {row(POSITION, "b")} OR last.star_hash = b.{binary.STAR_HASH})"""
