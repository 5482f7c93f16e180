"""Read the facts about an account's resources: heads, lists and attributes, nothing that writes. Nothing is decided.

Invariant: a resource that is missing is a fact; a service that does not answer raises Unavailable.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from services.local.deploy import Clients
from services.local.topology import Topology
from services.ops.doctor.resources import AlarmFacts, BucketFacts, FunctionFacts, QueueFacts, TopicFacts
from shared.errors import Unavailable

MISSING = frozenset(
    {
        "404",
        "NoSuchBucket",
        "NoSuchPublicAccessBlockConfiguration",
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "NotFound",
    }
)
"""Error codes that say: there is none."""
UNKNOWN = frozenset({"NotImplemented", "MethodNotAllowed", "UnknownOperationException", "InvalidAction"})
"""Error codes of an emulator that does not play this."""
T = TypeVar("T")


class _Nothing(Exception):
    """What was asked for is not there."""


@dataclass(frozen=True)
class Account:
    """Clients of one account, and the names of the installation's resources in it."""

    clients: Clients
    topology: Topology
    buckets: Mapping[str, str]
    """Name in the topology -> bucket."""
    queues: Mapping[str, str]
    dead_letter_queues: Mapping[str, str]
    embedded: bool

    def bucket(self, name: str) -> BucketFacts:
        """One bucket."""
        s3, bucket = self.clients.client("s3"), self.buckets[name]
        if _asked(lambda: s3.head_bucket(Bucket=bucket)) is None:
            return BucketFacts(exists=False)
        versioning = _asked(lambda: s3.get_bucket_versioning(Bucket=bucket)) or {}
        blocks = _asked(lambda: s3.get_public_access_block(Bucket=bucket)) or {}
        blocked = blocks.get("PublicAccessBlockConfiguration", {})
        return BucketFacts(
            exists=True,
            versioned=versioning.get("Status") == "Enabled",
            public_blocked=bool(blocked) and all(blocked.values()),
        )

    def queue(self, name: str) -> QueueFacts:
        """One queue and its dead-letter queue."""
        own = self._attributes(self.queues[name])
        parked = self._attributes(self.dead_letter_queues[name]) or {}
        if own is None:
            return QueueFacts(exists=False)
        redrive = json.loads(own.get("RedrivePolicy") or "{}")
        return QueueFacts(
            exists=True,
            visibility_seconds=_number(own.get("VisibilityTimeout")),
            retention_seconds=_number(own.get("MessageRetentionPeriod")),
            max_receives=_number(redrive.get("maxReceiveCount")),
            dead_letters_arn=redrive.get("deadLetterTargetArn"),
            own_dead_letters_arn=parked.get("QueueArn"),
            dead_letters_retention_seconds=_number(parked.get("MessageRetentionPeriod")),
        )

    def function(self, name: str) -> FunctionFacts:
        """One function and what calls it."""
        client, deployed = self.clients.client("lambda"), self.topology.name(name)
        found = _asked(lambda: client.get_function_configuration(FunctionName=deployed))
        if found is None:
            return FunctionFacts()
        mapping = self._mapping(name)
        return FunctionFacts(
            state=str(found.get("State") or ""),
            timeout_seconds=_number(found.get("Timeout")),
            mapping_state=mapping.get("State"),
            batch_size=_number(mapping.get("BatchSize")),
            answers_items="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ()),
            schedule_state=self._schedule(name),
        )

    def alarms(self) -> tuple[list[AlarmFacts], list[TopicFacts]]:
        """The installation's alarms, and the topics they speak to; none of either in the embedded stack."""
        if self.embedded:
            return [], []
        with _answering():
            pages = (
                self.clients.client("cloudwatch")
                .get_paginator("describe_alarms")
                .paginate(AlarmNamePrefix=f"{self.topology.prefix}-")
            )
            found = [alarm for page in pages for alarm in page["MetricAlarms"]]
        topics = sorted({topic for alarm in found for topic in alarm["AlarmActions"] if ":sns:" in topic})
        return [_alarm(alarm) for alarm in found], [self._topic(topic) for topic in topics]

    def _attributes(self, url: str) -> dict[str, str] | None:
        sqs = self.clients.client("sqs")
        found = _asked(lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))
        return None if found is None else found["Attributes"]

    def _mapping(self, name: str) -> dict[str, Any]:
        """The function's event source mapping, the enabled one if there are more."""
        if name not in self.topology.event_source_mappings:
            return {}
        client, deployed = self.clients.client("lambda"), self.topology.name(name)
        found = (_asked(lambda: client.list_event_source_mappings(FunctionName=deployed)) or {}).get(
            "EventSourceMappings", []
        )
        return min(found, key=lambda mapping: mapping.get("State") != "Enabled", default={})

    def _schedule(self, name: str) -> str | None:
        if name not in self.topology.schedules:
            return None
        scheduler, named = self.clients.client("scheduler"), self.topology.name(name)
        found = _asked(lambda: scheduler.get_schedule(Name=named))
        return None if found is None else str(found.get("State", "ENABLED"))

    def _topic(self, arn: str) -> TopicFacts:
        with _answering():
            pages = self.clients.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
            arns = [each["SubscriptionArn"] for page in pages for each in page["Subscriptions"]]
        pending = sum(not each.startswith("arn:") for each in arns)
        return TopicFacts(arn.rpartition(":")[2], confirmed=len(arns) - pending, pending=pending)


def _alarm(alarm: Mapping[str, Any]) -> AlarmFacts:
    acts = bool(alarm["ActionsEnabled"] and alarm["AlarmActions"])
    return AlarmFacts(alarm["AlarmName"], alarm.get("MetricName", ""), alarm["StateValue"], acts)


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _asked(ask: Callable[[], T]) -> T | None:
    """The answer, None where there is no such thing. Raises Unavailable."""
    try:
        with _answering():
            return ask()
    except _Nothing:
        return None


@contextmanager
def _answering() -> Iterator[None]:
    """AWS's errors in words."""
    try:
        yield
    except ClientError as exc:
        if exc.response["Error"]["Code"] in MISSING | UNKNOWN:
            raise _Nothing from exc
        raise Unavailable(f"AWS refused to be looked at: {exc}.") from exc
    except BotoCoreError as exc:
        raise Unavailable(f"AWS did not answer: {exc}.") from exc
