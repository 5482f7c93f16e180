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
BATCH_BYTES = 200_000
"""Together in one call, well below the 256 KiB that every SQS takes: what is counted as an attribute's size differs."""
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
            self._send_entries({number: {"MessageBody": body} for number, body in enumerate(group)})

    def send_again(self, messages: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Send bodies with attributes of their own, ten a call. Raises QueueUnavailable as `send` does."""
        for group in _fitting(messages):
            self._send_entries(
                {
                    number: {"MessageBody": body, "MessageAttributes": _typed(attributes)}
                    for number, (body, attributes) in enumerate(group)
                }
            )

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
        self._call("send_message", MessageBody=body, MessageAttributes=_typed(attributes))

    def delete_all(self, receipt_handles: Sequence[str]) -> None:
        """Remove received messages for good, ten a call. Raises QueueUnavailable unless each one was acknowledged."""
        for group in _groups(receipt_handles):
            entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(group)]
            failed = self._call("delete_message_batch", Entries=entries).get("Failed", [])
            if failed:
                code = failed[0]["Code"]
                raise QueueUnavailable(f"{self.url} did not delete {len(failed)} of {len(group)} messages: {code}.")

    def put_off(self, receipt_handle: str, seconds: int) -> None:
        """Make a received message visible again after so many seconds."""
        self._call("change_message_visibility", ReceiptHandle=receipt_handle, VisibilityTimeout=seconds)

    def restore(self, receipt_handles: Sequence[str]) -> None:
        """Make received messages visible again at once, ten a call; one that is visible or gone already is left so.

        Raises QueueUnavailable after every group was tried.
        """
        refused = [error for group in _groups(receipt_handles) for error in self._restore_group(group)]
        if refused:
            raise refused[0]

    def depth(self) -> QueueDepth:
        """The queue's own, approximate counts."""
        names = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        found = self._call("get_queue_attributes", AttributeNames=list(names))["Attributes"]
        return QueueDepth(*(int(found.get(name, 0)) for name in names))

    def _send_entries(self, waiting: dict[int, dict[str, Any]]) -> None:
        """Send up to ten; those refused by the service are tried again, those refused for our mistake are not."""
        for _ in range(TRIES):
            entries = [{"Id": str(number), **entry} for number, entry in waiting.items()]
            failed = self._call("send_message_batch", Entries=entries).get("Failed", [])
            waiting = {int(entry["Id"]): waiting[int(entry["Id"])] for entry in failed}
            if not waiting or any(entry["SenderFault"] for entry in failed):
                break
        if waiting:
            reasons = sorted({f"{entry['Code']} {entry.get('Message', '')}".strip() for entry in failed})
            raise QueueUnavailable(f"{self.url} did not acknowledge {len(waiting)} messages: {'; '.join(reasons)}.")

    def _restore_group(self, handles: Sequence[str]) -> list[QueueUnavailable]:
        """What SQS refused for its own reasons is tried again; a handle that is stale has nothing to restore."""
        waiting = dict(enumerate(handles))
        try:
            for _ in range(TRIES):
                entries = [
                    {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for number, handle in waiting.items()
                ]
                failed = self._call("change_message_visibility_batch", Entries=entries).get("Failed", [])
                waiting = {int(entry["Id"]): waiting[int(entry["Id"])] for entry in failed if not entry["SenderFault"]}
                if not waiting:
                    return []
        except QueueUnavailable as exc:
            return [exc]
        return [QueueUnavailable(f"{self.url} did not restore {len(waiting)} messages: they come back by themselves.")]

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


def _typed(attributes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {
        name: {"DataType": "String", "StringValue": value[:REASON_CHARACTERS] or "-"}
        for name, value in attributes.items()
    }


def _fitting(messages: Sequence[tuple[str, Mapping[str, str]]]) -> Iterator[Sequence[tuple[str, Mapping[str, str]]]]:
    """Groups of ten, or of as many as fit into one call: a parked message may be as large as a queue takes."""
    group, size = list[tuple[str, Mapping[str, str]]](), 0
    for message in messages:
        weight = len(message[0].encode()) + sum(len(name) + len(value) for name, value in message[1].items())
        if group and (len(group) == BATCH or size + weight > BATCH_BYTES):
            yield group
            group, size = [], 0
        group.append(message)
        size += weight
    if group:
        yield group


def _groups(bodies: Sequence[str]) -> Iterator[Sequence[str]]:
    return (bodies[start : start + BATCH] for start in range(0, len(bodies), BATCH))
