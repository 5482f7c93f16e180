"""A message is sent when SQS said so, entry by entry."""

import pytest
from botocore.exceptions import EndpointConnectionError

from shared.errors import QueueUnavailable
from shared.queues import REASON_CHARACTERS, TRIES, Queue, QueueDepth


class PickySqs:
    """Answers 200 and refuses entries inside: each body as often as told, for its own reasons or for ours."""

    def __init__(self, refusals=None, sender_fault=False):
        self.refusals = dict(refusals or {})
        self.sender_fault = sender_fault
        self.taken = []
        self.calls = []

    def send_message_batch(self, QueueUrl, Entries):  # noqa: N803 - boto3's names
        self.calls.append(len(Entries))
        failed = []
        for entry in Entries:
            body = entry["MessageBody"]
            if self.refusals.get(body, 0) > 0:
                self.refusals[body] -= 1
                failed.append({"Id": entry["Id"], "SenderFault": self.sender_fault, "Code": "InternalError"})
            else:
                self.taken.append(body)
        return {"Successful": [], "Failed": failed}


def bodies(count):
    return [f"m{number}" for number in range(count)]


def received(aws, url):
    found = []
    while messages := aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        found += messages
    return found


@pytest.mark.parametrize("count", [0, 1, 10, 11, 25])
def test_all_messages_arrive_ten_a_call(aws, count):
    Queue(aws.sqs, aws.loads).send(bodies(count))

    assert sorted(message["Body"] for message in received(aws, aws.loads)) == sorted(bodies(count))


def test_a_call_carries_ten_messages_at_most():
    sqs = PickySqs()

    Queue(sqs, "q").send(bodies(25))

    assert sqs.calls == [10, 10, 5]


def test_entries_refused_inside_a_200_are_sent_again_and_only_they():
    sqs = PickySqs({"m3": 1, "m7": TRIES - 1})

    Queue(sqs, "q").send(bodies(10))

    assert sqs.calls == [10, 2, 1]
    assert sorted(sqs.taken) == bodies(10)


def test_entries_refused_for_good_are_told_with_their_reason():
    sqs = PickySqs({"m3": TRIES})

    with pytest.raises(QueueUnavailable, match="did not acknowledge 1 messages: InternalError"):
        Queue(sqs, "q").send(bodies(10))


def test_entries_refused_for_our_mistake_are_not_sent_again():
    sqs = PickySqs({"m3": 1}, sender_fault=True)

    with pytest.raises(QueueUnavailable):
        Queue(sqs, "q").send(bodies(10))

    assert sqs.calls == [10]


def test_a_queue_that_does_not_answer_is_unavailable():
    class Deaf:
        def send_message_batch(self, **arguments):
            raise EndpointConnectionError(endpoint_url="https://sqs")

    with pytest.raises(QueueUnavailable, match="q failed send_message_batch"):
        Queue(Deaf(), "q").send(["m"])


def test_a_queue_that_is_not_there_is_unavailable(aws):
    with pytest.raises(QueueUnavailable):
        Queue(aws.sqs, aws.loads + "x").send(["m"])


def test_a_parked_message_carries_its_reason(aws):
    Queue(aws.sqs, aws.loads_dlq).park("body", {"reason": "Expected this, found 👜.", "empty": "", "long": "x" * 5000})

    (message,) = received(aws, aws.loads_dlq)
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert message["Body"] == "body"
    assert attributes == {"reason": "Expected this, found 👜.", "empty": "-", "long": "x" * REASON_CHARACTERS}


def test_a_message_that_is_put_off_is_in_flight_until_its_time(aws):
    queue = Queue(aws.sqs, aws.loads)
    queue.send(bodies(3))
    (message,) = aws.sqs.receive_message(QueueUrl=aws.loads, MaxNumberOfMessages=1)["Messages"]

    queue.put_off(message["ReceiptHandle"], 900)
    waiting = queue.depth()
    queue.put_off(message["ReceiptHandle"], 0)

    assert waiting == QueueDepth(visible=2, in_flight=1, delayed=0)
    assert waiting.total == 3
    assert queue.depth() == QueueDepth(visible=3, in_flight=0, delayed=0)


def test_messages_restored_are_visible_at_once_ten_a_call(aws):
    queue = Queue(aws.sqs, aws.loads)
    queue.send(bodies(25))
    handles = [message["ReceiptHandle"] for message in received(aws, aws.loads)]

    queue.restore(handles)

    assert queue.depth() == QueueDepth(visible=25, in_flight=0, delayed=0)


class StubbornSqs:
    """Refuses to restore some handles, for its own reasons, as often as told; a stale handle is our mistake."""

    def __init__(self, refusals=None, deaf_at=None):
        self.refusals = dict(refusals or {})
        self.deaf_at = deaf_at
        self.calls = []
        self.restored = []

    def change_message_visibility_batch(self, QueueUrl, Entries):  # noqa: N803 - boto3's names
        self.calls.append(len(Entries))
        if len(self.calls) - 1 == self.deaf_at:
            raise EndpointConnectionError(endpoint_url="https://sqs")
        return {"Failed": [failed for entry in Entries for failed in self._restore(entry)]}

    def _restore(self, entry):
        handle = entry["ReceiptHandle"]
        if handle == "stale":
            return [{"Id": entry["Id"], "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}]
        if self.refusals.get(handle, 0) > 0:
            self.refusals[handle] -= 1
            return [{"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"}]
        self.restored.append(handle)
        return []


def test_what_is_stale_has_nothing_to_restore_and_what_sqs_refuses_is_tried_again():
    sqs = StubbornSqs({"m3": TRIES - 1})

    Queue(sqs, "q").restore([*bodies(5), "stale"])

    assert sorted(sqs.restored) == bodies(5)
    assert sqs.calls == [6, 1, 1]


@pytest.mark.parametrize("sqs", [StubbornSqs({"m3": TRIES}), StubbornSqs(deaf_at=0)])
def test_a_group_that_is_not_restored_costs_its_neighbours_nothing_and_is_told(sqs):
    with pytest.raises(QueueUnavailable):
        Queue(sqs, "q").restore(bodies(25))

    assert set(sqs.restored) >= set(bodies(25)[10:])


def test_what_is_sent_again_carries_its_attributes_and_is_received_with_them(aws):
    queue = Queue(aws.sqs, aws.loads)
    queue.send_again([(body, {"replays": f"{number}"}) for number, body in enumerate(bodies(13))])

    found = [message for _ in range(3) for message in queue.receive(60)]

    attributes = {message.body: message.attributes["replays"] for message in found}
    assert attributes == {f"m{number}": f"{number}" for number in range(13)}


def test_messages_as_large_as_a_queue_takes_are_sent_again_in_calls_of_their_own():
    sqs = PickySqs()
    large = "x" * 199_000

    Queue(sqs, "q").send_again([("small", {}), (large, {"replays": "1"}), (large, {"replays": "1"}), ("small", {})])

    assert sqs.calls == [2, 2]
    assert sqs.taken == ["small", large, large, "small"]


def test_what_is_deleted_together_is_gone_and_what_is_not_acknowledged_is_told(aws):
    queue = Queue(aws.sqs, aws.loads)
    queue.send(bodies(12))
    found = [message for _ in range(3) for message in queue.receive(60)]

    queue.delete_all([message.receipt_handle for message in found[:11]])

    assert queue.depth().total == 1
    with pytest.raises(QueueUnavailable, match="did not delete 1 of 1"):
        queue.delete_all(["no handle"])
