"""A running stack seen from outside: its description becomes the adapters through which it is read and moved.

Invariant: building the adapters changes nothing. Light to import, because `totes status` should answer at once.
"""

from datetime import UTC, datetime
from pathlib import Path

from services.local.description import StackDescription, read_description
from services.ops.audit import AuditTrail, operator
from services.ops.status import Collector, Places, Status, Warehouse, WorkQueue
from shared.checkpoint import CheckpointStore
from shared.errors import ConfigurationError, Unavailable
from shared.objects import ObjectStore
from shared.queues import Queue


class NothingRuns(Unavailable):
    """There is no stack to look at."""


def read_status(state_dir: Path) -> Status:
    """How the stack of that folder is. Raises NothingRuns."""
    return collector_of(describe(state_dir)).collect(causes=True)


def describe(state_dir: Path) -> StackDescription:
    """What runs in that folder. Raises NothingRuns."""
    try:
        return read_description(state_dir)
    except ConfigurationError as exc:
        raise NothingRuns(str(exc)) from exc


def checkpoints_of(description: StackDescription) -> CheckpointStore:
    """The poller's checkpoint."""
    return CheckpointStore(ObjectStore(description.client("s3")), description.buckets["control"])


def trail_of(description: StackDescription) -> AuditTrail:
    """What operators have done to the stack, and where the next of them is written down."""
    objects = ObjectStore(description.client("s3"))
    return AuditTrail(objects, description.buckets["processed"], who=operator(), now=utc_now)


def collector_of(description: StackDescription) -> Collector:
    """What reads the status of a running stack."""
    sqs = description.client("sqs")
    changes, loads = (
        WorkQueue(Queue(sqs, description.queues[name]), Queue(sqs, description.dead_letter_queues[name]))
        for name in ("changes", "loads")
    )
    places = Places(
        objects=ObjectStore(description.client("s3")),
        archive_bucket=description.buckets["archive"],
        processed_bucket=description.buckets["processed"],
        control_bucket=description.buckets["control"],
        changes=changes,
        loads=loads,
        warehouse=warehouse_of(description),
        running_since=datetime.fromtimestamp(description.up.started, UTC),
    )
    return Collector(places, now=utc_now)


def warehouse_of(description: StackDescription) -> Warehouse:
    """The warehouse's books."""
    return Warehouse(description.warehouse_dsn, description.warehouse_schema)


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)
