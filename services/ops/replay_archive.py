"""Send stored change batches once more onto `changes`, for the live functions to transform and load.

Invariant: only what the archive holds is sent, as its envelope says, so a batch that arrives twice is the same batch
and changes nothing. Batches go in the order of their snapshots over all feeds: whoever was stopped goes on at the
snapshot it had come to. What the warehouse's books hold is left out, unless everything is asked for once more.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from contracts.messages import ChangeBatch
from services.ops.archived import Archive, Archived, Books, Selection, not_loaded
from services.ops.rebuild import NAMED, Failed, Progress, in_words
from shared.errors import ContractViolation
from shared.queues import BATCH, Queue


@dataclass
class Replayed:
    """What was sent: batches, their rows, the snapshot of the last one; and the batches that could not be read."""

    batches: int = 0
    rows: int = 0
    failures: int = 0
    failed: list[Failed] = field(default_factory=list)
    up_to: datetime | None = None

    def counts(self) -> dict[str, int]:
        """The numbers by their names."""
        return {"batches": self.batches, "rows": self.rows, "failures": self.failures}


class Pace:
    """So many batches a second at most; None holds nobody up."""

    def __init__(self, a_second: float | None, now: Callable[[], float], sleep: Callable[[float], object]) -> None:
        """Take the rate, a monotonic clock in seconds, and how to wait."""
        self._a_second = a_second
        self._now = now
        self._sleep = sleep
        self._free_at = now()

    def take(self, batches: int) -> None:
        """Wait until so many may be sent."""
        if self._a_second is None:
            return
        now = self._now()
        if self._free_at > now:
            self._sleep(self._free_at - now)
        self._free_at = max(self._free_at, now) + batches / self._a_second


@dataclass(frozen=True)
class Replayer:
    """From where, to where, how fast; `books` say what is loaded already."""

    archive: Archive
    books: Books
    changes: Queue
    pace: Pace

    def selected(self, selection: Selection, limit: int | None) -> Iterator[Archived]:
        """What would be sent, in order."""
        return islice(not_loaded(self.archive.in_order(selection), self.books), limit)

    def run(self, selection: Selection, limit: int | None, done: Replayed, progress: Progress) -> None:
        """Send, ten at a time; `done` is counted up as it is done. Raises Unavailable where it must stop."""
        waiting = self.selected(selection, limit)
        while group := list(islice(waiting, BATCH)):
            batches = [batch for one in group if (batch := self._read(one, done)) is not None]
            self.pace.take(len(batches))
            self.changes.send([batch.body() for batch in batches])
            rows = sum(batch.data.object.rows for batch in batches)
            done.batches, done.rows, done.up_to = done.batches + len(batches), done.rows + rows, group[-1].as_of
            progress.moved(group[-1].feed, len(group), rows)

    def _read(self, one: Archived, done: Replayed) -> ChangeBatch | None:
        try:
            return self.archive.batch(one)
        except ContractViolation as exc:
            done.failures += 1
            if len(done.failed) < NAMED:
                done.failed.append(Failed(one.key, in_words(exc)))
            return None
