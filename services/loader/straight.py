"""Copy rows whose keys nobody has seen straight into their fact: each is a version, with nothing to be compared with.

Invariant: the fact ends as if the rows had been staged and merged. Their star hash, which a stage has computed, comes
from `services.loader.hashes`; a warehouse that hashes otherwise is asked before, and then there is a stage as ever.
"""

from collections.abc import Sequence

from contracts.messages import LoadBatchData, Operation
from contracts.star import Kind, StarRow
from services.loader import binary
from services.loader.hashes import probe, star_hashes
from services.loader.history import any_seen
from services.loader.references import hold_members, skipping_checks
from services.loader.staging import Load, Staged, expect
from shared.bookkeeping import listed
from shared.postgres import Connection, copy_in, identifier, rows_of


def may_copy(connection: Connection, table: type[StarRow], batches: Sequence[LoadBatchData], told: Staged) -> bool:
    """Whether the load batches can be copied so. To be asked again under the lock of their table (`any_seen`)."""
    return (
        table.kind() is Kind.FACT
        and binary.fits(table.columns())
        and all(batch.operation is Operation.CHANGED and batch.origin.captured for batch in batches)
        and told.ascending
        and not any_seen(connection, table, told)
        and _hashes_alike(connection, table)
    )


def copy_first(connection: Connection, fact: type[StarRow], loads: Sequence[Load], told: Staged) -> int:
    """COPY the load batches, in the order of their keys, into the fact; the number of versions, which is that of rows.

    Their members must be there.
    """
    held = hold_members(connection, fact, told.members)
    with skipping_checks(connection, held=held):
        return sum(_copy(connection, fact, load) for load in loads)


def _copy(connection: Connection, fact: type[StarRow], load: Load) -> int:
    columns, data = load.read(), load.batch.data
    present = expect(fact, data, columns)
    names = listed([*(identifier(column.name) for column in present), *binary.VERSION])
    hashed = {**columns, binary.STAR_HASH: star_hashes(fact, columns)}
    target = f"COPY {identifier(fact.table)} ({names}) FROM STDIN (FORMAT binary)"
    return copy_in(connection, target, binary.copy_binary(present, data, hashed, binary.VERSION))


def _hashes_alike(connection: Connection, fact: type[StarRow]) -> bool:
    asked, expected = probe(fact)
    return rows_of(connection, asked) == [[expected]]
