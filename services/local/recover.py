"""Sends again what a killed emulator has lost: its queues live in memory, the archive and the warehouse do not.

A change batch that is archived but not in the warehouse's books is on its way, parked or lost; only of a parked one is
it known that it is not lost. Invariant: afterwards every archived batch of a feed with a star table is loaded, parked
or on a queue. Sending one that was not lost is harmless, loading is idempotent. Feeds without a star table have no
books, and nothing of theirs is loaded: they are skipped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from contracts.feeds import FEEDS
from contracts.messages import ENVELOPE, ArchiveKey, change_batch_id
from shared.bookkeeping import LOADED_BATCHES
from shared.objects import ObjectStore
from shared.postgres import Connection, rows_of
from shared.queues import Queue, Received

ASKED_AT_ONCE = 1000
"""Change batches looked up in one statement."""
PEEK_SECONDS = 60
"""How long parked messages stay hidden while they are counted; put back at once afterwards."""


@dataclass(frozen=True)
class Archived:
    """One archived change batch: its id and its object's key."""

    batch: str
    key: str


@dataclass(frozen=True)
class Recovery:
    """Where to look and where to send. The warehouse session's search_path is the star schema."""

    objects: ObjectStore
    archive: str
    changes: Queue
    warehouse: Connection
    dead_letters: tuple[Queue, ...]

    def republish(self) -> int:
        """Send every batch that is neither loaded nor parked; how many those were."""
        missing = list(self.missing())
        parked = self.parked() if missing else set()
        bodies = [body for each in missing if each.batch not in parked and (body := self._envelope(each)) is not None]
        self.changes.send(bodies)
        return len(bodies)

    def missing(self) -> Iterator[Archived]:
        """Archived batches that the warehouse's books do not hold, in the order of their keys."""
        for some in _groups(self._archived()):
            loaded = {name for [name] in rows_of(self.warehouse, LOADED_BATCHES, batches=[each.batch for each in some])}
            yield from (each for each in some if each.batch not in loaded)

    def parked(self) -> set[str]:
        """Change batches whose message, or whose load batch's message, lies in a dead-letter queue."""
        bodies = (body for queue in self.dead_letters for body in peek(queue))
        return {batch for body in bodies if (batch := change_batch_id(body)) is not None}

    def _archived(self) -> Iterator[Archived]:
        for feed in FEEDS.values():
            if feed.star is not None:
                for key in self.objects.keys(self.archive, f"{feed.name}/"):
                    found = ArchiveKey.parse(key)
                    if found is not None:
                        yield Archived(found.batch, key)

    def _envelope(self, archived: Archived) -> str | None:
        """The change batch's message as it was sent, None if the object is not one of the pipeline's."""
        found = self.objects.metadata(self.archive, archived.key).get(ENVELOPE, "")
        return found if change_batch_id(found) == archived.batch else None


def peek(queue: Queue) -> list[str]:
    """The bodies of all messages of a queue, which are then put back."""
    found: dict[str, Received] = {}
    while messages := queue.receive(PEEK_SECONDS):
        found.update({each.message_id: each for each in messages})
    queue.restore([each.receipt_handle for each in found.values()])
    return [each.body for each in found.values()]


def _groups(archived: Iterable[Archived]) -> Iterator[list[Archived]]:
    waiting = iter(archived)
    while some := list(islice(waiting, ASKED_AT_ONCE)):
        yield some
