"""The poller's function: builds its adapters once an execution environment, then polls for one invocation.

Invariant: importing connects to nothing. A second invocation at the same time finds a live owner and returns at once;
one after a death takes over from the checkpoint. Errors are raised, so that the function's alarms see them.
"""

import time
from functools import cache
from typing import Any
from uuid import uuid4

import boto3

from contracts.feeds import FEEDS
from services.poller.measured import measured
from services.poller.poller import Adapters, Poller, as_answer
from shared.archive import Publisher
from shared.checkpoint import CheckpointStore
from shared.invocation import Context, seconds_left, utc_now
from shared.objects import ObjectStore, unhesitating
from shared.postgres import Connection
from shared.queues import Queue
from shared.secrets import Secrets, connect_by_secret
from shared.settings import Settings
from shared.telemetry import emit, logger
from shared.totesys.session import Source

OWNER = f"poller-{uuid4()}"
"""This execution environment's name in the checkpoint."""
STOP_BEFORE_SECONDS = 10.0
"""Before the function's own end: longer than one feed's turn takes, so that a turn is never cut."""


def handler(event: object, context: Context) -> dict[str, Any]:  # noqa: ARG001 - the schedule's event says nothing
    """Poll until the lifetime or the invocation is nearly over; what was done."""
    poller = composition()
    left = seconds_left(context) - STOP_BEFORE_SECONDS
    try:
        summary = poller.run(min(Settings.from_environment().poll_lifetime_seconds, left), time.sleep)
    finally:
        for feed, values in measured(poller.summary, poller.checkpoint, utc_now()).items():
            emit("poller", values, of=feed)
    return as_answer(summary, poller.checkpoint)


@cache
def composition() -> Poller:
    """Compose the poller; its memory and its connection outlive the invocation."""
    settings = Settings.from_environment()
    sqs = boto3.client("sqs")
    objects = ObjectStore(unhesitating(boto3.client("s3")))
    secrets = Secrets(boto3.client("secretsmanager"))
    adapters = Adapters(
        source=Source(
            lambda: connect_to_source(secrets, settings),
            schema=settings.source_schema,
            statement_timeout_seconds=settings.statement_timeout_seconds,
            lock_timeout_seconds=settings.lock_timeout_seconds,
        ),
        publisher=Publisher(objects, settings.archive_bucket, Queue(sqs, settings.changes_queue_url)),
        checkpoints=CheckpointStore(objects, settings.control_bucket),
        log=logger("poller", settings.log_level),
    )
    feeds = list(FEEDS.values())
    return Poller(owner=OWNER, feeds=feeds, settings=settings, adapters=adapters, now=time.monotonic)


def connect_to_source(secrets: Secrets, settings: Settings) -> Connection:
    """Connect with the secret's DSN; one that is refused may have been rotated, so it is read once more.

    Raises ConfigurationError where the newest is refused too, SourceUnavailable or Unavailable for now.
    """
    return connect_by_secret(
        secrets,
        settings.source_secret,
        application_name="totes-poller",
        statement_timeout_seconds=settings.statement_timeout_seconds,
        lock_timeout_seconds=settings.lock_timeout_seconds,
    )
