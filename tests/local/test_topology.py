from collections.abc import Callable
from typing import Any

import pytest
import yaml

from contracts.feeds import FEEDS
from services.loader.handler import TRANSACTION_SECONDS
from services.local.topology import FILE, parse, schedule_expression, topology
from services.poller.handler import STOP_BEFORE_SECONDS
from services.transform.handler import RESERVE_SECONDS
from shared.consumer import delay_seconds
from shared.errors import ConfigurationError
from shared.settings import Settings

Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> str:
    raw = yaml.safe_load(FILE.read_text())
    change(raw)
    return yaml.safe_dump(raw)


def test_the_two_queues_outlast_a_warehouse_that_is_away_for_twelve_hours():
    for queue in topology().queues.values():
        clock, receives = 0, 0
        while clock < 12 * 3600:
            receives += 1
            clock += delay_seconds(receives)

        assert receives < queue.max_receive_count
        assert queue.retention_days * 86_400 > 12 * 3600


def test_a_message_stays_hidden_for_at_least_six_timeouts_of_its_consumer():
    for name in topology().queues:
        consumer = topology().functions[topology().consumer(name)]

        assert 6 * consumer.timeout_seconds <= topology().visibility_timeout_seconds(name) <= 12 * 3600


def test_parked_messages_are_kept_longer_than_waiting_ones_and_no_longer_than_sqs_allows():
    for queue in topology().queues.values():
        assert queue.retention_seconds < queue.dead_letter_retention_seconds <= 14 * 86_400


def test_a_poller_ends_before_its_timeout_and_just_before_its_schedule_fires():
    lifetime = topology().poll_lifetime_seconds("poller")

    assert topology().functions["poller"].timeout_seconds - lifetime >= topology().rules.shutdown_seconds
    assert (lifetime + topology().rules.handover_seconds) % 60 == 0


def test_rates_are_spelled_as_eventbridge_spells_them():
    assert (schedule_expression(1), schedule_expression(5)) == ("rate(1 minute)", "rate(5 minutes)")


def test_a_schedule_is_silent_only_after_three_of_its_own_periods_and_fifteen_minutes_at_least():
    alarm, schedules = topology().alarms["schedule_silent"], topology().schedules

    silent_after = {
        name: topology().alarm_period_seconds("schedule_silent", name) * alarm.periods for name in schedules
    }

    assert silent_after == {"poller": 15 * 60, "reconciler": 18 * 60, "compactor": 183 * 60}


def test_a_function_that_fails_in_each_run_of_its_schedule_is_told_however_seldom_and_late_it_runs():
    for name, schedule in topology().schedules.items():
        assert topology().alarm_period_seconds("function_fails", name) > 60 * schedule.every_minutes
    assert topology().alarm_period_seconds("function_fails", "loader") == 60


def test_a_function_is_slow_near_its_own_timeout_and_lambda_measures_in_milliseconds():
    slow = {name: topology().alarm_threshold("function_slow", name) for name in topology().functions}

    assert slow == {name: 950 * one.timeout_seconds for name, one in topology().functions.items()}
    assert slow["poller"] > 1000 * (topology().poll_lifetime_seconds("poller") + STOP_BEFORE_SECONDS)
    assert topology().alarm_threshold("queue_backs_up", "loads") == 300


def test_a_dead_letter_queue_that_nobody_is_told_of_does_not_exist():
    assert topology().alarmed("messages_parked") == tuple(topology().queues)
    assert topology().alarmed("schedule_undelivered") == ("schedules",)


def test_what_no_schedule_starts_is_alarmed_over_the_alarm_s_own_period():
    assert topology().alarmed("messages_parked") == ("changes", "loads")
    assert topology().alarm_period_seconds("messages_parked", "changes") == 60


def test_every_feed_is_alarmed_over_and_those_with_a_star_table_for_their_freshness_too():
    assert set(topology().alarmed("feed_stands")) == set(FEEDS)
    assert set(topology().alarmed("freshness_broken")) == {feed.name for feed in FEEDS.values() if feed.star}
    assert topology().alarmed("heartbeat_missing") == ("loader",)


def test_every_alarm_says_what_to_do():
    assert all(len(alarm.runbook.split()) > 10 for alarm in topology().alarms.values())


def test_what_runs_on_lambda_is_said_once_and_its_python_follows_from_it():
    assert topology().platform.runtime == f"python{topology().platform.python_version}"


def test_the_poller_which_starts_every_minute_has_no_layer():
    assert topology().functions["poller"].layers == ()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda raw: raw["queues"]["changes"].update(dead_letter_retention_days=4), "queues.changes"),
        (lambda raw: raw["queues"]["changes"].update(dead_letter_retention_days=15), "dead_letter_retention_days"),
        (lambda raw: raw["queues"]["loads"].update(max_receive_count=56), "the topology"),
        (lambda raw: raw["rules"].update(visibility_per_timeout=5), "visibility_per_timeout"),
        (lambda raw: raw["rules"].update(visibility_per_timeout=1000), "the topology"),
        (lambda raw: raw["rules"].update(outage_hours=11), "outage_hours"),
        (lambda raw: raw["rules"].update(quarantine_days=14), "the topology"),
        (lambda raw: raw["rules"].update(replaced_days=6), "replaced_days"),
        (lambda raw: raw["rules"].update(upload_days=0), "upload_days"),
        (lambda raw: raw["functions"]["loader"].update(environment=["warehouse_scheme"]), "functions.loader"),
        (lambda raw: raw["functions"]["loader"].update(timeout_seconds=901), "timeout_seconds"),
        (lambda raw: raw["functions"]["loader"].update(layers=["arrow"]), "the topology"),
        (lambda raw: raw["functions"]["loader"]["requirements"].append("pandas"), "the topology"),
        (lambda raw: raw["functions"]["loader"]["requirements"].append("pandas==3"), "functions.loader"),
        (lambda raw: raw["layers"]["parquet"].update(requirements=[]), "layers.parquet"),
        (lambda raw: raw["lambda"].update(runtime="nodejs22.x"), "lambda.runtime"),
        (lambda raw: raw["lambda"].update(architecture="aarch64"), "lambda.architecture"),
        (lambda raw: raw["event_source_mappings"]["loader"].update(batch_size=11), "batch_size"),
        (lambda raw: raw["event_source_mappings"]["loader"].update(maximum_concurrency=1), "maximum_concurrency"),
        (lambda raw: raw["event_source_mappings"]["loader"].update(function_response_types=[]), "response_types"),
        (lambda raw: raw["event_source_mappings"]["loader"].update(queue="changes"), "the topology"),
        (
            lambda raw: raw["event_source_mappings"].update(nobody=raw["event_source_mappings"]["loader"]),
            "the topology",
        ),
        (lambda raw: raw["schedules"].update(nobody={"every_minutes": 1}), "the topology"),
        (lambda raw: raw["schedules"]["poller"].update(every_minutes=0), "every_minutes"),
        (lambda raw: raw["queues"]["loads"].update(retention_hours=1), "retention_hours"),
        (lambda raw: raw["schedules"]["compactor"].update(every_minutes=4 * 24 * 60), "the topology"),
        (lambda raw: raw["alarms"]["queue_backs_up"].update(periods=24 * 60 + 1), "the topology"),
        (lambda raw: raw["alarms"]["queue_backs_up"].update(severity="minor"), "queue_backs_up.severity"),
        (lambda raw: raw["alarms"]["queue_backs_up"].update(service="loader"), "alarms.queue_backs_up"),
        (lambda raw: raw["alarms"]["queue_backs_up"].update(threshold_of="timeout"), "alarms.queue_backs_up"),
        (lambda raw: raw["alarms"]["queue_backs_up"].update(runbook="x" * 701), "queue_backs_up.runbook"),
        (lambda raw: raw["alarms"]["heartbeat_missing"].pop("service"), "alarms.heartbeat_missing"),
        (lambda raw: raw["alarms"]["heartbeat_missing"].update(service="poller"), "alarms.heartbeat_missing"),
        (lambda raw: raw["alarms"]["heartbeat_missing"].update(over="feeds"), "alarms.heartbeat_missing"),
        (lambda raw: raw["alarms"]["function_slow"].update(threshold=93), "the topology"),
        (lambda raw: raw["alarms"]["function_slow"].update(threshold=100), "alarms.function_slow"),
        (lambda raw: raw["feeds"]["loaded"].remove("payment"), "feeds"),
        (lambda raw: raw["feeds"].update(archived=["payment"]), "feeds"),
        (lambda raw: raw["rules"].update(schedule_late_seconds=30), "schedule_late_seconds"),
    ],
)
def test_a_topology_that_breaks_a_rule_is_refused_by_the_place_of_the_rule(change: Change, place: str):
    with pytest.raises(ConfigurationError, match=place):
        parse(changed(change))


def test_text_that_is_no_yaml_is_refused_in_a_sentence():
    with pytest.raises(ConfigurationError, match="Expected YAML"):
        parse("queues: [")


def test_a_consumer_keeps_in_reserve_less_than_its_function_may_take():
    reserves = {
        "transform": RESERVE_SECONDS,
        "loader": Settings().warehouse_lock_timeout_seconds + TRANSACTION_SECONDS,
    }

    assert reserves.keys() == topology().event_source_mappings.keys()
    assert all(seconds < topology().functions[name].timeout_seconds for name, seconds in reserves.items())
