"""Structured logs and metrics: one JSON object a line, one logger a service, one namespace of metrics for all.

The batch id is the logs' correlation id through all stages. A metric is a log line too (CloudWatch's embedded format),
so each costs what a line costs. Invariant: no row value and no secret is ever an argument here.
"""

from collections.abc import Mapping

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

__all__ = ["Logger", "emit_seconds", "logger"]

NAMESPACE = "totes"
"""Of every metric."""


def logger(service: str, level: str) -> Logger:
    """The logger of one service."""
    return Logger(service=service, level=level, use_rfc3339=True, utc=True)


def emit_seconds(service: str, name: str, by_feed: Mapping[str, float]) -> None:
    """Emit a metric for each feed, a line each, and the greatest without a feed, which an alarm can watch."""
    if by_feed:
        _emit_seconds(service, name, max(by_feed.values()))
    for feed, seconds in by_feed.items():
        _emit_seconds(service, name, seconds, feed=feed)


def _emit_seconds(service: str, name: str, seconds: float, **dimensions: str) -> None:
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=service)
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)
    for dimension, value in dimensions.items():
        metrics.add_dimension(dimension, value)
    metrics.flush_metrics()
