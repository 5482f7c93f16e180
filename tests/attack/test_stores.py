"""The stores in memory answer as an emulated AWS does, in all that the pipeline asks of them."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contracts.messages import ObjectRef
from shared.errors import CheckpointConflict, CorruptObject, QueueUnavailable
from shared.objects import Listed, ObjectStore, sha256
from shared.queues import Queue, QueueDepth
from tests.attack.stores import Clock, MemoryS3, MemorySqs


@dataclass
class Stores:
    """One S3 and one SQS with a bucket and a queue in them."""

    s3: Any
    sqs: Any
    bucket: str
    queue: str

    @property
    def objects(self) -> ObjectStore:
        return ObjectStore(self.s3)

    def receive(self, **options: Any) -> list[dict[str, Any]]:
        asked = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], **options}
        found = self.sqs.receive_message(
            QueueUrl=self.queue, MessageSystemAttributeNames=["ApproximateReceiveCount"], **asked
        )
        return found.get("Messages", [])


@pytest.fixture(params=["memory", "emulated"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        clock = Clock()
        sqs = MemorySqs(clock)
        return Stores(MemoryS3(clock), sqs, "archive", sqs.create_queue(QueueName="changes")["QueueUrl"])
    aws = request.getfixturevalue("aws")
    return Stores(aws.s3, aws.sqs, aws.archive, aws.changes)


def ref(stores: Stores, key: str, body: bytes) -> ObjectRef:
    return ObjectRef(bucket=stores.bucket, key=key, sha256=sha256(body), bytes=len(body), rows=1)


def test_an_object_is_stored_once_and_read_with_what_is_said_of_it(stores: Stores):
    stores.objects.put_once(ref(stores, "a/1", b"one"), b"one", {"envelope": "{}"})
    stores.objects.put_once(ref(stores, "a/1", b"one"), b"one", {"envelope": "{}"})

    with pytest.raises(CorruptObject, match="exists with digest"):
        stores.objects.put_once(ref(stores, "a/1", b"two"), b"two")

    assert stores.objects.get(ref(stores, "a/1", b"one")) == b"one"
    assert stores.objects.metadata(stores.bucket, "a/1")["envelope"] == "{}"


def test_what_is_not_there_is_told_apart_from_a_failure(stores: Stores):
    with pytest.raises(CorruptObject, match="found none"):
        stores.objects.get(ref(stores, "a/1", b"one"))
    with pytest.raises(ClientError):
        stores.s3.head_object(Bucket=stores.bucket, Key="a/1")

    assert stores.objects.find(stores.bucket, "a/1") is None


def test_compare_and_set_lets_the_faster_one_win(stores: Stores):
    first = stores.objects.compare_and_set(stores.bucket, "checkpoint", b"1", None)
    with pytest.raises(CheckpointConflict):
        stores.objects.compare_and_set(stores.bucket, "checkpoint", b"2", None)

    second = stores.objects.compare_and_set(stores.bucket, "checkpoint", b"2", first)
    with pytest.raises(CheckpointConflict):
        stores.objects.compare_and_set(stores.bucket, "checkpoint", b"3", first)
    with pytest.raises(CheckpointConflict):
        stores.objects.compare_and_set(stores.bucket, "another", b"1", first)

    found = stores.objects.find(stores.bucket, "checkpoint")
    assert found is not None
    assert (found.body, found.etag) == (b"2", second)
    assert 0 <= found.age_seconds < 5


def test_keys_are_listed_in_order_behind_one_of_them_and_under_their_own_prefix(stores: Stores):
    for key in ("b/2", "a/1", "b/1", "b/3", "ba/1"):
        stores.s3.put_object(Bucket=stores.bucket, Key=key, Body=b"")

    assert list(stores.objects.keys(stores.bucket, "b/")) == ["b/1", "b/2", "b/3"]
    assert list(stores.objects.keys(stores.bucket, "b/", "b/1")) == ["b/2", "b/3"]
    assert list(stores.objects.keys(stores.bucket, "c/")) == []


def test_a_listing_tells_sizes_and_the_folders_of_the_next_step_alone(stores: Stores):
    for key in ("b/x=1/1", "b/x=1/2", "b/x=2/y/1", "b/3", "bb/x=3/1"):
        stores.s3.put_object(Bucket=stores.bucket, Key=key, Body=b"four")

    assert list(stores.objects.folders(stores.bucket, "b/x=")) == ["1/", "2/"]
    assert list(stores.objects.folders(stores.bucket, "b/")) == ["x=1/", "x=2/"]
    assert list(stores.objects.folders(stores.bucket, "c/")) == []
    assert list(stores.objects.listed(stores.bucket, "b/x=1/")) == [Listed("b/x=1/1", 4), Listed("b/x=1/2", 4)]


def test_more_keys_than_a_page_holds_are_listed_too(stores: Stores):
    for number in range(1001):
        stores.s3.put_object(Bucket=stores.bucket, Key=f"a/{number:04d}", Body=b"")

    pages = list(stores.s3.get_paginator("list_objects_v2").paginate(Bucket=stores.bucket, Prefix="a/", StartAfter=""))

    assert [len(page["Contents"]) for page in pages] == [1000, 1]


def test_a_message_is_received_until_it_is_deleted(stores: Stores):
    Queue(stores.sqs, stores.queue).send([str(number) for number in range(12)])

    received = stores.receive() + stores.receive()
    again = stores.receive()

    assert sorted(int(one["Body"]) for one in received) == list(range(12))
    assert {one["Attributes"]["ApproximateReceiveCount"] for one in received} == {"1"}
    assert again == []
    for one in received:
        stores.sqs.delete_message(QueueUrl=stores.queue, ReceiptHandle=one["ReceiptHandle"])
    assert Queue(stores.sqs, stores.queue).depth() == QueueDepth(0, 0, 0)


def test_a_message_that_is_put_off_comes_back_and_counts_its_receives(stores: Stores):
    queue = Queue(stores.sqs, stores.queue)
    queue.park("body", {"reason": "no good"})
    [first] = stores.receive()
    assert queue.depth() == QueueDepth(0, 1, 0)

    queue.put_off(first["ReceiptHandle"], 0)
    [second] = stores.receive()

    assert second["MessageId"] == first["MessageId"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    assert second["MessageAttributes"]["reason"]["StringValue"] == "no good"


def test_a_queue_that_is_not_there_is_an_error(stores: Stores):
    with pytest.raises(QueueUnavailable):
        Queue(stores.sqs, f"{stores.queue}-missing").send(["body"])


def test_more_than_ten_messages_at_once_are_refused(stores: Stores):
    entries = [{"Id": str(number), "MessageBody": "body"} for number in range(11)]

    with pytest.raises(ClientError) as raised:
        stores.sqs.send_message_batch(QueueUrl=stores.queue, Entries=entries)

    assert raised.value.response["Error"]["Code"].endswith("TooManyEntriesInBatchRequest")


# -- what only the ones in memory do


def test_entries_are_refused_inside_a_200_and_accepted_twice_on_request():
    sqs = MemorySqs(Clock())
    sqs.create_queue(QueueName="changes")
    sqs.trouble.refuse, sqs.trouble.double = 2, 1

    Queue(sqs, "changes").send(["a", "b", "c"])

    assert len(sqs.messages("changes")) == 4
    assert {one.body for one in sqs.messages("changes")} == {"a", "b", "c"}
    sqs.trouble.refuse = 99
    with pytest.raises(QueueUnavailable, match="did not acknowledge 1 messages: InternalError"):
        Queue(sqs, "changes").send([json.dumps({})])
