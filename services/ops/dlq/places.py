"""Where dead letters and quarantine of one installation lie, and what today's code makes of them.

Invariant: building it changes nothing and connects to nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contracts.feeds import FEEDS, Feed
from services.loader.warehouse import Warehouse
from services.ops.installation import Installation
from services.ops.quarantine import OpenQuarantine
from services.ops.status import WorkQueue
from shared.objects import ObjectStore
from shared.postgres import Dsn, connect
from shared.queues import Queue

if TYPE_CHECKING:
    from services.transform.star import Builder

QUEUES = ("changes", "loads")
"""The work queues' names in the topology, in the order of the path."""
APPLICATION_NAME = "totes dlq"
STATEMENT_TIMEOUT_SECONDS, LOCK_TIMEOUT_SECONDS = 60.0, 5.0
"""A check has time, and must not wait behind a migration for ever."""


@dataclass(frozen=True)
class Places:
    """Adapters and names, the queues in the order of the path."""

    objects: ObjectStore
    archive_bucket: str
    processed_bucket: str
    queues: Mapping[str, WorkQueue]
    warehouse: Warehouse
    """In which a check rehearses load batches, rolled back each time."""
    feeds: Mapping[str, Feed] = field(default_factory=lambda: FEEDS)
    builders: "Mapping[str, Builder] | None" = None
    """By star table. None for today's: only a check builds rows, and only then pandas is imported."""

    @property
    def quarantine(self) -> OpenQuarantine:
        """The quarantined rows that were not replayed."""
        return OpenQuarantine(self.objects, self.processed_bucket)


def places_of(description: Installation) -> Places:
    """Those of a running stack."""
    sqs = description.client("sqs")
    return Places(
        objects=ObjectStore(description.client("s3")),
        archive_bucket=description.buckets["archive"],
        processed_bucket=description.buckets["processed"],
        queues={
            name: WorkQueue(Queue(sqs, description.queues[name]), Queue(sqs, description.dead_letter_queues[name]))
            for name in QUEUES
        },
        warehouse=warehouse_of(description),
    )


def warehouse_of(description: Installation) -> Warehouse:
    """The warehouse as its loader meets it; no session is opened before it is needed."""
    return Warehouse(
        lambda: connect(
            Dsn.parse(description.warehouse_dsn),
            application_name=APPLICATION_NAME,
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        ),
        description.warehouse_schema,
    )
