"""What a second plan says on the emulator of what it answers Terraform about only in part: alarms, tags of objects.

Terraform's provider asks for alarms in CloudWatch's older protocol, and there the emulator leaves most fields out, so
every plan would change every alarm. In the newer protocol, boto3's, it tells them all: a change that would make an
alarm what it is already is none. It does not keep a composite's suppressor at all, so that is not compared.
"""

from collections.abc import Mapping, Sequence
from typing import Any

OBJECT, TAGS = "aws_s3_object", {"tags", "tags_all"}
METRIC, COMPOSITE = "aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm"
FIELDS = {
    METRIC: {
        "alarm_description": "AlarmDescription",
        "actions_enabled": "ActionsEnabled",
        "alarm_actions": "AlarmActions",
        "ok_actions": "OKActions",
        "namespace": "Namespace",
        "metric_name": "MetricName",
        "dimensions": "Dimensions",
        "statistic": "Statistic",
        "comparison_operator": "ComparisonOperator",
        "threshold": "Threshold",
        "period": "Period",
        "evaluation_periods": "EvaluationPeriods",
        "treat_missing_data": "TreatMissingData",
    },
    COMPOSITE: {
        "alarm_description": "AlarmDescription",
        "actions_enabled": "ActionsEnabled",
        "alarm_actions": "AlarmActions",
        "ok_actions": "OKActions",
        "alarm_rule": "AlarmRule",
    },
}


def as_they_are(plan: Mapping[str, Any], cloudwatch: Any) -> list[str]:
    """Addresses of the alarms that the plan would make what they are already; a boto3 client answers."""
    found = _alarms(cloudwatch)
    return [
        change["address"]
        for change in plan["resource_changes"]
        if change["type"] in FIELDS and _equal(change["type"], change["change"]["after"], found)
    ]


def tagged_already(plan: Mapping[str, Any]) -> list[str]:
    """Addresses of objects that would only get their tags: the emulator loses those of an upload in several parts."""
    return [
        change["address"]
        for change in plan["resource_changes"]
        if change["type"] == OBJECT and change["change"]["actions"] == ["update"] and _tags_alone(**change["change"])
    ]


def _tags_alone(before: Mapping[str, Any], after: Mapping[str, Any], **_: Any) -> bool:
    return {name for name in after if before.get(name) != after[name]} <= TAGS


def _alarms(cloudwatch: Any) -> Mapping[str, Mapping[str, Any]]:
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return {alarm["AlarmName"]: alarm for page in pages for alarm in (*page["MetricAlarms"], *page["CompositeAlarms"])}


def _equal(kind: str, after: Mapping[str, Any] | None, found: Mapping[str, Mapping[str, Any]]) -> bool:
    if after is None or after["alarm_name"] not in found:
        return False
    alarm = found[after["alarm_name"]]
    return all(_plain(after[ours]) == _plain(alarm.get(theirs)) for ours, theirs in FIELDS[kind].items())


def _plain(value: Any) -> Any:
    """Dimensions as one mapping, lists in any order."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        named = {each["Name"]: each["Value"] for each in value if isinstance(each, Mapping)}
        return named or sorted(value)
    return value
