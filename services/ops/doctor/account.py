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
from services.local.topology import SCHEDULE_DEAD_LETTERS, Topology
from services.ops.doctor.alarms import AlarmFacts, TopicFacts
from services.ops.doctor.resources import BucketFacts, FunctionFacts, QueueFacts, SecretFacts
from shared.errors import Unavailable

MISSING = frozenset(
    {
        "404",
        "NoSuchBucket",
        "NoSuchPublicAccessBlockConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
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
            return BucketFacts(bucket, exists=False)
        versioning = _asked(lambda: s3.get_bucket_versioning(Bucket=bucket)) or {}
        blocks = _asked(lambda: s3.get_public_access_block(Bucket=bucket)) or {}
        blocked = blocks.get("PublicAccessBlockConfiguration", {})
        encryption = _asked(lambda: s3.get_bucket_encryption(Bucket=bucket)) or {}
        return BucketFacts(
            bucket,
            exists=True,
            versioned=versioning.get("Status") == "Enabled",
            public_blocked=bool(blocked) and all(blocked.values()),
            encrypted=bool(encryption.get("ServerSideEncryptionConfiguration", {}).get("Rules")),
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
            update=str(found.get("LastUpdateStatus") or ""),
            runtime=str(found.get("Runtime") or ""),
            timeout_seconds=_number(found.get("Timeout")),
            mapping_state=mapping.get("State"),
            batch_size=_number(mapping.get("BatchSize")),
            answers_items="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ()),
            schedule_state=self._schedule(name),
        )

    def secret(self, name: str) -> SecretFacts:
        """One secret; its value is not read, only whether it has one."""
        client, named = self.clients.client("secretsmanager"), self.topology.secret_name(name)
        found = _asked(lambda: client.describe_secret(SecretId=named))
        if found is None:
            return SecretFacts(exists=False)
        stages = [stage for stages in found.get("VersionIdsToStages", {}).values() for stage in stages]
        return SecretFacts(exists=True, has_value="AWSCURRENT" in stages)

    def undelivered(self) -> int | None:
        """Invocations that EventBridge could not make; None where the queue that keeps them is not there."""
        sqs, named = self.clients.client("sqs"), self.topology.dead_letter_name(SCHEDULE_DEAD_LETTERS)
        found = _asked(lambda: sqs.get_queue_url(QueueName=named))
        kept = None if found is None else self._attributes(found["QueueUrl"])
        return None if kept is None else int(kept.get("ApproximateNumberOfMessages", 0))

    def metrics(self) -> frozenset[str]:
        """Names of the pipeline's own metrics that had a value within three hours."""
        pages = self.clients.client("cloudwatch").get_paginator("list_metrics")
        with _answering():
            found = pages.paginate(Namespace=self.topology.prefix, RecentlyActive="PT3H")
            return frozenset(metric["MetricName"] for page in found for metric in page["Metrics"])

    def alarms(self) -> dict[str, AlarmFacts]:
        """Alarms of the prefix by their names, those of a prefix that only begins alike among them."""
        pages = self.clients.client("cloudwatch").get_paginator("describe_alarms")
        with _answering():
            found = [
                alarm
                for page in pages.paginate(
                    AlarmNamePrefix=f"{self.topology.prefix}-", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
                )
                for kind in ("MetricAlarms", "CompositeAlarms")
                for alarm in page.get(kind, ())
            ]
        return {alarm["AlarmName"]: _alarm(alarm) for alarm in found}

    def topic(self, arn: str) -> TopicFacts | None:
        """Who listens to a topic; None where there is no such topic."""
        sns = self.clients.client("sns")
        pages = sns.get_paginator("list_subscriptions_by_topic")
        arns = _asked(
            lambda: [one["SubscriptionArn"] for page in pages.paginate(TopicArn=arn) for one in page["Subscriptions"]]
        )
        if arns is None:
            return None
        pending = sum(not each.startswith("arn:") for each in arns)
        return TopicFacts(arn.rpartition(":")[2], confirmed=len(arns) - pending, pending=pending)

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


def _alarm(alarm: Mapping[str, Any]) -> AlarmFacts:
    """What an alarm whose actions are switched off would tell, it tells nobody."""
    actions = alarm.get("AlarmActions", ()) if alarm.get("ActionsEnabled") else ()
    topics = tuple(action for action in actions if ":sns:" in action)
    return AlarmFacts(alarm["AlarmName"], alarm["StateValue"], topics, alarm.get("AlarmRule", ""))


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
