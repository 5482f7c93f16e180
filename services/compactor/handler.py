"""The compactor's function: builds its adapters once an execution environment, then compacts once an invocation.

Invariant: importing connects to nothing. A second invocation at the same time does no harm: of both the faster one
counts. Errors are raised, so that the function's alarms see them; what was done until then is kept.
"""

import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from services.compactor.compact import Compactor, Task
from shared.objects import ObjectStore
from shared.settings import Settings
from shared.telemetry import logger


def handler(event: object, context: object) -> dict[str, Any]:  # noqa: ARG001 - the schedule's event says nothing
    """Compact what is due within one budget of time; what was done, and whether something is left for the next run."""
    return composition().run(Task()).as_answer()


@cache
def composition() -> Compactor:
    """The function's compactor, from its settings alone."""
    return compose(Settings.from_environment(), s3=boto3.client("s3"))


def compose(settings: Settings, *, s3: Any) -> Compactor:
    """A compactor of the processed bucket in the settings; nothing connects yet."""
    return Compactor(
        ObjectStore(s3),
        settings.processed_bucket,
        log=logger("compactor", settings.log_level),
        now=lambda: datetime.now(UTC),
        monotonic=time.monotonic,
        budget_seconds=settings.compact_budget_seconds,
    )
