"""What another release wrote is read, refused for now, or refused for good; and an envelope fits where it is kept."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from contracts.feeds import FEEDS
from contracts.messages import ENVELOPE, ChangeBatch, Operation, Origin
from shared.archive import Circumstances, Page, archived, describe
from shared.errors import CorruptObject, MalformedMessage, NewerThanCode
from shared.heartbeat import read_heartbeat
from shared.objects import DIGEST, ObjectStore
from shared.reading import read
from tests.transform.archived import changed, rows

MOST_METADATA_BYTES = 2048
"""Of one S3 object: the names and values of its user metadata together."""
BATCH = changed("design", rows("design", 1))[0]


def body(**changes):
    written = json.loads(BATCH.body())
    return json.dumps({name: value for name, value in (written | changes).items() if value is not None})


def test_a_message_is_read_whatever_it_says_of_its_version():
    for said in (None, "urn:totes:change_batch:1", "urn:totes:change_batch:2"):
        assert read(ChangeBatch, body(dataschema=said, newer=1), "a change batch") == BATCH


@pytest.mark.parametrize("said", [None, "urn:totes:change_batch:1", "urn:totes:load_batch:2", "https://example.com/2"])
def test_what_is_wrong_and_no_newer_than_the_code_is_refused_for_good(said):
    with pytest.raises(MalformedMessage, match=r"^Expected a change batch, found one where .* is wrong: .*\.$"):
        read(ChangeBatch, body(dataschema=said, data={}), "a change batch")


def test_what_only_newer_code_can_read_is_refused_until_that_is_deployed():
    expected = r"Expected a change batch of version 1 or a former one, found version 2, where .*: deploy its code\.$"

    with pytest.raises(NewerThanCode, match=expected):
        read(ChangeBatch, body(dataschema="urn:totes:change_batch:2", data={}), "a change batch")
    with pytest.raises(NewerThanCode, match="a heartbeat of version 1"):
        read_heartbeat('{"type": "totes.heartbeat.v1", "dataschema": "urn:totes:heartbeat:3"}')


def stored(aws, envelope):
    metadata = {} if envelope is None else {ENVELOPE: envelope}
    aws.s3.put_object(Bucket=aws.archive, Key="k", Body=b"", Metadata=metadata)
    return ObjectStore(aws.s3), aws.archive, "k"


def test_an_envelope_that_only_newer_code_can_read_is_not_taken_for_damage(aws):
    with pytest.raises(NewerThanCode, match="as the envelope of archive/k of version 1"):
        archived(*stored(aws, body(dataschema="urn:totes:change_batch:2", data={})))


@pytest.mark.parametrize("envelope", [None, "{}", "no json"])
def test_an_envelope_that_is_missing_or_damaged_is_damage(aws, envelope):
    with pytest.raises(CorruptObject, match="envelope"):
        archived(*stored(aws, envelope))


def test_an_envelope_of_before_messages_named_their_version_is_read(aws):
    assert archived(*stored(aws, body(dataschema=None))) == BATCH


@pytest.mark.parametrize("feed", FEEDS.values(), ids=lambda feed: feed.name)
@pytest.mark.parametrize("operation", Operation)
def test_the_longest_envelope_of_every_feed_fits_into_the_metadata_of_its_object(feed, operation):
    at = Circumstances(
        origin=Origin.BACKFILL,
        generation=2**31 - 1,
        revision=2**63 - 1,
        since=datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC),
        as_of=datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC),
        time_zone="America/Argentina/ComodRivadavia",
    )
    page = Page(operation, b"x" * 2**25, 1, 100_000, dict.fromkeys(range(100_000)))
    hundred_contracts_on = replace(
        feed, contract=feed.contract + 99, former=dict.fromkeys(range(1, feed.contract + 99))
    )

    batch = describe(hundred_contracts_on, page, 10**10 - 1, at, bucket="b" * 63)

    metadata = {ENVELOPE: batch.body(), DIGEST: batch.data.object.sha256}
    assert sum(len(name) + len(value.encode()) for name, value in metadata.items()) <= MOST_METADATA_BYTES - 400
