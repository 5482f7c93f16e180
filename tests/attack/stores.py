"""An object store and queues in memory, with the answers of boto3's clients that the pipeline uses, and no more.

The queues duplicate, reorder, delay and refuse on request. The suite in test_stores.py also runs on moto, so that the
fakes answer as the real ones do. Time is a clock that only moves when it is told to.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from itertools import count
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

PAGE_KEYS = 1000
"""What one page of a listing holds."""
VISIBILITY_SECONDS = 360.0
"""How long a received message stays away if nobody says otherwise."""
MOST_ENTRIES = 10
"""What SendMessageBatch takes."""


@dataclass
class Clock:
    """Monotonic seconds; a sleep is over at once."""

    seconds: float = 1000.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def moment(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class NoSuchKey(ClientError):
    """As a client's own exceptions are: a ClientError of one code."""


def refusal(code: str, status: int, operation: str, kind: type[ClientError] = ClientError) -> ClientError:
    """The error a service answers with."""
    return kind(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


@dataclass(frozen=True)
class _Stored:
    body: bytes
    metadata: dict[str, str]
    etag: str
    modified: datetime


class MemoryS3:
    """Buckets by name; a bucket is there when it is named."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._objects: dict[str, dict[str, _Stored]] = {}
        self.after_put: Callable[[str, str, bytes], None] = lambda bucket, key, body: None

    def keys(self, bucket: str) -> list[str]:
        return sorted(self._objects.get(bucket, {}))

    def body(self, bucket: str, key: str) -> bytes | None:
        found = self._objects.get(bucket, {}).get(key)
        return None if found is None else found.body

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803 - boto3's names
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        Metadata: dict[str, str] | None = None,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        found = self._objects.get(Bucket, {}).get(Key)
        if IfMatch is not None and found is None:
            raise refusal("NoSuchKey", 404, "PutObject")
        taken = IfNoneMatch is not None and found is not None
        if taken or (IfMatch is not None and found is not None and found.etag != IfMatch):
            raise refusal("PreconditionFailed", 412, "PutObject")
        etag = f'"{hashlib.md5(Body, usedforsecurity=False).hexdigest()}"'
        modified = self._clock.moment().replace(microsecond=0)
        self._objects.setdefault(Bucket, {})[Key] = _Stored(bytes(Body), dict(Metadata or {}), etag, modified)
        self.after_put(Bucket, Key, bytes(Body))
        return {"ETag": etag}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        found = self._objects.get(Bucket, {}).get(Key)
        if found is None:
            raise refusal("NoSuchKey", 404, "GetObject", NoSuchKey)
        headers = {"date": format_datetime(self._clock.moment(), usegmt=True)}
        return {
            "Body": BytesIO(found.body),
            "ETag": found.etag,
            "LastModified": found.modified,
            "Metadata": dict(found.metadata),
            "ResponseMetadata": {"HTTPHeaders": headers},
        }

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        found = self._objects.get(Bucket, {}).get(Key)
        if found is None:
            raise refusal("404", 404, "HeadObject")
        return {"Metadata": dict(found.metadata), "ETag": found.etag}

    def get_paginator(self, name: str) -> Any:
        assert name == "list_objects_v2"
        return SimpleNamespace(paginate=self._pages)

    def _pages(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str,  # noqa: N803
        StartAfter: str = "",  # noqa: N803
        Delimiter: str = "",  # noqa: N803
    ) -> Iterator[dict[str, Any]]:
        keys = [key for key in self.keys(Bucket) if key.startswith(Prefix) and key > StartAfter]
        if not keys:
            yield {"KeyCount": 0}
        if Delimiter:
            rests = [key.removeprefix(Prefix).partition(Delimiter) for key in keys]
            folders = sorted({f"{Prefix}{name}{end}" for name, end, _ in rests if end})
            yield {"CommonPrefixes": [{"Prefix": folder} for folder in folders]}
            return
        for start in range(0, len(keys), PAGE_KEYS):
            page = keys[start : start + PAGE_KEYS]
            yield {"Contents": [{"Key": key, "Size": len(self._objects[Bucket][key].body)} for key in page]}


@dataclass
class Message:
    """One message on a queue: how often it was received, and from when it can be seen."""

    id: str
    body: str
    attributes: dict[str, Any]
    visible_at: float
    received: int = 0
    handle: str = ""


@dataclass
class Trouble:
    """What the next sends meet: so many entries refused inside a 200, so many stored twice."""

    refuse: int = 0
    double: int = 0
    refused: int = 0
    doubled: int = 0


@dataclass
class MemorySqs:
    """Standard queues: any order, now and then a message twice."""

    clock: Clock
    trouble: Trouble = field(default_factory=Trouble)
    accepted: list[tuple[str, str]] = field(default_factory=list)
    """Queue and body of every message that was acknowledged."""
    exceptions = SimpleNamespace()

    def __post_init__(self) -> None:
        self._queues: dict[str, list[Message]] = {}
        self._numbers = count()

    def create_queue(self, *, QueueName: str) -> dict[str, str]:  # noqa: N803
        self._queues.setdefault(QueueName, [])
        return {"QueueUrl": QueueName}

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self._queue(QueueUrl, "SendMessageBatch")
        if not 0 < len(Entries) <= MOST_ENTRIES:
            raise refusal("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400, "SendMessageBatch")
        answer: dict[str, Any] = {"Successful": []}
        for entry in reversed(Entries):
            if self.trouble.refuse:
                self.trouble.refuse -= 1
                self.trouble.refused += 1
                refused = {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False}
                answer.setdefault("Failed", []).append(refused)
            else:
                kept = self._accept(QueueUrl, entry["MessageBody"], {})
                answer["Successful"].append({"Id": entry["Id"], "MessageId": kept.id})
        return answer

    def send_message(self, *, QueueUrl: str, MessageBody: str, MessageAttributes: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        self._queue(QueueUrl, "SendMessage")
        return {"MessageId": self._accept(QueueUrl, MessageBody, MessageAttributes).id}

    def receive_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int = 1,  # noqa: N803
        VisibilityTimeout: float = VISIBILITY_SECONDS,  # noqa: N803
        MessageAttributeNames: Sequence[str] = (),  # noqa: N803
        MessageSystemAttributeNames: Sequence[str] = (),  # noqa: N803
    ) -> dict[str, Any]:
        visible = [one for one in self.messages(QueueUrl) if one.visible_at <= self.clock.now()]
        found = [self.take(one, VisibilityTimeout) for one in visible[:MaxNumberOfMessages]]
        return {"Messages": found} if found else {}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> dict[str, Any]:  # noqa: N803
        queue = self._queue(QueueUrl, "DeleteMessage")
        queue[:] = [one for one in queue if one.handle != ReceiptHandle]
        return {}

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: float,  # noqa: N803
    ) -> dict[str, Any]:
        for one in self._queue(QueueUrl, "ChangeMessageVisibility"):
            if one.handle == ReceiptHandle:
                one.visible_at = self.clock.now() + VisibilityTimeout
        return {}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: Sequence[str]) -> dict[str, Any]:  # noqa: N803
        queue = self._queue(QueueUrl, "GetQueueAttributes")
        visible = sum(one.visible_at <= self.clock.now() for one in queue)
        counts = {
            "ApproximateNumberOfMessages": visible,
            "ApproximateNumberOfMessagesNotVisible": len(queue) - visible,
            "ApproximateNumberOfMessagesDelayed": 0,
        }
        return {"Attributes": {name: str(counts[name]) for name in AttributeNames}}

    # -- what only a test does

    def messages(self, url: str) -> list[Message]:
        """All that were not deleted, whether they can be seen or not: a standard queue may deliver any of them."""
        return list(self._queue(url, "ReceiveMessage"))

    def take(self, message: Message, seconds: float = VISIBILITY_SECONDS) -> dict[str, Any]:
        """Receive this very message."""
        message.received += 1
        message.handle = f"{message.id}#{message.received}"
        message.visible_at = self.clock.now() + seconds
        return {
            "MessageId": message.id,
            "ReceiptHandle": message.handle,
            "Body": message.body,
            "Attributes": {"ApproximateReceiveCount": str(message.received)},
            "MessageAttributes": message.attributes,
        }

    def _accept(self, url: str, body: str, attributes: dict[str, Any]) -> Message:
        self.accepted.append((url, body))
        times = 1
        if self.trouble.double:
            self.trouble.double -= 1
            self.trouble.doubled += 1
            times = 2
        for _ in range(times):
            kept = Message(f"m{next(self._numbers)}", body, attributes, self.clock.now())
            self._queues[url].append(kept)
        return kept

    def _queue(self, url: str, operation: str) -> list[Message]:
        if url not in self._queues:
            raise refusal("AWS.SimpleQueueService.NonExistentQueue", 400, operation)
        return self._queues[url]
