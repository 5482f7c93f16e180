"""What the facts about buckets, queues, functions, schedules, secrets and metrics mean, against the topology. Pure.

Invariant: what a number should be is derived by the topology and typed nowhere here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.local.topology import SCHEDULE_DEAD_LETTERS, Topology
from services.ops.doctor.findings import Finding, fail, fine, warn
from services.ops.doctor.servers import listed

DEPLOY = "Deploy again: `totes up` for the embedded stack, `terraform apply` in AWS."
ALWAYS_MEASURED = ("as_of_age_seconds", "heartbeat_age_seconds")
"""Emitted at the pipeline's beginning and at its end, however little there is to do."""


@dataclass(frozen=True)
class BucketFacts:
    """One bucket, by its name in the account."""

    bucket: str
    exists: bool
    versioned: bool = False
    public_blocked: bool = False
    encrypted: bool = False


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
    update: str = ""
    """How its last deployment ended."""
    runtime: str = ""
    timeout_seconds: int | None = None
    mapping_state: str | None = None
    batch_size: int | None = None
    answers_items: bool = False
    """Whether ReportBatchItemFailures is set."""
    schedule_state: str | None = None


@dataclass(frozen=True)
class SecretFacts:
    """One secret."""

    exists: bool
    has_value: bool = False


def of_bucket(topology: Topology, name: str, facts: BucketFacts, *, embedded: bool) -> Finding:
    """There, versioned where written once, and shut to the public."""
    check = f"bucket: {name}"
    if not facts.exists:
        return fail(check, f"The bucket {facts.bucket} is not there.", DEPLOY)
    if topology.buckets[name].versioned and not facts.versioned:
        return fail(
            check,
            f"The bucket {facts.bucket} is not versioned: an object overwritten by mistake would be gone.",
            f"Switch its versioning on. {DEPLOY}",
        )
    if embedded:
        return fine(check, f"The bucket {facts.bucket} is there{', versioned' if facts.versioned else ''}.")
    if not facts.public_blocked:
        return warn(check, f"The bucket {facts.bucket} does not block public access.", f"Set all four blocks. {DEPLOY}")
    if not facts.encrypted:
        return warn(
            check, f"The bucket {facts.bucket} does not encrypt what it keeps.", f"Set its default encryption. {DEPLOY}"
        )
    return fine(
        check, f"The bucket {facts.bucket} is there{', versioned' if facts.versioned else ''}, encrypted and shut."
    )


def of_queue(topology: Topology, name: str, facts: QueueFacts) -> Iterator[Finding]:
    """There, with the numbers that the topology derives; a wrong one loses messages or parks them early."""
    check, queue = f"queue: {name}", topology.name(name)
    if not facts.exists:
        yield fail(check, f"The queue {queue} is not there.", DEPLOY)
        return
    wrong = [*_wrong_numbers(topology, name, facts), *_wrong_redrive(topology, name, facts)]
    yield from (fail(check, sentence, DEPLOY) for sentence in wrong)
    if not wrong:
        yield fine(check, f"The queue {queue} hides, keeps and redrives its messages as the topology says.")


def _wrong_numbers(topology: Topology, name: str, facts: QueueFacts) -> Iterator[str]:
    queue, visibility = topology.name(name), topology.visibility_timeout_seconds(name)
    if facts.visibility_seconds != visibility:
        yield (
            f"The queue {queue} hides a received message for {facts.visibility_seconds} s where "
            f"{visibility} s are six timeouts of its consumer: it may be handled twice at once."
        )
    retention = topology.queues[name].retention_seconds
    if facts.retention_seconds != retention:
        yield (
            f"The queue {queue} keeps a message for {facts.retention_seconds} s where the topology says {retention} s."
        )


def _wrong_redrive(topology: Topology, name: str, facts: QueueFacts) -> Iterator[str]:
    queue, most = topology.name(name), topology.queues[name].max_receive_count
    if facts.own_dead_letters_arn is None:
        yield f"The queue {queue} has no dead-letter queue."
    elif facts.dead_letters_arn != facts.own_dead_letters_arn:
        yield f"The queue {queue} does not redrive to its dead-letter queue: a message that never succeeds is lost."
    elif facts.max_receives != most:
        yield f"The queue {queue} gives up after {facts.max_receives} receives where the topology says {most}."
    parked, waiting = facts.dead_letters_retention_seconds, facts.retention_seconds
    if parked is not None and waiting is not None and parked <= waiting:
        yield (
            f"The queue {topology.dead_letter_name(name)} keeps a message for {parked} s, no longer than its queue: it "
            "would be deleted early, since a message keeps its first enqueue time."
        )


def of_function(topology: Topology, name: str, facts: FunctionFacts, *, embedded: bool) -> Iterator[Finding]:
    """Deployed, and whatever calls it is switched on."""
    check, function = f"function: {name}", topology.name(name)
    if facts.state is None:
        yield fail(check, f"The function {function} is not deployed.", DEPLOY)
        return
    wrong = [*_wrong_function(topology, name, facts), *_wrong_callers(topology, name, facts)]
    wrong += [] if embedded else _wrong_runtime(topology, name, facts)
    yield from (fail(check, sentence, cure) for sentence, cure in wrong)
    if not wrong:
        caller = "schedule" if name in topology.schedules else "queue"
        yield fine(check, f"The function {function} is deployed and called by its {caller}.")


def _wrong_function(topology: Topology, name: str, facts: FunctionFacts) -> Iterator[tuple[str, str]]:
    function = topology.name(name)
    if facts.state not in ("Active", ""):
        yield (
            f"The function {function} is {facts.state}.",
            "Read its state reason in the console; an idle one wakes up.",
        )
    if facts.update == "Failed":
        yield f"The last deployment of the function {function} failed: it runs as it did before.", DEPLOY
    timeout = topology.functions[name].timeout_seconds
    if facts.timeout_seconds != timeout:
        yield (
            f"The function {function} may run for {facts.timeout_seconds} s where the topology says {timeout} s.",
            DEPLOY,
        )


def _wrong_runtime(topology: Topology, name: str, facts: FunctionFacts) -> Iterator[tuple[str, str]]:
    """The embedded stack's functions run on the Python of this machine, whatever they are told."""
    function, runtime = topology.name(name), topology.platform.runtime
    if facts.runtime != runtime:
        yield f"The function {function} runs on {facts.runtime} where the topology says {runtime}.", DEPLOY


def _wrong_callers(topology: Topology, name: str, facts: FunctionFacts) -> Iterator[tuple[str, str]]:
    function, mapping = topology.name(name), topology.event_source_mappings.get(name)
    if mapping is not None and facts.mapping_state != "Enabled":
        found = "missing" if facts.mapping_state is None else facts.mapping_state
        yield (
            f"The event source mapping of {function} is {found}: nobody takes from its queue.",
            f"Enable it. {DEPLOY}",
        )
    elif mapping is not None and not facts.answers_items:
        yield (
            f"The mapping of {function} lacks ReportBatchItemFailures: failed messages would be deleted.",
            DEPLOY,
        )
    elif mapping is not None and facts.batch_size != mapping.batch_size:
        yield (
            f"The mapping of {function} takes {facts.batch_size} messages, not {mapping.batch_size}.",
            DEPLOY,
        )
    if name in topology.schedules and facts.schedule_state != "ENABLED":
        found = "missing" if facts.schedule_state is None else facts.schedule_state.lower()
        yield f"The schedule of {function} is {found}: nothing starts it.", f"Enable it. {DEPLOY}"


def of_secret(topology: Topology, name: str, facts: SecretFacts) -> Finding:
    """There, and somebody has put a DSN in; Terraform makes it empty, so that no state file ever holds one."""
    check, named = f"secret: {name}", topology.secret_name(name)
    if not facts.exists:
        return fail(check, f"The secret {named} is not there.", DEPLOY)
    if not facts.has_value:
        return fail(
            check,
            f"The secret {named} has no value yet.",
            f"Put the DSN in: aws secretsmanager put-secret-value --secret-id {named} --secret-string file://dsn",
        )
    return fine(check, f"The secret {named} has a value.")


def of_undelivered(topology: Topology, kept: int | None) -> Finding:
    """Whether EventBridge could make every invocation of the last two weeks."""
    check, named = "schedules", topology.dead_letter_name(SCHEDULE_DEAD_LETTERS)
    if kept is None:
        return fail(check, f"The queue {named} is not there: an invocation that fails would leave no trace.", DEPLOY)
    if kept:
        return warn(
            check,
            f"EventBridge could not make {kept:,} invocations, which {named} keeps with their reasons.",
            "Mend what ERROR_CODE and ERROR_MESSAGE of a message say, then purge the queue; nothing needs resending.",
        )
    return fine(check, "EventBridge could make every invocation.")


def of_metrics(topology: Topology, measured: frozenset[str]) -> Finding:
    """Whether what the alarms watch is emitted at all: by metrics that poller and loader never cease to emit."""
    check = "metrics"
    missing = [name for name in ALWAYS_MEASURED if name not in measured]
    if missing:
        return warn(
            check,
            f"No value of {listed(missing)} has come in for three hours in the namespace {topology.prefix}.",
            f"See that the functions run, and that POWERTOOLS_METRICS_NAMESPACE is {topology.prefix}. {DEPLOY}",
        )
    return fine(check, f"The functions emit their metrics in the namespace {topology.prefix}.")
