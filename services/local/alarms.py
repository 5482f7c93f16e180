"""The alarms of the topology one by one, as CloudWatch has them, and the table of them for the documentation.

Invariant: equal to what terraform/modules/alarms makes of the same topology (tests/terraform holds the two together).
Pure: no clock, environment or network. A second reading gives the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from services.local.topology import Alarm, Severity, Topology

ALONE = ("schedule_dead_letters", "service")
"""Kinds of which there is one alone: it goes by the alarm's name."""
OF_FUNCTIONS = ("functions", "schedules")
OF_FEEDS = ("feeds", "loaded_feeds")
KINDS = {
    "queues": "queue",
    "dead_letter_queues": "queue, for its dead-letter queue",
    "schedule_dead_letters": "one, for the schedules' dead-letter queue",
    "functions": "function",
    "schedules": "scheduled function",
    "service": "one alone",
    "feeds": "feed",
    "loaded_feeds": "feed with a star table",
}
SENSE = {"GreaterThanThreshold": "above", "LessThanThreshold": "below"}
MISSING = {"breaching": "rings", "notBreaching": "is fine"}


@dataclass(frozen=True)
class MetricAlarm:
    """One alarm over one resource: a leaf below the composite alarm of its severity."""

    name: str
    alarm: str
    """Its name in the topology, and its section's in the runbook."""
    severity: Severity
    description: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    comparison: str
    threshold: int
    period_seconds: int
    periods: int
    missing_data: str


def metric_alarms(topology: Topology, runbook_url: str) -> Iterator[MetricAlarm]:
    """Every leaf; `runbook_url` is where docs/operations.md stands."""
    for alarm in topology.alarms:
        for resource in topology.alarmed(alarm):
            yield _leaf(topology, alarm, resource, runbook_url)


def rule(leaves: Iterable[MetricAlarm], severity: Severity) -> str:
    """The rule of a severity's composite alarm: any of its leaves."""
    return " OR ".join(f'ALARM("{name}")' for name in sorted(leaf.name for leaf in leaves if leaf.severity == severity))


def alarms_table(topology: Topology) -> str:
    """All alarms as a Markdown table, for the documentation."""
    head = ("alarm", "one for each", "severity", "when", "no data", "what the mail says")
    rows = [head, tuple("---" for _ in head), *(_cells(topology, name) for name in topology.alarms)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _leaf(topology: Topology, alarm: str, resource: str, runbook_url: str) -> MetricAlarm:
    described = topology.alarms[alarm]
    return MetricAlarm(
        name=topology.name(alarm if described.over in ALONE else f"{alarm}-{resource}"),
        alarm=alarm,
        severity=described.severity,
        description=f"{described.runbook} Runbook: {runbook_url}#{alarm}",
        namespace=_namespace(topology, described),
        metric=described.metric,
        dimensions=_dimensions(topology, described, resource),
        statistic=described.statistic,
        comparison=described.comparison,
        threshold=topology.alarm_threshold(alarm, resource),
        period_seconds=topology.alarm_period_seconds(alarm, resource),
        periods=described.periods,
        missing_data=described.missing_data,
    )


def _namespace(topology: Topology, described: Alarm) -> str:
    if described.service is not None:
        return topology.prefix
    return "AWS/Lambda" if described.over in OF_FUNCTIONS else "AWS/SQS"


def _dimensions(topology: Topology, described: Alarm, resource: str) -> dict[str, str]:
    if described.service is not None:
        feed = {"feed": resource} if described.over in OF_FEEDS else {}
        return {"service": described.service, **feed}
    if described.over in OF_FUNCTIONS:
        return {"FunctionName": topology.name(resource)}
    return {"QueueName": topology.name(resource) if described.over == "queues" else topology.dead_letter_name(resource)}


def _cells(topology: Topology, name: str) -> tuple[str, ...]:
    described = topology.alarms[name]
    over, no_data = KINDS[described.over], MISSING[described.missing_data]
    return (f"`{name}`", over, described.severity, when(described), no_data, described.runbook)


def when(described: Alarm) -> str:
    """Of an hourly function one period is an hour, see Topology.alarm_period_seconds."""
    value = f"{described.threshold:,}" + (" % of the timeout" if described.threshold_of else "")
    least = "at least " if described.over in OF_FUNCTIONS else ""
    times = "in" if described.periods == 1 else f"{described.periods} times running, each in"
    sense = SENSE[described.comparison]
    return f"`{described.metric}` ({described.statistic}) {sense} {value}, {times} {least}{described.period_seconds} s"
