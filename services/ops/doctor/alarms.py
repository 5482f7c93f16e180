"""What the facts about a deployment's alarms and their topics mean, against the topology. Pure.

Invariant: the alarms that should be there are those of services.local.alarms, by the names that Terraform gives them;
what else carries the prefix is somebody else's. Nothing that is told to a person (an address) is repeated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.local.alarms import MetricAlarm, metric_alarms
from services.local.topology import Topology
from services.ops.doctor.findings import Finding, fail, fine, warn
from services.ops.doctor.resources import DEPLOY
from services.ops.doctor.servers import listed

SEVERITIES = ("critical", "warning")
"""Each with a composite alarm of its name, which speaks to the topic of its name."""
EVERY = "alarms"
"""The topic that every alarm speaks to, for machines: nobody need listen."""


@dataclass(frozen=True)
class AlarmFacts:
    """One alarm: its state, the topics it tells (none where its actions are off), and a composite's rule."""

    name: str
    state: str
    topics: tuple[str, ...]
    rule: str = ""


@dataclass(frozen=True)
class TopicFacts:
    """A topic that alarms speak to: how many listen, how many have not confirmed."""

    name: str
    confirmed: int
    pending: int


def of_alarms(topology: Topology, found: Mapping[str, AlarmFacts]) -> Iterator[Finding]:
    """Each alarm of the topology and each severity's composite is there, tells somebody, and does not ring."""
    check, leaves = "alarms", list(metric_alarms(topology, ""))
    composites = [topology.name(severity) for severity in SEVERITIES]
    expected = [*(leaf.name for leaf in leaves), *composites]
    present = [found[name] for name in expected if name in found]
    worse = [
        *_missing([name for name in expected if name not in found]),
        *_silent([alarm.name for alarm in present if not alarm.topics]),
        *_not_named(topology, leaves, found),
        *_ringing([alarm.name for alarm in present if alarm.state == "ALARM" and alarm.name not in composites]),
    ]
    yield from worse or [fine(check, f"All {len(present)} alarms are there, tell somebody, and are quiet.")]


def topics_of(found: Mapping[str, AlarmFacts], topology: Topology) -> list[str]:
    """ARNs of a deployment's topics, which lie where any one of them does that an alarm speaks to."""
    ours = [topology.name(name) for name in (*SEVERITIES, EVERY)]
    spoken_to = (arn.rpartition(":") for alarm in found.values() for arn in alarm.topics)
    places = {place for place, _, name in spoken_to if name in ours}
    return sorted(f"{place}:{name}" for place in places for name in ours)


def of_topics(topology: Topology, topics: Sequence[TopicFacts]) -> Iterator[Finding]:
    """Somebody has confirmed that they want to hear of what is critical and of what warns."""
    known = {topic.name: topic for topic in topics}
    for severity in SEVERITIES:
        name = topology.name(severity)
        yield _of_topic(known.get(name, TopicFacts(name, confirmed=0, pending=0)))
    every = known.get(topology.name(EVERY))
    if every is not None and every.pending:
        yield _pending(every)


def _missing(names: list[str]) -> Iterator[Finding]:
    if names:
        yield fail("alarms", f"Alarms are missing: {listed(names)}.", DEPLOY)


def _silent(names: list[str]) -> Iterator[Finding]:
    if names:
        yield warn(
            "alarms", f"Nobody is told by {listed(names)}.", f"Enable their actions and name the topic. {DEPLOY}"
        )


def _not_named(topology: Topology, leaves: Sequence[MetricAlarm], found: Mapping[str, AlarmFacts]) -> Iterator[Finding]:
    """Leaves that the composite of their severity does not ring for: no mail is sent of them."""
    for severity in SEVERITIES:
        composite = found.get(topology.name(severity))
        own = [leaf.name for leaf in leaves if leaf.severity == severity]
        unheard = [] if composite is None else [name for name in own if f'"{name}"' not in composite.rule]
        if unheard:
            yield fail("alarms", f"{topology.name(severity)} does not ring for {listed(unheard)}.", DEPLOY)


def _ringing(names: list[str]) -> Iterator[Finding]:
    if names:
        yield warn("alarms", f"Ringing now: {listed(names)}.", "Its description in CloudWatch is its runbook.")


def _of_topic(topic: TopicFacts) -> Finding:
    check = "alarms: e-mail"
    if topic.pending:
        return _pending(topic)
    if not topic.confirmed:
        return warn(check, f"Nobody listens to {topic.name}.", f"Name an address in alarm_emails. {DEPLOY}")
    return fine(check, f"Subscriptions of {topic.name} that are confirmed: {topic.confirmed}.")


def _pending(topic: TopicFacts) -> Finding:
    return warn(
        "alarms: e-mail",
        f"{topic.pending} subscriptions of {topic.name} wait to be confirmed: they are told nothing.",
        "Open the mail that AWS sent and confirm; it may lie in spam. `terraform apply` sends it again.",
    )
