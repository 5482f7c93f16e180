"""One key joins what all stages say of a change batch, and every stage is measured by feed."""

import logging
from collections import defaultdict

import pytest

from shared.telemetry import BATCH, logger
from tests.reconciler.conftest import Pipeline
from tests.shared.emf import metrics_in

SAID = {"published", "transformed", "loaded", "already there"}
SERVICES = ("poller-test", "delivery-test", "reconciler-test")


def told(caplog: pytest.LogCaptureFixture) -> dict[str, list[str]]:
    """What was said of each change batch, in order; no such line may lack its batch."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in caplog.records:
        if record.getMessage() in SAID:
            found[getattr(record, BATCH)].append(record.getMessage())
    return found


@pytest.fixture
def listening(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    for service in SERVICES:
        logger(service, "CRITICAL")
        caplog.set_level(logging.INFO, logger=service)
    return caplog


def test_every_stage_says_what_became_of_a_batch_under_its_id(pipeline: Pipeline, listening: pytest.LogCaptureFixture):
    pipeline.source("UPDATE sales_order SET units_sold = 700, last_updated = now() WHERE sales_order_id = 7")
    pipeline.capture()
    pipeline.source("UPDATE sales_order SET units_sold = 800 WHERE sales_order_id = 8")
    pipeline.mend()

    found = told(listening)

    assert list(found.values()) == [["published", "transformed", "loaded"]] * 2
    booked = pipeline.rows("SELECT change_batch FROM _load_batch WHERE feed = 'sales_order' ORDER BY loaded_at")
    assert [[batch] for batch in found] == booked[-2:]


def test_a_batch_delivered_twice_is_said_to_be_there_already_and_is_measured_once(
    pipeline: Pipeline, listening: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    pipeline.source("UPDATE sales_order SET units_sold = 700, last_updated = now() WHERE sales_order_id = 7")
    pipeline.poll()
    [message] = pipeline.aws.sqs.receive_message(QueueUrl=pipeline.aws.changes, VisibilityTimeout=0)["Messages"]
    capsys.readouterr()

    pipeline.deliver()
    pipeline.aws.sqs.send_message(QueueUrl=pipeline.aws.changes, MessageBody=message["Body"])
    pipeline.deliver()

    measured = metrics_in(capsys.readouterr().out)
    assert list(told(listening).values()) == [["published", "transformed", "loaded", "transformed", "already there"]]
    assert measured["rows_loaded", "delivery-test", "sales_order"] == [1]
    assert len(measured["freshness_seconds", "delivery-test", "sales_order"]) == 1
