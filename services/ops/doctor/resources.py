"""What the facts about buckets, queues, functions, schedules and alarms mean, against the topology. Pure.

Invariant: what a number should be is derived by the topology and typed nowhere here. Nothing an alarm or a subscription
tells a person (an address) is repeated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.local.topology import Topology
from services.ops.doctor.findings import Finding, fail, fine, note, warn
from services.ops.doctor.servers import listed

DEPLOY = "Deploy again: `totes up` for the embedded stack, `terraform apply` in AWS."


@dataclass(frozen=True)
class BucketFacts:
    """One bucket; `public_blocked` is None where nobody answers that."""

    exists: bool
    versioned: bool = False
    public_blocked: bool | None = None


@dataclass(frozen=True)
class QueueFacts:
    """One queue with its dead-letter queue; what is not there is None."""

    exists: bool
    visibility_seconds: int | None = None
    retention_seconds: int | None = None
    max_receives: int | None = None
    dead_letters_arn: str | None = None
    """Where it redrives to."""
    own_dead_letters_arn: str | None = None
    """The dead-letter queue that it should redrive to."""
    dead_letters_retention_seconds: int | None = None


@dataclass(frozen=True)
class FunctionFacts:
    """One function, with its event source mapping and its schedule so far as it has them."""

    state: str | None = None
    """None: it is not there."""
    timeout_seconds: int | None = None
    mapping_state: str | None = None
    batch_size: int | None = None
    answers_items: bool = False
    """Whether ReportBatchItemFailures is set."""
    schedule_state: str | None = None


@dataclass(frozen=True)
class AlarmFacts:
    """One alarm: its metric, its state, whether it tells anybody."""

    name: str
    metric: str
    state: str
    acts: bool


@dataclass(frozen=True)
class TopicFacts:
    """A topic that alarms speak to: how many listen, how many have not confirmed."""

    name: str
    confirmed: int
    pending: int


def of_bucket(topology: Topology, name: str, facts: BucketFacts, *, embedded: bool) -> Finding:
    """There, versioned where written once, and shut to the public."""
    check = f"bucket: {name}"
    if not facts.exists:
        return fail(check, f"The bucket {name} is not there.", DEPLOY)
    if topology.buckets[name].versioned and not facts.versioned:
        return fail(
            check,
            f"The bucket {name} is not versioned: an object overwritten by mistake would be gone.",
            f"Switch its versioning on. {DEPLOY}",
        )
    if facts.public_blocked is False and not embedded:
        return warn(check, f"The bucket {name} does not block public access.", "Set all four public access blocks.")
    return fine(check, f"The bucket {name} is there{', versioned' if facts.versioned else ''}.")


def of_queue(topology: Topology, name: str, facts: QueueFacts) -> Iterator[Finding]:
    """There, with the numbers that the topology derives; a wrong one loses messages or parks them early."""
    check = f"queue: {name}"
    if not facts.exists:
        yield fail(check, f"The queue {name} is not there.", DEPLOY)
        return
    wrong = [*_wrong_numbers(topology, name, facts), *_wrong_redrive(topology, name, facts)]
    yield from (fail(check, sentence, DEPLOY) for sentence in wrong)
    if not wrong:
        yield fine(check, f"The queue {name} hides, keeps and redrives its messages as the topology says.")


def _wrong_numbers(topology: Topology, name: str, facts: QueueFacts) -> Iterator[str]:
    visibility = topology.visibility_timeout_seconds(name)
    if facts.visibility_seconds != visibility:
        yield (
            f"The queue {name} hides a received message for {facts.visibility_seconds} s where "
            f"{visibility} s are six timeouts of its consumer: it may be handled twice at once."
        )
    retention = topology.queues[name].retention_seconds
    if facts.retention_seconds != retention:
        yield f"The queue {name} keeps a message for {facts.retention_seconds} s where the topology says {retention} s."


def _wrong_redrive(topology: Topology, name: str, facts: QueueFacts) -> Iterator[str]:
    most = topology.queues[name].max_receive_count
    if facts.own_dead_letters_arn is None:
        yield f"The queue {name} has no dead-letter queue."
    elif facts.dead_letters_arn != facts.own_dead_letters_arn:
        yield f"The queue {name} does not redrive to its dead-letter queue: a message that never succeeds is lost."
    elif facts.max_receives != most:
        yield f"The queue {name} gives up after {facts.max_receives} receives where the topology says {most}."
    parked, waiting = facts.dead_letters_retention_seconds, facts.retention_seconds
    if parked is not None and waiting is not None and parked <= waiting:
        yield (
            f"The dead-letter queue of {name} keeps a message for {parked} s, no longer than its queue: it would be "
            "deleted early, since a message keeps its first enqueue time."
        )


def of_function(topology: Topology, name: str, facts: FunctionFacts) -> Iterator[Finding]:
    """Deployed, and whatever calls it is switched on."""
    check = f"function: {name}"
    if facts.state is None:
        yield fail(check, f"The function {name} is not deployed.", DEPLOY)
        return
    wrong = [*_wrong_function(topology, name, facts), *_wrong_callers(topology, name, facts)]
    yield from (fail(check, sentence, cure) for sentence, cure in wrong)
    if not wrong:
        caller = "schedule" if name in topology.schedules else "queue"
        yield fine(check, f"The function {name} is deployed and called by its {caller}.")


def _wrong_function(topology: Topology, name: str, facts: FunctionFacts) -> Iterator[tuple[str, str]]:
    if facts.state not in ("Active", ""):
        yield f"The function {name} is {facts.state}.", "Read its state reason in the console; an idle one wakes up."
    timeout = topology.functions[name].timeout_seconds
    if facts.timeout_seconds != timeout:
        yield f"The function {name} may run for {facts.timeout_seconds} s where the topology says {timeout} s.", DEPLOY


def _wrong_callers(topology: Topology, name: str, facts: FunctionFacts) -> Iterator[tuple[str, str]]:
    mapping = topology.event_source_mappings.get(name)
    if mapping is not None and facts.mapping_state != "Enabled":
        found = "missing" if facts.mapping_state is None else facts.mapping_state
        yield f"The event source mapping of {name} is {found}: nobody takes from its queue.", f"Enable it. {DEPLOY}"
    elif mapping is not None and not facts.answers_items:
        yield f"The mapping of {name} lacks ReportBatchItemFailures: failed messages would be deleted.", DEPLOY
    elif mapping is not None and facts.batch_size != mapping.batch_size:
        yield f"The mapping of {name} takes {facts.batch_size} messages, not {mapping.batch_size}.", DEPLOY
    if name in topology.schedules and facts.schedule_state != "ENABLED":
        found = "missing" if facts.schedule_state is None else facts.schedule_state.lower()
        yield f"The schedule of {name} is {found}: nothing starts it.", f"Enable it. {DEPLOY}"


def of_alarms(topology: Topology, alarms: Sequence[AlarmFacts], *, embedded: bool) -> Iterator[Finding]:
    """Each alarm of the topology is there, once for each of its resources, tells somebody, and does not ring."""
    check = "alarms"
    if embedded:
        yield note(check, "The embedded stack has no alarms: `totes status` shows what they would tell.")
        return
    missing = [name for name in topology.alarms if _found(topology, name, alarms) < _expected(topology, name)]
    if missing:
        yield fail(check, f"Alarms are missing: {listed(missing)}.", DEPLOY)
    silent = [alarm.name for alarm in alarms if not alarm.acts]
    if silent:
        yield warn(check, f"Nobody is told by {listed(silent)}.", "Enable their actions and name the topic.")
    ringing = [alarm.name for alarm in alarms if alarm.state == "ALARM"]
    if ringing:
        yield warn(check, f"Ringing now: {listed(ringing)}.", "Its description in CloudWatch is its runbook.")
    if not (missing or silent or ringing):
        yield fine(check, f"All {len(alarms)} alarms are there and quiet.")


def _found(topology: Topology, name: str, alarms: Sequence[AlarmFacts]) -> int:
    return sum(alarm.metric == topology.alarms[name].metric for alarm in alarms)


def _expected(topology: Topology, name: str) -> int:
    """One for each resource; a metric that two alarms share counts for both. One at least of a kind unknown here."""
    kinds: Mapping[str, int] = {
        "queues": len(topology.queues),
        "dead_letter_queues": len(topology.queues),
        "functions": len(topology.functions),
        "schedules": len(topology.schedules),
    }
    metric = topology.alarms[name].metric
    return sum(kinds.get(alarm.over, 1) for alarm in topology.alarms.values() if alarm.metric == metric)


def of_topics(topics: Sequence[TopicFacts], *, embedded: bool) -> Iterator[Finding]:
    """Somebody has confirmed that they want to hear of alarms."""
    for topic in topics:
        check = "alarms: e-mail"
        if topic.pending:
            yield warn(
                check,
                f"{topic.pending} subscriptions of {topic.name} wait to be confirmed: they are told nothing.",
                "Open the mail that AWS sent and confirm; it may lie in spam. `terraform apply` sends it again.",
            )
        elif not topic.confirmed:
            yield warn(check, f"Nobody listens to {topic.name}.", "Subscribe an address that somebody reads.")
        else:
            yield fine(check, f"{topic.confirmed} subscriptions of {topic.name} are confirmed.")
    if not topics and not embedded:
        yield warn("alarms: e-mail", "No alarm speaks to any topic.", "Name an address for alarms. " + DEPLOY)
