"""The transform's entry point on Lambda: an event of change batches from SQS, answered with what must stay queued.

Invariant: importing this connects to nothing; the adapters are built at the first event and serve the execution
environment's life. A second delivery of an event is handled like the first.
"""

from functools import cache
from typing import Any

import boto3

from services.transform.transform import Transform
from shared.consumer import Answer, Consumer, Event
from shared.invocation import Context, seconds_left
from shared.objects import ObjectStore, unhesitating
from shared.queues import Queue
from shared.settings import Settings
from shared.telemetry import logger

RESERVE_SECONDS = 20.0
"""A page of 50,000 rows takes one; more where S3 has to be asked again. A third of the function's timeout."""


def handler(event: Event, context: Context) -> Answer:
    """Handle one event of the queue `changes` (ReportBatchItemFailures must be set)."""
    return composition().consume(event, lambda: seconds_left(context))


@cache
def composition() -> Consumer:
    """Build the service from its settings."""
    return compose(Settings.from_environment(), s3=unhesitating(boto3.client("s3")), sqs=boto3.client("sqs"))


def compose(settings: Settings, *, s3: Any, sqs: Any) -> Consumer:
    """Build the service on the clients given."""
    log = logger("transform", settings.log_level)
    loads = Queue(sqs, settings.loads_queue_url)
    service = Transform(ObjectStore(s3), processed_bucket=settings.processed_bucket, loads=loads, log=log)
    return Consumer(
        service.handle,
        queue=Queue(sqs, settings.changes_queue_url),
        dead_letters=Queue(sqs, settings.dead_letter_queue_url),
        log=log,
        reserve_seconds=RESERVE_SECONDS,
    )
