"""Structured logs and metrics: one JSON object a line, one logger a service, one namespace of metrics for all.

Every line about a change batch, or about a load batch made of it, carries the change batch's id under one constant key,
`batch`, in every stage: poller "published", transform "transformed", loader "loaded", consumers "parked", "handed back"
and "not tried", reconciler "published". It is passed line by line and not appended to the logger, since one invocation
handles many batches. A metric is a log line too (CloudWatch's embedded format, about 30 µs like any line), so each
costs what a line costs, and no rows emit no line. Invariant: no row value and no secret is ever an argument here. A
second delivery counts again: metrics say what was done, the warehouse's books say what is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

__all__ = ["BATCH", "METRICS", "NAMESPACE", "Logger", "Metric", "emit", "logger", "metrics_table"]

NAMESPACE = "totes"
"""Of every metric, unless Powertools finds another in its POWERTOOLS_METRICS_NAMESPACE.

Each deployment has one of its own, so that two in one account never share an alarm.
"""
BATCH = "batch"
"""The logs' correlation key: the id of the change batch a line is about."""

Statistic = Literal["Sum", "Maximum", "Average"]


@dataclass(frozen=True)
class Metric:
    """One metric: its unit, the dimension it has beside `service` (None: no other), how to add it up, who emits it.

    Each line counts for the service as a whole and for the service with the dimension, so an alarm needs no sum.
    """

    name: str
    unit: MetricUnit
    dimension: str | None
    statistic: Statistic
    services: tuple[str, ...]
    meaning: str


_COUNT, _SECONDS, _RATE = MetricUnit.Count, MetricUnit.Seconds, MetricUnit.CountPerSecond

METRICS = (
    Metric(
        "rows_captured", _COUNT, "feed", "Sum", ("poller",), "Rows and deletions one invocation put into the archive."
    ),
    Metric(
        "as_of_age_seconds",
        _SECONDS,
        "feed",
        "Maximum",
        ("poller",),
        "The function's clock minus as of, when an invocation ends: nothing committed before it is missing. Of the "
        "oldest feed always, of a feed by itself above a minute.",
    ),
    Metric(
        "look_back_seconds",
        _SECONDS,
        "feed",
        "Maximum",
        ("poller",),
        "How far back polls must read, at the most of one invocation: the age of the oldest open transaction. Of a "
        "feed by itself above a minute.",
    ),
    Metric(
        "rows_quarantined", _COUNT, "feed", "Sum", ("transform",), "Rows of one change batch that broke their contract."
    ),
    Metric("rows_loaded", _COUNT, "feed", "Sum", ("loader",), "Rows and deletions one transaction brought in as new."),
    Metric(
        "rows_per_second",
        _RATE,
        "feed",
        "Average",
        ("loader",),
        "The same rows over the seconds from reading their objects to the commit.",
    ),
    Metric(
        "freshness_seconds",
        _SECONDS,
        "feed",
        "Maximum",
        ("loader",),
        "The commit minus the source clock when the rows were not yet visible: the greatest of polls and scans.",
    ),
    Metric(
        "heartbeat_age_seconds",
        _SECONDS,
        None,
        "Maximum",
        ("loader",),
        "The loader's clock minus the source clock of a heartbeat that came through every stage: none is the alarm.",
    ),
    Metric("drift_rows", _COUNT, "feed", "Sum", ("reconciler",), "Rows one run found to differ from the source."),
    Metric("repaired_rows", _COUNT, "feed", "Sum", ("reconciler",), "Rows and deletions one run sent to mend them."),
    Metric(
        "held_back_rows",
        _COUNT,
        "feed",
        "Maximum",
        ("reconciler",),
        "Deletions that one run found to be too many to be sent unasked.",
    ),
    Metric(
        "inferred_members",
        _COUNT,
        "feed",
        "Maximum",
        ("reconciler",),
        "Members of a dimension that one run met, inferred long ago and described by no row since.",
    ),
    Metric(
        "parked_messages",
        _COUNT,
        "cause",
        "Sum",
        ("transform", "loader"),
        "Messages parked for their cause; those that SQS redrives itself are seen in the dead-letter queue alone.",
    ),
)
"""Every metric there is. Nothing else is emitted."""
_BY_NAME = {metric.name: metric for metric in METRICS}


def logger(service: str, level: str) -> Logger:
    """The logger of one service."""
    return Logger(service=service, level=level, use_rfc3339=True, utc=True)


def emit(service: str, values: Mapping[str, float], of: str = "") -> None:
    """Emit metrics in one line: for the service, and for the service with their dimension, whose value is `of`.

    All of them must have the same dimension; `of` is empty for those that have none, and for the service alone.
    """
    if not values:
        return
    [dimension] = {_BY_NAME[name].dimension for name in values}
    metrics = EphemeralMetrics(service=service)
    metrics.namespace = metrics.namespace or NAMESPACE
    for name, value in values.items():
        metrics.add_metric(name=name, unit=_BY_NAME[name].unit, value=value)
    if dimension is not None and of:
        metrics.add_dimensions(**{"service": service, dimension: of})
    metrics.flush_metrics()


def metrics_table() -> str:
    """All metrics as a Markdown table, for the documentation."""
    head = ("metric", "unit", "statistic", "dimensions", "emitted by", "meaning")
    rows = [head, tuple("---" for _ in head), *map(_cells, METRICS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(metric: Metric) -> tuple[str, ...]:
    dimensions = "service" if metric.dimension is None else f"service; service and {metric.dimension}"
    services = ", ".join(metric.services)
    return (f"`{metric.name}`", metric.unit.value, metric.statistic, dimensions, services, metric.meaning)
