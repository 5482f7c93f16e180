"""Which keys are on their way: rows in batches that are archived and that the warehouse's books do not hold yet.

Invariant: a key that some queue still holds is among them, unless it has waited longer than any living pipeline is
behind, and one that no queue can hold is not; so nothing is repaired that would arrive by itself. Repairs and
replays are told apart: one whose sender died between object and message waits on no queue, while what a dead poller
left unsent the next one sends.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from contracts.feeds import Feed
from contracts.messages import ArchiveKey, ChangeBatch, Operation, Origin
from services.reconciler.plan import Pending
from services.reconciler.warehouse import Warehouse
from shared.archive import Publisher, key_place, keys_at
from shared.errors import CorruptObject
from shared.queues import Queue

LOOKED_BACK = timedelta(hours=1)
"""Longer than any queue is behind while its consumers live. What waits longer is parked, or its warehouse was away."""
UNCOUNTED = timedelta(minutes=1)
"""How long SQS's counts may leave a message out: where no queue holds any, what is older was parked or lost."""
ASKED_AT_ONCE = 1000
"""Batches looked up in one statement."""
SENT_ONCE = (Origin.REPAIR, Origin.REPLAY)
"""Origins of batches that nobody sends again unasked when their sender died before the message."""
MOST_ROWS = 500_000
"""In flight of one feed: beyond, telling them apart costs more than waiting for the next run."""


def pending_keys(
    archive: Publisher, warehouse: Warehouse, feed: Feed, *, now: datetime, queues: Iterable[Queue]
) -> Pending:
    """What of the feed is in flight. `now` is the source's clock; `queues` all that a batch may wait on."""
    found, rows = Pending(), 0
    empty = not any(queue.depth().total for queue in queues)
    for name in _not_loaded(archive, warehouse, feed, now - (UNCOUNTED if empty else LOOKED_BACK)):
        try:
            batch = archive.batch(name)
            if batch.data.position.contract > feed.contract:
                return Pending(all=True)  # whoever knows that contract loads it; here nobody can tell its keys
            _add(found, archive, feed, batch)
            rows += batch.data.object.rows
        except CorruptObject:
            continue  # its message is parked with that reason, so its rows will not arrive: they are to be repaired
        if rows > MOST_ROWS:
            return Pending(all=True)
    return found


def _add(found: Pending, archive: Publisher, feed: Feed, batch: ChangeBatch) -> None:
    """Take the keys of one archived batch."""
    keys = found.repairs if batch.data.origin in SENT_ONCE else found.captured
    keys.update(_keys(archive, feed, batch))


def _keys(archive: Publisher, feed: Feed, batch: ChangeBatch) -> list[int]:
    deleted = batch.data.operation is Operation.DELETED
    column = 0 if deleted else key_place(feed, batch.data.position.contract)
    return keys_at(archive.lines(batch), column)


def _not_loaded(archive: Publisher, warehouse: Warehouse, feed: Feed, since: datetime) -> Iterator[str]:
    """Archive keys of the batches, read since then, that are not in the warehouse's books."""
    listed = iter(archive.stored(feed, f"{feed.name}/date={since:%Y-%m-%d}/{since:%H%M%S}"))
    while some := list(islice(listed, ASKED_AT_ONCE)):
        named = {name: found.batch for name in some if (found := ArchiveKey.parse(name)) is not None}
        loaded = warehouse.loaded(list(named.values()))
        yield from (name for name, batch in named.items() if batch not in loaded)
