"""The page of the metrics: those that the functions emit, and those of AWS that an alarm watches. Pure."""

from collections.abc import Iterator

from services.local.topology import Topology
from services.ops.contracts.documents.text import table
from shared.telemetry import METRICS, metrics_table

HEAD = """\
# Metrics

The functions emit these and no others, as lines of their log in CloudWatch's embedded format, in the namespace
`totes-<environment>` (the embedded stack: `totes`). Each line counts for the service, and for the service with its
second dimension. What is zero is not emitted: a feed at rest costs nothing.
"""
WATCHED = """\
## Of AWS, watched by an alarm

Queues and functions are measured by AWS itself. These are the metrics of theirs that an alarm looks at.
"""
ALARMS = """\
## Which alarm watches which

An alarm's threshold and what to do are in [Alarms](alarms.md).
"""


def page(described: Topology) -> str:
    """The whole page."""
    own = {metric.name for metric in METRICS}
    watched = {name: tuple(_watching(described, name)) for name in _names(described)}
    theirs = [(f"`{name}`", _linked(alarms)) for name, alarms in watched.items() if name not in own]
    ours = [(f"`{metric.name}`", _linked(watched.get(metric.name, ()))) for metric in METRICS]
    parts = (
        HEAD,
        metrics_table(),
        ALARMS,
        table(("metric", "alarms"), ours),
        WATCHED,
        table(("metric", "alarms"), theirs),
    )
    return "\n".join(parts)


def _names(described: Topology) -> Iterator[str]:
    """Each once, in the alarms' order."""
    yield from dict.fromkeys(alarm.metric for alarm in described.alarms.values())


def _watching(described: Topology, metric: str) -> Iterator[str]:
    return (name for name, alarm in described.alarms.items() if alarm.metric == metric)


def _linked(alarms: tuple[str, ...]) -> str:
    return ", ".join(f"[`{name}`](alarms.md#{name})" for name in alarms) or "none: it is for people to look at"
