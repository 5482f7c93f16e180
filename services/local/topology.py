"""The topology as it stands in terraform/topology.yaml, checked, and what follows from it.

Invariant: a number that follows from another is derived here, exactly as Terraform derives it, and typed nowhere.
Pure: reading the file aside, no clock, environment or network. A second reading gives the same.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from contracts.feeds import FEEDS
from shared.consumer import delay_seconds
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.telemetry import METRICS

FILE = Path(__file__).parents[2] / "terraform" / "topology.yaml"
DAY_SECONDS = 24 * 3600
MINUTE_SECONDS = 60
HOUR_SECONDS = 3600
LONGEST_VISIBILITY_SECONDS = 12 * 3600
"""Of a message in SQS; a longer one is refused."""

SCHEDULE_DEAD_LETTERS = "schedules"
"""Whose dead-letter queue keeps the invocations that EventBridge could not make."""
PERCENT = 100
MILLISECONDS = 1000
LONGEST_RUNBOOK = 700
"""Characters; with the address of its section it stays below the 1,024 that CloudWatch takes for a description."""

Severity = Literal["critical", "warning"]
Positive = Annotated[int, Field(ge=1)]
Distribution = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
"""A third-party package by its normalised name; which version of it, the lock says."""


class Part(BaseModel):
    """Base of the topology's parts: immutable, and a word it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rules(Part):
    """Numbers from which others follow."""

    visibility_per_timeout: Annotated[int, Field(ge=6)]
    """AWS asks for six: a batch may be throttled and tried again before its messages become visible."""
    outage_hours: Annotated[int, Field(ge=12)]
    shutdown_seconds: Positive
    handover_seconds: Positive
    schedule_late_seconds: Annotated[int, Field(ge=0, multiple_of=60)]
    quarantine_days: Positive
    replaced_days: Annotated[int, Field(ge=7)]
    """A mistake of Friday is seen on Monday."""
    upload_days: Positive


class Lambda(Part):
    """What all functions run on, and how long their logs are kept."""

    runtime: Annotated[str, Field(pattern=r"^python3\.\d+$")]
    architecture: Literal["arm64", "x86_64"]
    log_retention_days: Positive

    @property
    def python_version(self) -> str:
        """The runtime's Python, as 3.13."""
        return self.runtime.removeprefix("python")


class Named(Part):
    """A resource of which nothing is decided but that it is there, and what for."""

    purpose: str


class Bucket(Named):
    """A bucket; versioned where objects are written once."""

    versioned: bool


class WorkQueue(Named):
    """A standard queue with its dead-letter queue."""

    retention_days: Annotated[int, Field(ge=1, le=14)]
    dead_letter_retention_days: Annotated[int, Field(ge=1, le=14)]
    max_receive_count: Annotated[int, Field(ge=1, le=1000)]

    @model_validator(mode="after")
    def _parked_messages_outlive_waiting_ones(self) -> Self:
        """A parked message keeps its first enqueue time, so a shorter dead-letter queue would delete it early."""
        if self.dead_letter_retention_days <= self.retention_days:
            raise ValueError(
                f"expected dead_letter_retention_days above retention_days ({self.retention_days}), "
                f"found {self.dead_letter_retention_days}"
            )
        return self

    @property
    def retention_seconds(self) -> int:
        """How long a message may wait."""
        return self.retention_days * DAY_SECONDS

    @property
    def dead_letter_retention_seconds(self) -> int:
        """How long a message stays parked, counted from its first enqueueing."""
        return self.dead_letter_retention_days * DAY_SECONDS

    @property
    def endurance_seconds(self) -> int:
        """From a message's first receive to its last, if every one of them hands it back."""
        return sum(delay_seconds(receive) for receive in range(1, self.max_receive_count))


class Layer(Named):
    """Distributions, with all they need, that several functions share."""

    requirements: Annotated[tuple[Distribution, ...], Field(min_length=1)]


class Function(Part):
    """A Lambda function; `environment` names the fields of shared.settings.Settings it is told.

    `requirements` are the distributions that its code imports itself and that none of its `layers` holds.
    """

    handler: Annotated[str, Field(pattern=r"^services\.[a-z_]+\.handler\.handler$")]
    memory_mb: Annotated[int, Field(ge=256, le=10_240)]
    timeout_seconds: Annotated[int, Field(ge=1, le=900)]
    layers: tuple[str, ...]
    requirements: tuple[Distribution, ...]
    environment: tuple[str, ...]

    @field_validator("environment")
    @classmethod
    def _settings_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(names) - set(Settings.model_fields)
        if unknown:
            raise ValueError(f"expected fields of shared.settings.Settings, found {sorted(unknown)}")
        return names


class EventSourceMapping(Part):
    """How a function consumes a queue. SQS lambdas without a batching window take ten messages at most."""

    queue: str
    batch_size: Annotated[int, Field(ge=1, le=10)]
    maximum_concurrency: Annotated[int, Field(ge=2, le=1000)]
    function_response_types: tuple[Literal["ReportBatchItemFailures"]]
    """Without it messages that failed would be deleted."""


class Schedule(Part):
    """When EventBridge invokes the function of the same name."""

    every_minutes: Positive


class Feeds(Part):
    """The names of contracts.feeds.FEEDS, which Terraform cannot read."""

    loaded: tuple[str, ...]
    archived: tuple[str, ...]
    """Those without a star table."""

    @model_validator(mode="after")
    def _they_are_those_of_the_contracts(self) -> Self:
        """A feed that is missing here would have no alarm."""
        for named, star in ((self.loaded, True), (self.archived, False)):
            expected = sorted(feed.name for feed in FEEDS.values() if (feed.star is not None) == star)
            if sorted(named) != expected:
                raise ValueError(f"expected the feeds {expected} of contracts/feeds.py, found {sorted(named)}")
        return self


class Alarm(Part):
    """One alarm for each resource of a kind; the period is the least one.

    `service` emits the metric itself (shared.telemetry); without one AWS measures it.
    """

    severity: Severity
    over: Literal[
        "queues",
        "dead_letter_queues",
        "schedule_dead_letters",
        "functions",
        "schedules",
        "service",
        "feeds",
        "loaded_feeds",
    ]
    service: str | None = None
    metric: str
    statistic: Literal["Maximum", "Minimum", "Sum"]
    comparison: Literal["GreaterThanThreshold", "LessThanThreshold"]
    threshold: Annotated[int, Field(ge=0)]
    threshold_of: Literal["timeout"] | None = None
    """Of what the threshold is a percentage, if it is one."""
    period_seconds: Annotated[int, Field(ge=60, multiple_of=60)]
    periods: Positive
    missing_data: Literal["breaching", "notBreaching"]
    runbook: Annotated[str, Field(min_length=40, max_length=LONGEST_RUNBOOK)]

    @model_validator(mode="after")
    def _its_metric_exists(self) -> Self:
        """A metric of a service is one that this service emits for what the alarm is over; else it is AWS's."""
        ours = self.over in ("service", "feeds", "loaded_feeds")
        if ours != (self.service is not None):
            raise ValueError(f"expected a service for metrics of our own and only for them, over {self.over}")
        known = {metric.name: metric for metric in METRICS if self.service in metric.services}
        if ours and self.metric not in known:
            raise ValueError(f"expected a metric that {self.service} emits, found {self.metric}")
        if ours and self.over != "service" and known[self.metric].dimension != "feed":
            raise ValueError(f"expected a metric of a feed, found {self.metric}")
        return self

    @model_validator(mode="after")
    def _only_functions_have_a_timeout(self) -> Self:
        if self.threshold_of == "timeout" and (self.over != "functions" or self.threshold >= PERCENT):
            raise ValueError("expected a threshold below 100 % of a timeout, over functions")
        return self


class Topology(Part):
    """All of it; every reference is checked, so that neither Terraform nor the embedded stack meets a dangling one."""

    prefix: Annotated[str, Field(pattern="^[a-z][a-z0-9-]*$")]
    platform: Lambda = Field(alias="lambda")
    rules: Rules
    buckets: Mapping[str, Bucket]
    queues: Mapping[str, WorkQueue]
    secrets: Mapping[str, Named]
    layers: Mapping[str, Layer]
    functions: Mapping[str, Function]
    event_source_mappings: Mapping[str, EventSourceMapping]
    schedules: Mapping[str, Schedule]
    feeds: Feeds
    alarms: Mapping[str, Alarm]

    @model_validator(mode="after")
    def _references_exist(self) -> Self:
        unknown = {*self.event_source_mappings, *self.schedules} - set(self.functions)
        unknown |= {mapping.queue for mapping in self.event_source_mappings.values()} - set(self.queues)
        unknown |= {layer for function in self.functions.values() for layer in function.layers} - set(self.layers)
        if unknown:
            raise ValueError(f"expected names of functions, queues and layers described here, found {sorted(unknown)}")
        return self

    @model_validator(mode="after")
    def _no_function_holds_what_its_layers_hold(self) -> Self:
        """A second copy would hide the layer's, and the two may differ."""
        for name, function in self.functions.items():
            twice = set(function.requirements) & {
                held for layer in function.layers for held in self.layers[layer].requirements
            }
            if twice:
                raise ValueError(f"{name} requires {sorted(twice)}, which its layers hold: leave it to them")
        return self

    @model_validator(mode="after")
    def _each_queue_has_one_consumer(self) -> Self:
        consumed = sorted(mapping.queue for mapping in self.event_source_mappings.values())
        if consumed != sorted(self.queues):
            raise ValueError(f"expected one event source mapping for each of {sorted(self.queues)}, found {consumed}")
        return self

    @model_validator(mode="after")
    def _messages_outlast_the_outage(self) -> Self:
        """Neither the receives nor the retention may use a message up while the warehouse is away."""
        outage_seconds = self.rules.outage_hours * 3600
        for name, queue in self.queues.items():
            if min(queue.endurance_seconds, queue.retention_seconds) <= outage_seconds:
                raise ValueError(
                    f"expected a message of {name} to outlast {outage_seconds} s, found {queue.endurance_seconds} s "
                    f"of receives and {queue.retention_seconds} s of retention: raise max_receive_count or retention"
                )
        return self

    @model_validator(mode="after")
    def _quarantined_rows_outlive_dead_letters(self) -> Self:
        """Whoever looks at a dead letter looks at the quarantined rows beside it."""
        for name, queue in self.queues.items():
            if self.rules.quarantine_days <= queue.dead_letter_retention_days:
                raise ValueError(
                    f"expected quarantine_days above dead_letter_retention_days of {name} "
                    f"({queue.dead_letter_retention_days}), found {self.rules.quarantine_days}"
                )
        return self

    @model_validator(mode="after")
    def _alarms_look_back_no_longer_than_cloudwatch_does(self) -> Self:
        """A day; a week where a period is an hour or more."""
        for name, alarm in self.alarms.items():
            for resource in self.alarmed(name):
                period = self.alarm_period_seconds(name, resource)
                longest = 7 * DAY_SECONDS if period >= HOUR_SECONDS else DAY_SECONDS
                if period * alarm.periods > longest:
                    raise ValueError(f"{name} of {resource} looks back {period * alarm.periods} s, over {longest} s")
        return self

    @model_validator(mode="after")
    def _a_poller_that_lives_as_long_as_it_may_is_not_slow(self) -> Self:
        """It is the one function that by design takes nearly all of its timeout."""
        slow = [alarm for alarm in self.alarms.values() if alarm.threshold_of == "timeout"]
        for name in self.schedules:
            function = self.functions[name]
            if "poll_lifetime_seconds" not in function.environment:
                continue
            percent = self.poll_lifetime_seconds(name) * PERCENT / function.timeout_seconds
            if any(alarm.threshold <= percent for alarm in slow):
                raise ValueError(f"expected an alarm above the {percent:.0f} % of its timeout that {name} lives for")
        return self

    @model_validator(mode="after")
    def _visibility_is_one_that_sqs_allows(self) -> Self:
        for name in self.queues:
            if self.visibility_timeout_seconds(name) > LONGEST_VISIBILITY_SECONDS:
                raise ValueError(f"the consumer of {name} may run too long: SQS hides a message for 12 hours at most")
        return self

    def consumer(self, queue: str) -> str:
        """The function that consumes a queue."""
        return next(name for name, mapping in self.event_source_mappings.items() if mapping.queue == queue)

    def visibility_timeout_seconds(self, queue: str) -> int:
        """How long a received message stays hidden: a multiple of its consumer's timeout."""
        return self.rules.visibility_per_timeout * self.functions[self.consumer(queue)].timeout_seconds

    def poll_lifetime_seconds(self, function: str) -> int:
        """How long one invocation goes on: whole periods of its schedule within its timeout, less the handover."""
        period = self.schedules[function].every_minutes * MINUTE_SECONDS
        longest = self.functions[function].timeout_seconds - self.rules.shutdown_seconds
        return longest // period * period - self.rules.handover_seconds

    def alarm_period_seconds(self, alarm: str, resource: str) -> int:
        """What one alarm counts over: the alarm's period, or one in which its function's schedule has surely fired.

        A function that runs once an hour is silent for an hour, and never fails in three minutes running.
        """
        found = self.alarms[alarm]
        if found.over not in ("functions", "schedules") or resource not in self.schedules:
            return found.period_seconds
        fired_seconds = self.schedules[resource].every_minutes * MINUTE_SECONDS + self.rules.schedule_late_seconds
        return max(found.period_seconds, fired_seconds)

    def alarm_threshold(self, alarm: str, resource: str) -> int:
        """What one alarm's metric is held against: of a timeout its share in milliseconds, as Lambda measures."""
        found = self.alarms[alarm]
        if found.threshold_of is None:
            return found.threshold
        return found.threshold * self.functions[resource].timeout_seconds * MILLISECONDS // PERCENT

    def alarmed(self, alarm: str) -> tuple[str, ...]:
        """The resources that an alarm is over; a dead-letter queue goes by its queue's name, a lone one by its kind's.

        A metric of a service has the service for its resource.
        """
        found = self.alarms[alarm]
        of: Mapping[str, Iterable[str]] = {
            "queues": self.queues,
            "dead_letter_queues": self.queues,
            "schedule_dead_letters": (SCHEDULE_DEAD_LETTERS,),
            "functions": self.functions,
            "schedules": self.schedules,
            "service": (found.service or "",),
            "feeds": (*self.feeds.loaded, *self.feeds.archived),
            "loaded_feeds": self.feeds.loaded,
        }
        return tuple(of[found.over])

    def name(self, part: str) -> str:
        """Of a queue or function in its account; of a bucket before what makes it unique in the world."""
        return f"{self.prefix}-{part}"

    def dead_letter_name(self, queue: str) -> str:
        """Of a queue's dead-letter queue."""
        return f"{self.name(queue)}-dlq"

    def secret_name(self, secret: str) -> str:
        """Of a secret."""
        return f"{self.prefix}/{secret}"


def schedule_expression(every_minutes: int) -> str:
    """The rate as EventBridge Scheduler spells it."""
    return f"rate({every_minutes} minute{'' if every_minutes == 1 else 's'})"


def parse(text: str) -> Topology:
    """The topology of a YAML text. Raises ConfigurationError naming the first thing that is wrong."""
    try:
        return Topology.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as exc:
        raise ConfigurationError(f"Expected YAML in {FILE.name}: {exc}.") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the topology"
        raise ConfigurationError(f"{FILE.name}, {place}: {first['msg']}.") from exc


@cache
def topology() -> Topology:
    """The topology of this project."""
    return parse(FILE.read_text(encoding="utf-8"))
