"""The reconciler's function: builds its adapters once an execution environment, then reconciles once an invocation.

Invariant: importing connects to nothing. A second invocation at the same time sends the same repairs, which is
harmless. Errors are raised, so that the function's alarms see them.
"""

import time
from functools import cache
from typing import Any

import boto3

from contracts.feeds import FEEDS
from services.reconciler.progress import ProgressStore
from services.reconciler.reconcile import Adapters, Reconciler
from services.reconciler.warehouse import Warehouse
from shared.archive import Publisher
from shared.checkpoint import CheckpointStore
from shared.objects import ObjectStore
from shared.postgres import Connection
from shared.queues import Queue
from shared.secrets import Secrets, connect_by_secret
from shared.settings import Settings
from shared.telemetry import logger
from shared.totesys.session import Source

APPLICATION_NAME = "totes-reconciler"


def handler(event: object, context: object) -> dict[str, Any]:  # noqa: ARG001 - the schedule's event says nothing
    """Reconcile for one budget of time, from where the last run had come to; what was found and done."""
    return _reconciler().run().as_answer()


@cache
def _reconciler() -> Reconciler:
    """Compose the reconciler; its connections do not outlive the invocation."""
    settings = Settings()
    objects, sqs = ObjectStore(boto3.client("s3")), boto3.client("sqs")
    changes = Queue(sqs, settings.changes_queue_url)
    secrets = Secrets(boto3.client("secretsmanager"))
    adapters = Adapters(
        source=Source(
            lambda: _connect(secrets, settings.source_secret, settings, settings.lock_timeout_seconds),
            schema=settings.source_schema,
            statement_timeout_seconds=settings.statement_timeout_seconds,
            lock_timeout_seconds=settings.lock_timeout_seconds,
        ),
        warehouse=Warehouse(
            lambda: _connect(secrets, settings.warehouse_secret, settings, settings.warehouse_lock_timeout_seconds),
            settings.warehouse_schema,
        ),
        publisher=Publisher(objects, settings.archive_bucket, changes),
        checkpoints=CheckpointStore(objects, settings.control_bucket),
        progress=ProgressStore(objects, settings.control_bucket),
        queues=(changes, Queue(sqs, settings.loads_queue_url)),
        log=logger("reconciler", settings.log_level),
    )
    return Reconciler(
        feeds=list(FEEDS.values()), settings=settings, adapters=adapters, sleep=time.sleep, now=time.monotonic
    )


def _connect(secrets: Secrets, name: str, settings: Settings, lock_timeout_seconds: float) -> Connection:
    return connect_by_secret(
        secrets,
        name,
        application_name=APPLICATION_NAME,
        statement_timeout_seconds=settings.statement_timeout_seconds,
        lock_timeout_seconds=lock_timeout_seconds,
    )
