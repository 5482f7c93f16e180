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
