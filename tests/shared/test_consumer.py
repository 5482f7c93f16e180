"""A message is done, handed back, or parked with its reason; never dropped."""

from pathlib import Path

import pytest
import yaml
from botocore.exceptions import EndpointConnectionError

from shared.consumer import LONGEST_DELAY_SECONDS, consume, delay_seconds, deliveries
from shared.errors import ContractDrift, CorruptObject, QueueUnavailable, WarehouseUnavailable
from shared.queues import Queue
from shared.telemetry import logger

TOPOLOGY = Path(__file__).parents[2] / "terraform" / "topology.yaml"


class Sqs:
    """Remembers what was put off and parked; deaf to the operations named."""

    def __init__(self, deaf_to=()):
        self.deaf_to = deaf_to
        self.put_off = {}
        self.parked = {}

    def change_message_visibility(self, QueueUrl, ReceiptHandle, VisibilityTimeout):  # noqa: N803 - boto3's names
        self._listen("put_off")
        self.put_off[ReceiptHandle] = VisibilityTimeout

    def send_message(self, QueueUrl, MessageBody, MessageAttributes):  # noqa: N803 - boto3's names
        self._listen("park")
        assert QueueUrl == "dead letters"
        self.parked[MessageBody] = {name: value["StringValue"] for name, value in MessageAttributes.items()}

    def _listen(self, operation):
        if operation in self.deaf_to:
            raise EndpointConnectionError(endpoint_url="https://sqs")


def event(*receives):
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": f"b{number}",
                "attributes": {"ApproximateReceiveCount": str(count)},
            }
            for number, count in enumerate(receives)
        ]
    }


def kept(sqs, failures, *receives):
    answer = consume(
        event(*receives),
        lambda received: failures,
        queue=Queue(sqs, "queue"),
        dead_letters=Queue(sqs, "dead letters"),
        log=logger("test", "INFO"),
    )
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_the_handler_gets_every_message_of_the_event():
    received = deliveries(event(1, 7))

    assert [(delivery.message_id, delivery.receipt_handle, delivery.body) for delivery in received] == [
        ("m0", "r0", "b0"),
        ("m1", "r1", "b1"),
    ]
    assert [delivery.receive_count for delivery in received] == [1, 7]


def test_a_message_without_failure_is_done():
    sqs = Sqs()

    assert kept(sqs, {}, 1, 1) == []
    assert (sqs.put_off, sqs.parked) == ({}, {})


def test_a_passing_failure_keeps_its_message_and_puts_it_off_longer_each_time():
    sqs = Sqs()
    failures = {f"m{number}": WarehouseUnavailable("not now") for number in range(4)}

    assert kept(sqs, failures, 1, 2, 3, 50) == ["m0", "m1", "m2", "m3"]
    assert sqs.put_off == {"r0": 2, "r1": 4, "r2": 8, "r3": LONGEST_DELAY_SECONDS}
    assert sqs.parked == {}


def test_a_violation_is_parked_at_once_with_its_reason_and_stops_no_other():
    sqs = Sqs()
    failures = {"m0": ContractDrift("21 of 100"), "m2": CorruptObject("gone")}

    assert kept(sqs, failures, 1, 1, 3) == []
    assert sqs.put_off == {}
    assert sqs.parked == {
        "b0": {"reason": "21 of 100", "reason_class": "contract_drift", "receives": "1"},
        "b2": {"reason": "gone", "reason_class": "corrupt_object", "receives": "3"},
    }


@pytest.mark.parametrize("deaf_to", ["park", "put_off"])
def test_a_message_that_cannot_be_settled_stays_and_holds_no_neighbour_up(deaf_to):
    sqs = Sqs(deaf_to={deaf_to})
    failures = {"m0": CorruptObject("gone"), "m1": QueueUnavailable("not now")}

    left = kept(sqs, failures, 1, 1, 1)

    assert left == (["m0", "m1"] if deaf_to == "park" else ["m1"])
    assert list(sqs.parked) == ([] if deaf_to == "park" else ["b0"])


def test_delays_grow_and_end_at_the_longest():
    delays = [delay_seconds(count) for count in range(1, 200)]

    assert delays == sorted(delays)
    assert delays[0] == 2
    assert delays[-1] == LONGEST_DELAY_SECONDS


@pytest.mark.skipif(not TOPOLOGY.exists(), reason="terraform/topology.yaml is not written yet")
@pytest.mark.parametrize("queue", ["changes", "loads"])
def test_handed_back_messages_outlast_an_outage_of_12_hours(queue):
    topology = yaml.safe_load(TOPOLOGY.read_text())
    receives = topology["queues"][queue]["max_receive_count"]

    hours_until_the_last_receive = sum(delay_seconds(count) for count in range(1, receives)) / 3600

    assert hours_until_the_last_receive >= 12
    assert hours_until_the_last_receive < 24 * topology["queues"][queue]["retention_days"]
