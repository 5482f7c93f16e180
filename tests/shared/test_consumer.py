"""A message is done, handed back, or parked with its reason; never dropped."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from botocore.exceptions import EndpointConnectionError

from shared.consumer import LONGEST_DELAY_SECONDS, Consumer, delay_for, delay_seconds, deliveries, no_time
from shared.errors import ContractDrift, CorruptObject, QueueUnavailable, WarehouseUnavailable
from shared.queues import Queue
from shared.telemetry import logger
from tests.contracts.test_messages import change
from tests.shared.emf import metrics_in

TOPOLOGY = Path(__file__).parents[2] / "terraform" / "topology.yaml"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
QUEUES = ("changes", "loads")
CHANGE = change()


class Sqs:
    """Remembers what was put off, parked and deleted; deaf to the operations named."""

    def __init__(self, deaf_to=()):
        self.deaf_to = deaf_to
        self.put_off = {}
        self.parked = {}
        self.deleted = []

    def change_message_visibility(self, QueueUrl, ReceiptHandle, VisibilityTimeout):  # noqa: N803 - boto3's names
        self._listen("put_off")
        self.put_off[ReceiptHandle] = VisibilityTimeout

    def send_message(self, QueueUrl, MessageBody, MessageAttributes):  # noqa: N803 - boto3's names
        self._listen("park")
        assert QueueUrl == "dead letters"
        self.parked[MessageBody] = {name: value["StringValue"] for name, value in MessageAttributes.items()}

    def delete_message(self, QueueUrl, ReceiptHandle):  # noqa: N803 - boto3's names
        self._listen("delete")
        assert QueueUrl == "queue"
        self.deleted.append(ReceiptHandle)

    def _listen(self, operation):
        if operation in self.deaf_to:
            raise EndpointConnectionError(endpoint_url="https://sqs")


def event(*receives, **attributes):
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": f"b{number}",
                "attributes": {"ApproximateReceiveCount": str(count)},
                "messageAttributes": {name: {"stringValue": value} for name, value in attributes.items()},
            }
            for number, count in enumerate(receives)
        ]
    }


def consumer(sqs, handle, **changes):
    queues = {"queue": Queue(sqs, "queue"), "dead_letters": Queue(sqs, "dead letters")}
    fixed = {"reserve_seconds": 10.0, "draw": lambda: 0.0, "now": lambda: NOW}
    return Consumer(handle, **queues, log=logger("test", "INFO"), **{**fixed, **changes})


def consume(one, *receives, seconds_left=lambda: 60.0, **attributes):
    answer = one.consume(event(*receives, **attributes), seconds_left)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def kept(sqs, failures, *receives, **attributes):
    """What stays, where these messages fail."""

    def handle(received, in_time):
        return {one.message_id: failures[one.message_id] for one in received if one.message_id in failures}

    return consume(consumer(sqs, handle), *receives, **attributes)


def test_the_handler_gets_every_message_of_the_event():
    received = deliveries(event(1, 7))

    assert [(delivery.message_id, delivery.receipt_handle, delivery.body) for delivery in received] == [
        ("m0", "r0", "b0"),
        ("m1", "r1", "b1"),
    ]
    assert [delivery.receive_count for delivery in received] == [1, 7]


def test_a_message_without_failure_is_done_and_left_to_lambda():
    sqs = Sqs()

    assert kept(sqs, {}, 1, 1) == []
    assert (sqs.put_off, sqs.parked, sqs.deleted) == ({}, {}, [])


def test_a_passing_failure_keeps_its_message_and_puts_it_off_longer_each_time():
    sqs = Sqs()
    failures = {f"m{number}": WarehouseUnavailable("not now") for number in range(4)}

    assert kept(sqs, failures, 1, 2, 3, 50) == ["m0", "m1", "m2", "m3"]
    assert sqs.put_off == {"r0": 2, "r1": 4, "r2": 8, "r3": LONGEST_DELAY_SECONDS}
    assert (sqs.parked, sqs.deleted) == ({}, [])


def test_a_violation_is_parked_at_once_with_its_reason_and_stops_no_other():
    sqs = Sqs()
    failures = {"m0": ContractDrift("21 of 100"), "m2": CorruptObject("gone")}
    at = NOW.isoformat()

    assert kept(sqs, failures, 1, 1, 3) == []
    assert sqs.put_off == {}
    assert sqs.parked == {
        "b0": {"reason": "21 of 100", "reason_class": "contract_drift", "receives": "1", "first_failed_at": at},
        "b2": {"reason": "gone", "reason_class": "corrupt_object", "receives": "3", "first_failed_at": at},
    }


def test_parked_messages_are_counted_by_their_cause(capsys):
    kept(
        Sqs(), {"m0": ContractDrift("21 of 100"), "m1": CorruptObject("gone"), "m2": CorruptObject("bent")}, 1, 1, 1, 1
    )

    assert metrics_in(capsys.readouterr().out) == {
        ("parked_messages", "test", ""): [1, 1, 1],
        ("parked_messages", "test", "contract_drift"): [1],
        ("parked_messages", "test", "corrupt_object"): [1, 1],
    }


def test_what_cannot_be_parked_now_is_not_counted(capsys):
    kept(Sqs(deaf_to={"park"}), {"m0": CorruptObject("gone")}, 1)

    assert metrics_in(capsys.readouterr().out) == {}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CorruptObject("gone"), "parked"),
        (WarehouseUnavailable("not now"), "handed back"),
        (no_time(), "not tried"),
    ],
)
def test_what_becomes_of_a_message_is_said_under_the_change_batch_it_comes_from(caplog, error, said):
    def handle(received, in_time):
        return {received[0].message_id: error}

    arrived = event(1)
    arrived["Records"][0]["body"] = CHANGE.body()
    consumer(Sqs(), handle).consume(arrived, lambda: 60.0)

    assert [(record.getMessage(), record.batch) for record in caplog.records] == [(said, CHANGE.id)]


def test_a_replayed_message_that_fails_again_is_parked_with_what_its_replay_said():
    sqs = Sqs()
    said = {"replays": "1", "replay": "r-7", "first_failed_at": "2026-06-01T08:00:00+00:00"}

    assert kept(sqs, {"m0": CorruptObject("still gone")}, 1, **said) == []
    assert sqs.parked == {"b0": said | {"reason": "still gone", "reason_class": "corrupt_object", "receives": "1"}}


@pytest.mark.parametrize("deaf_to", ["park", "put_off"])
def test_a_message_that_cannot_be_settled_stays_and_holds_no_neighbour_up(deaf_to):
    sqs = Sqs(deaf_to={deaf_to})
    failures = {"m0": CorruptObject("gone"), "m1": QueueUnavailable("not now")}

    left = kept(sqs, failures, 1, 1, 1)

    assert left == (["m0", "m1"] if deaf_to == "park" else ["m1"])
    assert list(sqs.parked) == ([] if deaf_to == "park" else ["b0"])


def test_what_was_received_before_is_tried_alone_and_last_when_what_is_done_is_deleted():
    sqs, tried = Sqs(), []

    def handle(received, in_time):
        tried.append(([one.message_id for one in received], list(sqs.deleted)))
        return {one.message_id: WarehouseUnavailable("not now") for one in received if one.message_id == "m2"}

    left = consume(consumer(sqs, handle), 3, 1, 1, 2, 1)

    assert left == ["m2"]
    assert tried == [
        (["m1", "m2", "m4"], []),
        (["m0"], ["r1", "r4"]),
        (["m3"], ["r1", "r4", "r0"]),
    ]


def test_suspects_are_tried_in_the_order_drawn_however_often_they_were_received():
    tried, drawn = [], iter([0.9, 0.1, 0.5])

    def handle(received, in_time):
        tried.extend(one.message_id for one in received)
        return {}

    consume(consumer(Sqs(), handle, draw=lambda: next(drawn)), 2, 3, 2)

    assert tried == ["m1", "m2", "m0"]


def test_a_delete_that_sqs_refuses_loses_nothing_and_holds_nothing_up():
    sqs, tried = Sqs(deaf_to={"delete"}), []

    def handle(received, in_time):
        tried.extend(one.message_id for one in received)
        return {}

    assert consume(consumer(sqs, handle), 1, 2, 3) == []
    assert tried == ["m0", "m1", "m2"]


class Clock:
    """An invocation of so many seconds, of which each message takes some."""

    def __init__(self, seconds, each):
        self.left, self.each = seconds, each

    def seconds_left(self):
        return self.left

    def handle(self, received, in_time):
        failures = {}
        for one in received:
            if in_time():
                self.left -= self.each
                assert self.left >= 0, "ended by force"
            else:
                failures[one.message_id] = no_time()
        return failures


@pytest.mark.parametrize("receives", [(1,) * 10, (2,) * 10, (1, 1, 1, 1, 1, 2, 3, 4, 5, 6)])
def test_what_there_is_no_time_for_is_put_back_at_once_and_no_invocation_is_ended_by_force(receives):
    sqs, clock = Sqs(), Clock(60, each=10)

    left = consume(consumer(sqs, clock.handle), *receives, seconds_left=clock.seconds_left)

    assert left == ["m6", "m7", "m8", "m9"]
    assert sqs.put_off == {"r6": 0, "r7": 0, "r8": 0, "r9": 0}
    assert sqs.parked == {}


def test_a_function_that_is_given_little_time_still_does_more_than_one_message():
    sqs, clock = Sqs(), Clock(5, each=1)

    assert consume(consumer(sqs, clock.handle), 1, 1, 1, seconds_left=clock.seconds_left) == []


def test_the_first_message_is_tried_however_little_time_is_left():
    sqs, clock = Sqs(), Clock(5, each=3)

    left = consume(consumer(sqs, clock.handle), 1, 1, seconds_left=clock.seconds_left)

    assert left == ["m1"]


def test_a_message_that_is_never_tried_does_not_use_up_its_receives():
    delays = [delay_for(no_time(), count) for count in range(1, 64)]

    assert delays[:9] == [0] * 9
    assert set(delays[9:]) == {LONGEST_DELAY_SECONDS}


def test_delays_grow_and_end_at_the_longest():
    delays = [delay_seconds(count) for count in range(1, 200)]

    assert delays == sorted(delays)
    assert delays[0] == 2
    assert delays[-1] == LONGEST_DELAY_SECONDS


@pytest.mark.skipif(not TOPOLOGY.exists(), reason="terraform/topology.yaml is not written yet")
@pytest.mark.parametrize("error", [WarehouseUnavailable("not now"), no_time()], ids=["outage", "no time"])
@pytest.mark.parametrize("queue", QUEUES)
def test_messages_that_stay_outlast_an_outage_of_12_hours(queue, error):
    topology = yaml.safe_load(TOPOLOGY.read_text())
    receives = topology["queues"][queue]["max_receive_count"]

    hours_until_the_last_receive = sum(delay_for(error, count) for count in range(1, receives)) / 3600

    assert hours_until_the_last_receive >= 12
    assert hours_until_the_last_receive < 24 * topology["queues"][queue]["retention_days"]
