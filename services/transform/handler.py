"""The transform's entry point on Lambda: an event of change batches from SQS, answered with what must stay queued.

Invariant: importing this connects to nothing; the adapters are built at the first event and serve the execution
environment's life. A second delivery of an event is handled like the first.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3

from services.transform.transform import Transform
from shared.consumer import Answer, Event, consume
from shared.objects import ObjectStore
from shared.queues import Queue
from shared.settings import Settings
from shared.telemetry import Logger, logger


@dataclass(frozen=True)
class Composition:
    """The service with the adapters its batch loop needs."""

    transform: Transform
    changes: Queue
    dead_letters: Queue
    log: Logger


def handler(event: Event, _context: Any) -> Answer:
    """Handle one event of the queue `changes` (ReportBatchItemFailures must be set)."""
    parts = composition()
    return consume(event, parts.transform.handle, queue=parts.changes, dead_letters=parts.dead_letters, log=parts.log)


@cache
def composition() -> Composition:
    """Build the service from its settings."""
    return compose(Settings(), s3=boto3.client("s3"), sqs=boto3.client("sqs"))


def compose(settings: Settings, *, s3: Any, sqs: Any) -> Composition:
    """Build the service on the clients given."""
    log = logger("transform", settings.log_level)
    loads = Queue(sqs, settings.loads_queue_url)
    return Composition(
        transform=Transform(ObjectStore(s3), processed_bucket=settings.processed_bucket, loads=loads, log=log),
        changes=Queue(sqs, settings.changes_queue_url),
        dead_letters=Queue(sqs, settings.dead_letter_queue_url),
        log=log,
    )
