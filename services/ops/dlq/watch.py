"""What becomes of that which was replayed: the warehouse's books, and whether anything still waits.

Invariant: it only reads. A book that says loaded is committed; a queue that says empty may be wrong for a moment, since
SQS's counts are approximate, so whoever asks looks more than once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.ops.status import Warehouse
from shared.queues import Queue

_OUTCOMES = Path(__file__).with_name("outcomes.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class PipelineWatch:
    """The books and the work queues of one installation."""

    warehouse: Warehouse
    queues: Sequence[Queue]

    def loaded(self, batches: Sequence[str]) -> Mapping[str, int]:
        """See services.ops.dlq.replay.Watch. Raises WarehouseUnavailable."""
        return dict(self.warehouse.read(_OUTCOMES, batches=list(batches)))

    def idle(self) -> bool:
        """Whether no work queue holds anything. Raises QueueUnavailable."""
        return not any(queue.depth().total for queue in self.queues)
