"""Every metric is a line that CloudWatch reads, for the service and for the service with one dimension."""

import json

import pytest

from shared.telemetry import METRICS, NAMESPACE, emit, logger, metrics_table
from tests.shared.emf import metrics_of

UNITS = {"Count", "Seconds", "Count/Second"}
NAMES = {
    "rows_captured",
    "as_of_age_seconds",
    "look_back_seconds",
    "rows_quarantined",
    "rows_loaded",
    "rows_per_second",
    "freshness_seconds",
    "heartbeat_age_seconds",
    "drift_rows",
    "repaired_rows",
    "held_back_rows",
    "inferred_members",
    "parked_messages",
}


def test_a_line_counts_for_the_service_and_for_the_service_with_its_feed(capsys: pytest.CaptureFixture[str]):
    emit("poller", {"rows_captured": 3, "look_back_seconds": 2.5}, of="design")

    [line] = capsys.readouterr().out.splitlines()
    assert metrics_of(line) == {
        ("rows_captured", "poller", ""): 3,
        ("rows_captured", "poller", "design"): 3,
        ("look_back_seconds", "poller", ""): 2.5,
        ("look_back_seconds", "poller", "design"): 2.5,
    }


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_in_the_format_that_cloudwatch_reads(metric, capsys: pytest.CaptureFixture[str]):
    for service in metric.services:
        emit(service, {metric.name: 7}, of="one")

        line = json.loads(capsys.readouterr().out)
        [told] = line["_aws"]["CloudWatchMetrics"]
        assert told["Namespace"] == NAMESPACE
        beside = [] if metric.dimension is None else [["service", metric.dimension]]
        assert told["Dimensions"] == [["service"], *beside]
        assert told["Metrics"] == [{"Name": metric.name, "Unit": metric.unit.value}]
        assert isinstance(line["_aws"]["Timestamp"], int)
        assert (line["service"], line.get(metric.dimension, "one"), line[metric.name]) == (service, "one", [7.0])


def test_the_metrics_are_the_documented_ones_and_a_name_says_its_unit():
    assert {metric.name for metric in METRICS} == NAMES
    assert len(METRICS) == len(NAMES)
    assert {metric.unit.value for metric in METRICS} == UNITS
    assert all(metric.name.endswith("_seconds") == (metric.unit.value == "Seconds") for metric in METRICS)


def test_what_is_no_metric_is_refused():
    with pytest.raises(KeyError):
        emit("poller", {"rows_lost": 1}, of="design")


def test_two_deployments_in_one_account_do_not_mix_their_metrics(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "totes-prod")

    emit("poller", {"rows_captured": 3}, of="design")

    [told] = json.loads(capsys.readouterr().out)["_aws"]["CloudWatchMetrics"]
    assert told["Namespace"] == "totes-prod"


def test_nothing_measured_is_no_line(capsys: pytest.CaptureFixture[str]):
    emit("poller", {}, of="design")

    assert capsys.readouterr().out == ""


def test_the_embedded_stack_emits_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")

    emit("poller", {"look_back_seconds": 2.5}, of="design")

    assert capsys.readouterr().out == ""


def test_the_table_of_metrics_has_a_row_for_each():
    lines = metrics_table().splitlines()

    assert lines[0] == "| metric | unit | statistic | dimensions | emitted by | meaning |"
    assert [line.split("`")[1] for line in lines[2:]] == [metric.name for metric in METRICS]
    assert {line.count("|") for line in lines} == {7}


def test_a_line_about_a_batch_is_json_with_the_batch_as_its_key(capsys: pytest.CaptureFixture[str]):
    log = logger("test-telemetry", "INFO")

    log.info("published", batch="design/g1.r2.v1.p3/abc", rows=3)

    line = json.loads(capsys.readouterr().out)
    assert (line["message"], line["batch"], line["rows"], line["service"]) == (
        "published",
        "design/g1.r2.v1.p3/abc",
        3,
        "test-telemetry",
    )
