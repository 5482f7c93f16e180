"""An installation seen from outside: its description becomes the adapters through which it is read and moved.

Invariant: building the adapters changes nothing, connects to nothing and reads no secret. Light to import, because
`totes status` should answer at once.
"""

from datetime import UTC, datetime
from pathlib import Path

from services.local.description import StackDescription, read_description
from services.ops.audit import AuditTrail, operator
from services.ops.command import environment
from services.ops.deployed import DeployedStack, read_deployed
from services.ops.flow import FlowReader
from services.ops.installation import Installation
from services.ops.options import UpOptions
from services.ops.status import Collector, Places, Warehouse, WorkQueue
from shared.checkpoint import CheckpointStore
from shared.errors import ConfigurationError, Unavailable
from shared.objects import ObjectStore
from shared.queues import Queue


class NothingRuns(Unavailable):
    """There is no stack to look at."""


def find(state_dir: Path | None) -> DeployedStack | StackDescription:
    """The deployment that --env names, else what runs in the state folder.

    Raises NothingRuns, ConfigurationError or Unavailable.
    """
    named = environment()
    if named is None:
        return describe(UpOptions.of(state_dir=state_dir).state_dir)
    if state_dir is not None:
        raise ConfigurationError(f"Expected --state-dir or the environment {named!r} (--env, TOTES_ENV), found both.")
    return read_deployed(named)


def describe(state_dir: Path) -> StackDescription:
    """What runs in that folder. Raises NothingRuns."""
    try:
        return read_description(state_dir)
    except ConfigurationError as exc:
        raise NothingRuns(str(exc)) from exc


def checkpoints_of(description: Installation) -> CheckpointStore:
    """The poller's checkpoint."""
    return CheckpointStore(ObjectStore(description.client("s3")), description.buckets["control"])


def trail_of(description: Installation) -> AuditTrail:
    """What operators have done to the stack, and where the next of them is written down."""
    objects = ObjectStore(description.client("s3"))
    return AuditTrail(objects, description.buckets["processed"], who=operator(), now=utc_now)


def collector_of(description: Installation) -> Collector:
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
        running_since=description.running_since,
        poller_log=description.log_of("poller"),
    )
    return Collector(places, now=utc_now)


def flow_of(description: Installation) -> FlowReader:
    """What reads the rows that a running stack loaded last."""
    return FlowReader(
        warehouse_of(description),
        ObjectStore(description.client("s3")),
        description.buckets["archive"],
        running_since=description.running_since,
    )


def warehouse_of(description: Installation) -> Warehouse:
    """The warehouse's books."""
    return Warehouse(lambda: description.warehouse_dsn, description.warehouse_schema)


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)
