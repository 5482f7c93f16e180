"""Terraform's alarms against the topology's, and its dashboard against the metrics there are, without an account."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from services.local.alarms import MetricAlarm, metric_alarms, rule
from services.local.topology import topology
from shared.telemetry import METRICS
from tests.terraform.conftest import Plans

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("plans")]  # `terraform init` may fetch its provider

RUNBOOK = "https://example.com/totes/docs/operations.md"
"""As the plans are given it."""
DEPLOYED = topology().model_copy(update={"prefix": "totes-prod"})
MEASURED_BY_AWS = {
    "AWS/SQS": ({"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}, ("QueueName",)),
    "AWS/Lambda": ({"Duration", "Errors", "Invocations", "Throttles"}, ("FunctionName",)),
    "AWS/S3": ({"NumberOfObjects"}, ("BucketName", "StorageType")),
}
Planned = Mapping[str, list[Mapping[str, Any]]]
"""Type of resource -> what will be made."""


@pytest.fixture(scope="session")
def planned(plans: Plans) -> Planned:
    """What the pipeline's root makes as it is by default."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for change in plans["as_it_is_by_default"]["resource_changes"]:
        found.setdefault(change["type"], []).append(change["change"]["after"])
    return found


def as_planned(leaf: MetricAlarm) -> dict[str, Any]:
    return {
        "alarm_name": leaf.name,
        "alarm_description": leaf.description,
        "namespace": leaf.namespace,
        "metric_name": leaf.metric,
        "dimensions": dict(leaf.dimensions),
        "statistic": leaf.statistic,
        "comparison_operator": leaf.comparison,
        "threshold": leaf.threshold,
        "period": leaf.period_seconds,
        "evaluation_periods": leaf.periods,
        "treat_missing_data": leaf.missing_data,
    }


def test_terraform_makes_exactly_the_alarms_that_the_topology_describes(planned: Planned):
    expected = {leaf.name: as_planned(leaf) for leaf in metric_alarms(DEPLOYED, RUNBOOK)}

    made = {alarm["alarm_name"]: alarm for alarm in planned["aws_cloudwatch_metric_alarm"]}

    assert made.keys() == expected.keys()
    for name, leaf in expected.items():
        assert {key: made[name][key] for key in leaf} == leaf


def test_each_composite_is_over_the_leaves_of_its_severity(planned: Planned):
    leaves = tuple(metric_alarms(DEPLOYED, RUNBOOK))

    rules = {alarm["alarm_name"]: alarm["alarm_rule"] for alarm in planned["aws_cloudwatch_composite_alarm"]}

    assert rules == {f"totes-prod-{severity}": rule(leaves, severity) for severity in ("critical", "warning")}


def widgets(planned: Planned) -> list[dict[str, Any]]:
    [dashboard] = planned["aws_cloudwatch_dashboard"]
    found: list[dict[str, Any]] = json.loads(dashboard["dashboard_body"])["widgets"]
    return found


def shown(planned: Planned) -> Iterator[tuple[str, str, dict[str, str], str]]:
    """Namespace, name, dimensions and statistic of every metric on the dashboard."""
    for widget in widgets(planned):
        for namespace, name, *dimensions, how in widget["properties"].get("metrics", ()):
            yield namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True)), how["stat"]


def test_every_metric_of_the_dashboard_is_one_that_somebody_emits_with_dimensions_it_has(planned: Planned):
    ours = {(metric.name, service): metric for metric in METRICS for service in metric.services}

    for namespace, name, dimensions, _ in shown(planned):
        if namespace in MEASURED_BY_AWS:
            names, keys = MEASURED_BY_AWS[namespace]
            assert name in names
            assert tuple(dimensions) == keys
        else:
            metric = ours[name, dimensions["service"]]
            assert namespace == "totes-prod"
            assert tuple(dimensions) in (("service",), ("service", metric.dimension))


def test_the_dashboard_shows_whatever_an_alarm_watches_and_the_state_of_every_alarm(planned: Planned):
    def watched(namespace: str, name: str, dimensions: Mapping[str, str]) -> tuple[Any, ...]:
        return namespace, name, tuple(sorted(dimensions.items()))

    seen = {watched(*metric) for *metric, _ in shown(planned)}
    leaves = tuple(metric_alarms(DEPLOYED, RUNBOOK))
    [status] = [widget for widget in widgets(planned) if widget["type"] == "alarm"]
    names = [arn.rpartition(":")[2] for arn in status["properties"]["alarms"]]

    assert {leaf.name for leaf in leaves if watched(leaf.namespace, leaf.metric, leaf.dimensions) not in seen} == set()
    assert sorted(names) == sorted(["totes-prod-critical", "totes-prod-warning", *(leaf.name for leaf in leaves)])


def test_no_two_widgets_lie_upon_each_other(planned: Planned):
    taken = [
        (x, y)
        for widget in widgets(planned)
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]

    assert len(taken) == len(set(taken))
    assert {x for x, _ in taken} == set(range(24))
