"""Find in the archive the rows that damaged star rows were made of, to be published once more at their own position.

Invariant: a restored row says what was observed at that position and nothing new, so that no history changes: the
loader gives the star row its columns back, or makes it again where it was deleted by hand. A row that was archived
under a former contract goes out under it again, and the transform brings it up to today's.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from contracts.feeds import Feed
from contracts.messages import ROW_HASH, ChangeBatch, Operation, Origin, Position, stored_as
from services.reconciler.warehouse import Damaged, Warehouse
from shared.archive import Circumstances, Page, Pages, PageSize, Publisher, columns_of, key_place, keys_at
from shared.errors import CorruptObject


@dataclass
class Restored:
    """Pages with their number and circumstances, and the keys of which the archive does not have the row."""

    pages: list[tuple[Page, int, Circumstances]] = field(default_factory=list)
    left: set[int] = field(default_factory=set)


def restored_pages(
    damaged: Iterable[Damaged], feed: Feed, archive: Publisher, warehouse: Warehouse, compression_level: int
) -> Restored:
    """The pages that restore these star rows."""
    result = Restored()
    ordered = sorted(damaged, key=_place)
    for position, group in groupby(ordered, key=lambda one: one.position):
        wanted = {one.key for one in group}
        for brought in warehouse.batches_at(feed.name, position):
            batch = _stored(archive, feed, stored_as(brought.change_batch, brought.as_of, Operation.CHANGED))
            if batch is None:
                continue
            page, found = _page(archive, feed, batch, wanted, compression_level)
            if page is not None:
                wanted -= found
                result.pages.append((page, batch.data.page, _circumstances(batch)))
        result.left |= wanted
    return result


def _place(one: Damaged) -> tuple[int, int, int, int]:
    at: Position = one.position
    return at.generation, at.revision, at.contract, one.key


def _stored(archive: Publisher, feed: Feed, key: str) -> ChangeBatch | None:
    """The batch of that object, None where it has none or one of columns that no contract of the feed has."""
    try:
        batch = archive.batch(key)
        hashed, contract = ROW_HASH in batch.data.columns, batch.data.position.contract
        expected = columns_of(feed, Operation.CHANGED, contract, hashed=hashed)
    except (CorruptObject, KeyError):
        return None
    return batch if batch.data.columns == expected else None


def _page(
    archive: Publisher, feed: Feed, batch: ChangeBatch, wanted: set[int], compression_level: int
) -> tuple[Page | None, set[int]]:
    """The wanted rows of a batch, each as it lies in the archive, and their keys."""
    contract = batch.data.position.contract
    column = key_place(feed, contract)
    stored = _lines(archive, batch)
    found = {key: line for line, key in zip(stored, keys_at(stored, column), strict=True) if key in wanted}
    if not found:
        return None, set()
    kept: list[Page] = []
    pages = Pages(
        feed,
        kept.append,
        held=(lambda _keys, _hashes: set()) if ROW_HASH in batch.data.columns else None,
        size=PageSize(len(found), sys.maxsize),
        compression_level=compression_level,
        contract=contract,
    )
    pages.writelines([*found.values()])
    return pages.rest(), set(found)


def _lines(archive: Publisher, batch: ChangeBatch) -> Sequence[bytes]:
    try:
        return archive.lines(batch)
    except CorruptObject:
        return ()


def _circumstances(batch: ChangeBatch) -> Circumstances:
    data = batch.data
    return Circumstances(
        origin=Origin.REPAIR,
        generation=data.position.generation,
        revision=data.position.revision,
        since=None,
        as_of=data.as_of,
        time_zone=data.time_zone,
        contract=data.position.contract,
    )
