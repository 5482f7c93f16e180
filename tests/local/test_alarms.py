"""What a healthy pipeline and a broken one emit, and which alarms must ring: a table of situations.

Six hours of a quiet night, minute by minute; what a situation changes, it changes from the third hour to the fifth.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from services.local.alarms import MetricAlarm, metric_alarms, rule
from services.local.topology import topology
from services.poller.handler import STOP_BEFORE_SECONDS
from services.poller.measured import LATE_SECONDS
from shared.settings import Settings
from shared.telemetry import METRICS
from tests.local.cloudwatch import minutes_in_alarm, state

NIGHT = range(6 * 60)
TROUBLE = range(2 * 60, 4 * 60)
LEAVES = tuple(metric_alarms(topology(), "docs/operations.md"))
SETTINGS = Settings()
FEEDS = (*topology().feeds.loaded, *topology().feeds.archived)
LIVES_FOR_MINUTES = 1 + topology().poll_lifetime_seconds("poller") // 60
MEASURED_BY_AWS = {
    "AWS/SQS": {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    "AWS/Lambda": {"Duration", "Errors", "Invocations", "Throttles"},
}


class World(dict[tuple[str, str], dict[int, list[float]]]):
    """(metric, resource) -> minute -> values. A dead-letter queue unused for six hours is measured no more."""

    def put(self, metric: str, resource: str, minute: int, value: float) -> None:
        self.setdefault((metric, resource), {}).setdefault(minute, []).append(value)

    def instead(self, metric: str, resource: str, value: Callable[[int], float], every: int = 1) -> None:
        """During the trouble the metric has this value, by the minutes that it has lasted for.

        Of what does not come every minute each second one is a minute late.
        """
        self.silence(metric, resource)
        for number, minute in enumerate(TROUBLE[:-1:every]):
            late = number % 2 if every > 1 else 0
            self.put(metric, resource, minute + late, value(minute - TROUBLE.start))

    def silence(self, metric: str, resource: str) -> None:
        for minute in TROUBLE:
            self.get((metric, resource), {}).pop(minute, None)

    def stop(self, function: str) -> None:
        """During the trouble nobody invokes it."""
        for metric in MEASURED_BY_AWS["AWS/Lambda"]:
            self.silence(metric, function)


def invoked(world: World, function: str, minute: int, seconds: float) -> None:
    measured = {"Invocations": 1.0, "Errors": 0.0, "Throttles": 0.0, "Duration": 1000 * seconds}
    for metric, value in measured.items():
        world.put(metric, function, minute, value)


def quiet_night() -> World:
    """Nothing changes in the source; every figure is the worst that a healthy pipeline has."""
    world = World()
    lifetime_seconds = topology().poll_lifetime_seconds("poller") + STOP_BEFORE_SECONDS
    for minute in NIGHT:
        for queue in topology().queues:
            world.put("ApproximateAgeOfOldestMessage", queue, minute, 2)
            world.put("ApproximateNumberOfMessagesVisible", queue, minute, 1)
        ends = minute % LIVES_FOR_MINUTES == 0
        invoked(world, "poller", minute, lifetime_seconds if ends else 0.2)
        for feed in FEEDS if ends else ():  # a feed has no figure of its own before it is late
            world.put("as_of_age_seconds", f"poller/{feed}", minute, LATE_SECONDS)
        for function in ("transform", "loader"):
            invoked(world, function, minute, 0.5)
        if minute % topology().schedules["reconciler"].every_minutes == 0:
            invoked(world, "reconciler", minute, SETTINGS.reconcile_budget_seconds + SETTINGS.settle_seconds)
        if minute % topology().schedules["compactor"].every_minutes == 0:
            invoked(world, "compactor", minute, SETTINGS.compact_budget_seconds)
    beat = SETTINGS.heartbeat_seconds + SETTINGS.poll_interval_seconds
    for number in range(int(60 * len(NIGHT) / beat)):
        world.put("heartbeat_age_seconds", "loader", int(number * beat / 60), 3)
    return world


def resource(leaf: MetricAlarm) -> str:
    """Its dimensions' values in short: changes-dlq, loader, poller/payment."""
    names = [
        leaf.dimensions[name] for name in ("QueueName", "FunctionName", "service", "feed") if name in leaf.dimensions
    ]
    return "/".join(name.removeprefix("totes-") for name in names)


def rung(world: World) -> dict[str, list[int]]:
    """Alarm with its resource -> the minutes for which it rings."""
    minutes = {
        f"{leaf.alarm} {resource(leaf)}": minutes_in_alarm(leaf, world.get((leaf.metric, resource(leaf)), {}), NIGHT)
        for leaf in LEAVES
    }
    return {name: found for name, found in minutes.items() if found}


# -- situations


def a_busy_night(world: World) -> None:
    for minute in NIGHT:
        world.put("ApproximateNumberOfMessagesVisible", "changes", minute, 60)
        for feed in topology().feeds.loaded:
            world.put("freshness_seconds", f"loader/{feed}", minute, 8)
    world.instead("drift_rows", "reconciler", lambda _: 3, every=5)


def a_bulk_change_that_is_worked_off(world: World) -> None:
    world.instead("ApproximateNumberOfMessagesVisible", "loads", lambda lasted: max(0, 6000 - 600 * lasted))
    world.instead("ApproximateAgeOfOldestMessage", "loads", lambda lasted: 250 if lasted < 10 else 1)


def a_poller_that_hands_over_late(world: World) -> None:
    for minute in TROUBLE[:3]:
        world["heartbeat_age_seconds", "loader"].pop(minute, None)


def more_than_the_loader_can_do(world: World) -> None:
    world.instead("ApproximateNumberOfMessagesVisible", "loads", lambda lasted: 200 * lasted)
    world.instead("ApproximateAgeOfOldestMessage", "loads", lambda lasted: min(1200, 60 * lasted))
    world.instead("freshness_seconds", "loader/payment", lambda lasted: min(1200, 60 * lasted))


def the_loader_is_switched_off(world: World) -> None:
    world.stop("loader")
    world.silence("heartbeat_age_seconds", "loader")
    world.instead("ApproximateAgeOfOldestMessage", "loads", lambda lasted: 60 * lasted)
    world.instead("ApproximateNumberOfMessagesVisible", "loads", lambda lasted: lasted)


def the_warehouse_is_away(world: World) -> None:
    """The loader hands back and ends without error; the reconciler ends with one."""
    world.silence("heartbeat_age_seconds", "loader")
    world.instead("ApproximateAgeOfOldestMessage", "loads", lambda lasted: 60 * lasted)
    world.instead("Errors", "reconciler", lambda _: 1, every=5)


def the_source_is_away(world: World) -> None:
    """Every invocation of the poller ends with an error, having measured how old its feeds are by now."""
    world.silence("heartbeat_age_seconds", "loader")
    world.instead("Errors", "poller", lambda _: 1)
    world.instead("Errors", "reconciler", lambda _: 1, every=5)
    for feed in FEEDS:
        world.instead("as_of_age_seconds", f"poller/{feed}", lambda lasted: 60 * lasted)


def the_poller_s_schedule_is_disabled(world: World) -> None:
    world.stop("poller")
    world.silence("heartbeat_age_seconds", "loader")
    for feed in FEEDS:
        world.silence("as_of_age_seconds", f"poller/{feed}")


def nothing_is_measured_at_all(world: World) -> None:
    for metric, of in list(world):
        world.silence(metric, of)


def one_feed_is_stopped(world: World) -> None:
    """Just after the poller has measured; it measures when an invocation ends, and that one's figure is still small."""
    world.silence("as_of_age_seconds", "poller/payment")
    for minute in TROUBLE[9::LIVES_FOR_MINUTES]:
        world.put("as_of_age_seconds", "poller/payment", minute, 60 * (minute - TROUBLE.start))


def one_message_stays(world: World) -> None:
    """Handed back again and again; heartbeats and all others pass."""
    world.instead("ApproximateAgeOfOldestMessage", "changes", lambda lasted: 60 * lasted)


def a_message_is_parked(world: World) -> None:
    world.instead("ApproximateNumberOfMessagesVisible", "changes-dlq", lambda _: 1)


def eventbridge_gives_up(world: World) -> None:
    world.instead("ApproximateNumberOfMessagesVisible", "schedules-dlq", lambda _: 1)


def transform_is_cut_once(world: World) -> None:
    world.put("Duration", "transform", TROUBLE[7], 60_000)
    world.put("Errors", "transform", TROUBLE[7], 1)


def the_compactor_fails(world: World) -> None:
    for minute in range(0, NIGHT.stop - 60, 60):
        world.put("Errors", "compactor", minute, 1)


def the_account_has_no_concurrency_left(world: World) -> None:
    world.instead("Throttles", "loader", lambda _: 4)


def rows_come_a_little_late(world: World) -> None:
    world.put("freshness_seconds", "loader/design", TROUBLE[5], 301)


def rows_come_too_late(world: World) -> None:
    world.put("freshness_seconds", "loader/design", TROUBLE[5], 1501)


def a_row_is_quarantined(world: World) -> None:
    world.put("rows_quarantined", "transform", TROUBLE[9], 1)


def somebody_edits_the_warehouse(world: World) -> None:
    world.put("drift_rows", "reconciler", TROUBLE[5], 150)


def a_table_is_emptied_by_mistake(world: World) -> None:
    world.instead("held_back_rows", "reconciler", lambda _: 400, every=5)


def a_member_stays_inferred(world: World) -> None:
    world.instead("inferred_members", "reconciler", lambda _: 1, every=5)


def every(alarm: str, *resources: str) -> set[str]:
    return {f"{alarm} {one}" for one in resources}


SITUATIONS: dict[Callable[[World], None], set[str]] = {
    a_busy_night: set(),
    a_bulk_change_that_is_worked_off: set(),
    a_poller_that_hands_over_late: set(),
    more_than_the_loader_can_do: {"backlog_grows loads", "queue_backs_up loads", "freshness_late loader/payment"},
    the_loader_is_switched_off: {"heartbeat_missing loader", "queue_backs_up loads", "queue_stuck loads"},
    the_warehouse_is_away: {
        "heartbeat_missing loader",
        "queue_backs_up loads",
        "queue_stuck loads",
        "function_fails reconciler",
    },
    the_source_is_away: {
        "heartbeat_missing loader",
        *every("function_fails", "poller", "reconciler"),
        *every("feed_stands", *(f"poller/{feed}" for feed in FEEDS)),
    },
    the_poller_s_schedule_is_disabled: {"heartbeat_missing loader", "schedule_silent poller"},
    nothing_is_measured_at_all: {
        "heartbeat_missing loader",
        *every("schedule_silent", "poller", "reconciler"),  # the compactor's would after three hours
    },
    one_feed_is_stopped: {"feed_stands poller/payment"},
    one_message_stays: {"queue_backs_up changes", "queue_stuck changes"},
    a_message_is_parked: {"messages_parked changes-dlq"},
    eventbridge_gives_up: {"schedule_undelivered schedules-dlq"},
    transform_is_cut_once: {"function_slow transform"},
    the_compactor_fails: {"function_fails compactor"},
    the_account_has_no_concurrency_left: {"function_throttled loader"},
    rows_come_a_little_late: {"freshness_late loader/design"},
    rows_come_too_late: {"freshness_late loader/design", "freshness_broken loader/design"},
    a_row_is_quarantined: {"rows_quarantined transform"},
    somebody_edits_the_warehouse: {"drift_found reconciler"},
    a_table_is_emptied_by_mistake: {"deletions_held_back reconciler"},
    a_member_stays_inferred: {"members_inferred reconciler"},
}


def test_nothing_rings_on_a_quiet_night():
    assert rung(quiet_night()) == {}


@pytest.mark.parametrize(
    ("situation", "expected"), SITUATIONS.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_what_must_ring_rings_once_and_nothing_else_does(situation: Callable[[World], None], expected: set[str]):
    world = quiet_night()
    situation(world)

    found = rung(world)

    assert set(found) == expected
    for name, minutes in found.items():
        assert all(following == minute + 1 for minute, following in pairwise(minutes)), f"{name} rings more than once"


def test_what_was_mended_is_quiet_again_by_itself():
    for situation in SITUATIONS.keys() - {the_compactor_fails}:
        world = quiet_night()
        situation(world)

        assert {name for name, minutes in rung(world).items() if NIGHT[-1] in minutes} == set(), situation.__name__


def test_every_alarm_rings_in_some_situation():
    kinds = {name.split()[0] for expected in SITUATIONS.values() for name in expected}

    assert kinds == set(topology().alarms)


@pytest.mark.parametrize(
    "situation",
    [the_loader_is_switched_off, the_warehouse_is_away, the_source_is_away, one_feed_is_stopped, one_message_stays],
    ids=lambda value: value.__name__,
)
def test_whatever_keeps_changes_from_the_warehouse_is_critical_within_the_thirty_minutes_promised(
    situation: Callable[[World], None],
):
    world = quiet_night()
    situation(world)
    critical = {leaf.alarm for leaf in LEAVES if leaf.severity == "critical"}

    first = min(minutes[0] for name, minutes in rung(world).items() if name.split()[0] in critical)

    assert first - TROUBLE.start < 30


def test_a_metric_that_is_silent_alarms_only_where_silence_is_the_fault():
    ringing = {leaf.alarm for leaf in LEAVES if state(leaf, {}, 600) == "ALARM"}

    assert ringing == {"heartbeat_missing", "schedule_silent"}


# -- names and texts


def known(leaf: MetricAlarm) -> Iterator[bool]:
    if leaf.namespace in MEASURED_BY_AWS:
        yield leaf.metric in MEASURED_BY_AWS[leaf.namespace]
        yield leaf.dimensions.keys() == {{"AWS/SQS": "QueueName", "AWS/Lambda": "FunctionName"}[leaf.namespace]}
    else:
        [metric] = [metric for metric in METRICS if metric.name == leaf.metric]
        yield leaf.namespace == "totes"
        yield leaf.dimensions["service"] in metric.services
        yield leaf.dimensions.keys() <= {"service", metric.dimension}


def test_every_alarm_watches_a_metric_that_somebody_emits_with_dimensions_it_has():
    assert [leaf.name for leaf in LEAVES if not all(known(leaf))] == []


def test_names_are_unique_and_a_description_holds_the_runbook_and_its_section():
    assert len({leaf.name for leaf in LEAVES}) == len(LEAVES)
    for leaf in metric_alarms(topology(), "https://" + 242 * "x"):
        assert leaf.description.startswith(topology().alarms[leaf.alarm].runbook)
        assert leaf.description.endswith(f"#{leaf.alarm}")
        assert len(leaf.description) <= 1024


def test_an_environment_s_alarms_are_over_its_own_resources_and_metrics_alone():
    described = topology().model_copy(update={"prefix": "totes-prod"})

    for leaf in metric_alarms(described, "docs/operations.md"):
        assert leaf.name.startswith("totes-prod-")
        own = [value for name, value in leaf.dimensions.items() if name in ("QueueName", "FunctionName")]
        assert own[0].startswith("totes-prod-") if own else leaf.namespace == "totes-prod"


def test_each_leaf_is_in_the_rule_of_its_severity_and_the_rules_are_as_short_as_cloudwatch_wants():
    rules = {severity: rule(LEAVES, severity) for severity in ("critical", "warning")}

    for leaf in LEAVES:
        assert [f'ALARM("{leaf.name}")' in text.split(" OR ") for text in rules.values()].count(True) == 1
        assert f'ALARM("{leaf.name}")' in rules[leaf.severity]
    assert all(len(text) <= 10_240 and text.count("ALARM") <= 100 for text in rules.values())
