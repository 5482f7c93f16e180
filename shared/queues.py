"""The queues: send until every entry is acknowledged, park with a reason, put off, count.

Invariant: `send` returns only when SQS acknowledged each message; a batch answer of 200 with `Failed` entries inside
is not an acknowledgement. A second send of the same message is harmless downstream.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import QueueUnavailable

BATCH = 10
"""What SendMessageBatch takes at most."""
TRIES = 3
"""For entries that SQS refused for its own reasons, before the caller is told."""
REASON_CHARACTERS = 1024
"""Of a parked message's reason: enough to act on, far below what an attribute may hold."""


@dataclass(frozen=True)
class QueueDepth:
    """How many messages a queue holds: visible, in flight (received, not yet deleted), delayed."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.visible + self.in_flight + self.delayed


@dataclass(frozen=True)
class Received:
    """A message received for a while: hidden from others until its visibility is restored or times out.

    `sent_at` is the queue's own clock; `attributes` are those its sender gave it.
    """

    message_id: str
    receipt_handle: str
    receive_count: int
    sent_at: datetime
    body: str
    attributes: Mapping[str, str]


class Queue:
    """One SQS queue."""

    def __init__(self, client: Any, url: str) -> None:
        """Take a boto3 SQS client and the queue's URL."""
        self._client = client
        self.url = url

    def send(self, bodies: Sequence[str]) -> None:
        """Send messages, ten a call. Raises QueueUnavailable unless every one was acknowledged."""
        for group in _groups(bodies):
            self._send_group(dict(enumerate(group)))

    def receive(self, hidden_seconds: int) -> list[Received]:
        """Up to ten messages, hidden from everybody else for so long; none where nothing is visible now."""
        found = self._call(
            "receive_message",
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=hidden_seconds,
            WaitTimeSeconds=0,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        )
        return [_received(message) for message in found.get("Messages", [])]

    def delete(self, receipt_handle: str) -> None:
        """Remove a received message for good; one that is gone already stays gone."""
        self._call("delete_message", ReceiptHandle=receipt_handle)

    def park(self, body: str, attributes: Mapping[str, str]) -> None:
        """Send one message with attributes that say why it is here (this queue being a dead-letter queue)."""
        typed = {
            name: {"DataType": "String", "StringValue": value[:REASON_CHARACTERS] or "-"}
            for name, value in attributes.items()
        }
        self._call("send_message", MessageBody=body, MessageAttributes=typed)

    def put_off(self, receipt_handle: str, seconds: int) -> None:
        """Make a received message visible again after so many seconds."""
        self._call("change_message_visibility", ReceiptHandle=receipt_handle, VisibilityTimeout=seconds)

    def depth(self) -> QueueDepth:
        """The queue's own, approximate counts."""
        names = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        found = self._call("get_queue_attributes", AttributeNames=list(names))["Attributes"]
        return QueueDepth(*(int(found.get(name, 0)) for name in names))

    def _send_group(self, waiting: dict[int, str]) -> None:
        """Send up to ten; those refused by the service are tried again, those refused for our mistake are not."""
        for _ in range(TRIES):
            entries = [{"Id": str(number), "MessageBody": body} for number, body in waiting.items()]
            failed = self._call("send_message_batch", Entries=entries).get("Failed", [])
            waiting = {int(entry["Id"]): waiting[int(entry["Id"])] for entry in failed}
            if not waiting or any(entry["SenderFault"] for entry in failed):
                break
        if waiting:
            reasons = sorted({f"{entry['Code']} {entry.get('Message', '')}".strip() for entry in failed})
            raise QueueUnavailable(f"{self.url} did not acknowledge {len(waiting)} messages: {'; '.join(reasons)}.")

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(QueueUrl=self.url, **arguments)
            return answer
        except (ClientError, BotoCoreError) as exc:
            raise QueueUnavailable(f"{self.url} failed {operation}: {exc}.") from exc


def _received(message: Mapping[str, Any]) -> Received:
    system = message["Attributes"]
    return Received(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        receive_count=int(system["ApproximateReceiveCount"]),
        sent_at=datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC),
        body=message["Body"],
        attributes={name: each.get("StringValue", "") for name, each in message.get("MessageAttributes", {}).items()},
    )


def _groups(bodies: Sequence[str]) -> Iterator[Sequence[str]]:
    return (bodies[start : start + BATCH] for start in range(0, len(bodies), BATCH))
