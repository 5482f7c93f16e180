"""Written once, read checked, moved by compare-and-set."""

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from contracts.messages import ObjectRef
from shared.errors import CheckpointConflict, CorruptObject, ObjectStoreUnavailable
from shared.objects import ObjectStore, sha256, unhesitating

BODY = b"1\tO'Keefe\n"


def ref_of(body=BODY, key="payment/x", **changes):
    return ObjectRef(
        **{"bucket": "archive", "key": key, "sha256": sha256(body), "bytes": len(body), "rows": 1, **changes}
    )


@pytest.fixture
def objects(aws):
    return ObjectStore(aws.s3)


class Deaf:
    """A client that answers nothing, and knows its exceptions."""

    def __init__(self, client):
        self.exceptions = client.exceptions
        self.get_paginator = client.get_paginator

    def __getattr__(self, name):
        def call(**arguments):
            raise EndpointConnectionError(endpoint_url="https://s3")

        return call


def versions(aws):
    return [version["Key"] for version in aws.s3.list_object_versions(Bucket="archive").get("Versions", [])]


def test_what_is_stored_is_what_is_read_with_its_metadata(objects):
    objects.put_once(ref_of(), BODY, {"envelope": "{}"})

    assert objects.get(ref_of()) == BODY
    assert objects.metadata("archive", "payment/x") == {"envelope": "{}", "sha256": sha256(BODY)}


def test_an_object_is_sent_without_asking_first_whether_it_may_be(aws):
    asked = []
    for client in (boto3.client("s3"), unhesitating(boto3.client("s3"))):
        client.meta.events.register(
            "before-send.s3.PutObject", lambda request, **_: asked.append("Expect" in request.headers)
        )
        ObjectStore(client).put_once(ref_of(), BODY)

    assert asked == [True, False]


def test_the_same_bytes_twice_are_one_object_never_overwritten(objects, aws):
    for _ in range(2):
        objects.put_once(ref_of(), BODY)

    assert versions(aws) == ["payment/x"]


def test_other_bytes_under_the_same_key_are_refused(objects, aws):
    objects.put_once(ref_of(), BODY)

    with pytest.raises(CorruptObject, match="payment/x exists with digest"):
        objects.put_once(ref_of(b"other"), b"other")

    assert versions(aws) == ["payment/x"]
    assert objects.get(ref_of()) == BODY


def test_an_object_that_somebody_else_put_there_without_a_digest_is_refused(objects, aws):
    aws.s3.put_object(Bucket="archive", Key="payment/x", Body=BODY)

    with pytest.raises(CorruptObject):
        objects.put_once(ref_of(), BODY)


@pytest.mark.parametrize("stored", [BODY[:-1], BODY[:-1] + b"!", b"", BODY + b"more"])
def test_a_damaged_or_truncated_object_is_refused(objects, aws, stored):
    aws.s3.put_object(Bucket="archive", Key="payment/x", Body=stored)

    with pytest.raises(CorruptObject, match="Expected 10 bytes"):
        objects.get(ref_of())


def test_a_missing_object_is_refused(objects):
    with pytest.raises(CorruptObject, match="found none"):
        objects.get(ref_of())


def test_a_listing_goes_on_past_its_first_page_in_the_order_of_keys(objects, aws, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")  # 1,000 on the real one
    for number in reversed(range(10)):
        aws.s3.put_object(Bucket="archive", Key=f"payment/{number:04d}", Body=b"")

    assert len(aws.s3.list_objects_v2(Bucket="archive")["Contents"]) == 3
    assert list(objects.keys("archive", "payment/")) == [f"payment/{number:04d}" for number in range(10)]
    assert list(objects.keys("archive", "payment/", after="payment/0005")) == [
        f"payment/{number:04d}" for number in range(6, 10)
    ]


def test_neighbouring_prefixes_do_not_clash(objects, aws):
    for key in ("payment/a", "payment_type/a", "payments/a"):
        aws.s3.put_object(Bucket="archive", Key=key, Body=b"")

    assert list(objects.keys("archive", "payment/")) == ["payment/a"]
    assert list(objects.keys("archive", "nothing/")) == []


def test_compare_and_set_moves_only_what_it_has_seen(objects):
    first = objects.compare_and_set("control", "c", b"1", None)
    second = objects.compare_and_set("control", "c", b"2", first)

    for stale in (None, first):
        with pytest.raises(CheckpointConflict, match="moved by another owner"):
            objects.compare_and_set("control", "c", b"3", stale)

    found = objects.find("control", "c")
    assert (found.body, found.etag) == (b"2", second)
    assert 0 <= found.age_seconds < 60


def test_of_two_that_create_one_wins(objects):
    objects.compare_and_set("control", "c", b"mine", None)

    with pytest.raises(CheckpointConflict):
        objects.compare_and_set("control", "c", b"yours", None)

    assert objects.find("control", "c").body == b"mine"


def test_a_checkpoint_that_vanished_is_a_conflict(objects, aws):
    etag = objects.compare_and_set("control", "c", b"1", None)
    aws.s3.delete_object(Bucket="control", Key="c")

    with pytest.raises(CheckpointConflict):
        objects.compare_and_set("control", "c", b"2", etag)

    assert objects.find("control", "c") is None


CALLS = {
    "put_once": lambda store: store.put_once(ref_of(), BODY),
    "get": lambda store: store.get(ref_of()),
    "metadata": lambda store: store.metadata("archive", "payment/x"),
    "find": lambda store: store.find("archive", "payment/x"),
    "compare_and_set": lambda store: store.compare_and_set("archive", "payment/x", BODY, None),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_does_not_answer_is_unavailable(aws, call):
    with pytest.raises(ObjectStoreUnavailable, match="payment/x") as told:
        CALLS[call](ObjectStore(Deaf(aws.s3)))

    assert told.value.__cause__ is not None


@pytest.mark.parametrize("call", ["put_once", "metadata", "find", "compare_and_set"])
def test_a_store_that_refuses_for_another_reason_is_unavailable(aws, call, objects):
    aws.s3.delete_bucket(Bucket="archive")

    with pytest.raises(ObjectStoreUnavailable):
        CALLS[call](objects)


def test_a_listing_that_fails_is_unavailable(aws, objects):
    aws.s3.delete_bucket(Bucket="archive")

    with pytest.raises(ObjectStoreUnavailable, match="to list archive/payment/"):
        list(objects.keys("archive", "payment/"))
