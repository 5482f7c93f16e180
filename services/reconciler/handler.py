"""The reconciler's function: builds its adapters once an execution environment, then reconciles once an invocation.

Invariant: importing connects to nothing. A second invocation at the same time sends the same repairs, which is
harmless. Errors are raised, so that the function's alarms see them.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3

from contracts.feeds import FEEDS
from services.reconciler.plan import Totals
from services.reconciler.progress import ProgressStore
from services.reconciler.reconcile import Adapters, Reconciler
from services.reconciler.warehouse import Warehouse
from shared.archive import Publisher
from shared.checkpoint import CheckpointStore
from shared.objects import ObjectStore, unhesitating
from shared.postgres import Connection
from shared.queues import Queue
from shared.secrets import Secrets, connect_by_secret
from shared.settings import Settings
from shared.telemetry import emit, logger
from shared.totesys.session import Source

APPLICATION_NAME = "totes-reconciler"
Connect = Callable[..., Connection]
"""Opens a session; takes what `shared.postgres.connect` takes beside the DSN."""


def handler(event: object, context: object) -> dict[str, Any]:  # noqa: ARG001 - the schedule's event says nothing
    """Reconcile for one budget of time, from where the last run had come to; what was found and done."""
    report = composition().run()
    for feed, totals in report.feeds.items():
        emit("reconciler", measured(totals), of=feed)
    return report.as_answer()


def measured(totals: Totals) -> dict[str, float]:
    """The metrics of one feed, only those above zero.

    What stays is found and told by every run anew, so silence clears its alarm; that the reconciler itself is silent is
    an alarm of its own.
    """
    found = {
        "drift_rows": totals.drift,
        "repaired_rows": totals.repaired,
        "held_back_rows": totals.held_back,
        "inferred_members": totals.inferred,
    }
    return {name: rows for name, rows in found.items() if rows}


@cache
def composition() -> Reconciler:
    """The function's reconciler, from its settings alone; its connections do not outlive the invocation."""
    settings, secrets = Settings.from_environment(), Secrets(boto3.client("secretsmanager"))
    return compose(
        settings,
        s3=unhesitating(boto3.client("s3")),
        sqs=boto3.client("sqs"),
        to_source=lambda **session: connect_by_secret(secrets, settings.source_secret, **session),
        to_warehouse=lambda **session: connect_by_secret(secrets, settings.warehouse_secret, **session),
    )


def compose(settings: Settings, *, s3: Any, sqs: Any, to_source: Connect, to_warehouse: Connect) -> Reconciler:
    """A reconciler of the buckets, queues and schemas in the settings; nothing connects yet."""
    objects, changes = ObjectStore(s3), Queue(sqs, settings.changes_queue_url)
    session = {"application_name": APPLICATION_NAME, "statement_timeout_seconds": settings.statement_timeout_seconds}
    adapters = Adapters(
        source=Source(
            lambda: to_source(**session, lock_timeout_seconds=settings.lock_timeout_seconds),
            schema=settings.source_schema,
            statement_timeout_seconds=settings.statement_timeout_seconds,
            lock_timeout_seconds=settings.lock_timeout_seconds,
        ),
        warehouse=Warehouse(
            lambda: to_warehouse(**session, lock_timeout_seconds=settings.warehouse_lock_timeout_seconds),
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
