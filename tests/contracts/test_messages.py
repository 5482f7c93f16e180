"""The two messages: CloudEvents, deterministic, closed when written and open when read."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.messages import (
    ArchiveKey,
    ChangeBatch,
    ChangeBatchData,
    FeedBeat,
    Heartbeat,
    HeartbeatData,
    LoadBatch,
    LoadBatchData,
    ObjectRef,
    Operation,
    Origin,
    Position,
    archive_key,
    change_batch_id,
    is_heartbeat,
)

NOW = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
REF = ObjectRef(bucket="archive", key="payment/date=2024-05-01/x.tsv.gz", sha256="ab" * 32, bytes=10, rows=3)


def change(**changes):
    fields = {
        "feed": "payment", "operation": Operation.CHANGED, "origin": Origin.POLL, "page": 7, "since": NOW, "as_of": NOW,
        "position": Position(generation=1, revision=42, contract=1), "time_zone": "UTC", "object": REF,
        "columns": ("payment_id",),
    }  # fmt: skip
    return ChangeBatch.of(ChangeBatchData(**{**fields, **changes}))


def load(**changes):
    fields = change().data.model_dump(exclude={"columns"})
    named = {"change_batch": change().id, "star_table": "fact_payment", "quarantined": 1}
    return LoadBatch.of(LoadBatchData(**{**fields, **named, **changes}))


def test_equal_batches_have_equal_ids_and_different_ones_differ():
    at = change().data.position
    others = [
        change(feed="address"),
        change(page=8),
        change(position=at.model_copy(update={"generation": 2})),
        change(position=at.model_copy(update={"revision": 43})),
        change(position=at.model_copy(update={"contract": 2})),
        change(object=REF.model_copy(update={"sha256": "cd" * 32})),
    ]

    assert change() == change()
    assert len({batch.id for batch in (change(), *others)}) == len(others) + 1


def test_a_load_batch_is_named_after_its_change_batch():
    assert load().id == f"fact_payment/{change().id}"
    assert load().id == load(quarantined=2).id


@pytest.mark.parametrize(
    ("batch", "schema"), [(change(), "urn:totes:change_batch:1"), (load(), "urn:totes:load_batch:1")]
)
def test_messages_carry_what_cloudevents_requires_and_the_name_and_version_of_their_contract(batch, schema):
    written = json.loads(batch.body())

    assert written["specversion"] == "1.0"
    assert all(isinstance(written[name], str) and written[name] for name in ("id", "source", "type", "subject", "time"))
    assert written["datacontenttype"] == "application/json"
    assert written["dataschema"] == schema
    assert datetime.fromisoformat(written["time"]) == NOW


def test_types_name_what_happened_and_the_contract():
    assert change().type == "totesys.payment.changed.v1"
    assert change(operation=Operation.DELETED).type == "totesys.payment.deleted.v1"
    assert load().type == "totes.fact_payment.built.v1"


def test_a_batch_names_who_sent_it():
    senders = {origin.value: change(origin=origin).source for origin in Origin}

    poller = dict.fromkeys(("backfill", "poll", "scan"), "/totes/poller")
    assert senders == {**poller, "repair": "/totes/reconciler", "replay": "/totes/operator"}


@pytest.mark.parametrize("batch", [change(), change(since=None), load(), load(since=None)])
def test_a_message_survives_its_own_text(batch):
    assert type(batch).model_validate_json(batch.body()) == batch


def test_a_field_of_a_newer_writer_is_ignored():
    written = json.loads(change().body())
    written["traceparent"] = "00-ab-cd-01"
    written["data"]["shard"] = 3

    assert ChangeBatch.model_validate_json(json.dumps(written)) == change()


@pytest.mark.parametrize(
    "mistake",
    [
        {"unknown": 1},
        {"position": {"generation": 0, "revision": 1, "contract": 1}},
        {"object": {**REF.model_dump(), "sha256": "abc"}},
        {"object": {**REF.model_dump(), "rows": -1}},
        {"as_of": NOW.replace(tzinfo=None)},
        {"operation": "amended"},
        {"origin": "guess"},
    ],
)
def test_a_message_that_would_be_wrong_is_never_written(mistake):
    with pytest.raises(ValidationError):
        change(**mistake)


def test_a_message_that_names_another_s_contract_is_refused():
    written = json.loads(change().body())

    for named in ("https://example.com", "urn:totes:load_batch:1", "urn:totes:change_batch:0", 1, None):
        with pytest.raises(ValidationError, match="dataschema"):
            ChangeBatch.model_validate_json(json.dumps(written | {"dataschema": named}))


def test_a_message_whose_id_does_not_follow_from_its_data_is_refused():
    written = json.loads(change().body())
    written["data"]["page"] = 8

    with pytest.raises(ValidationError, match="does not fit the data"):
        ChangeBatch.model_validate(written)


def beat(**changes):
    said = (FeedBeat(feed="payment", as_of=NOW, page=7), FeedBeat(feed="design", as_of=NOW, page=0))
    return Heartbeat.of(
        HeartbeatData(
            **{"generation": 1, "revision": 42, "as_of": NOW + timedelta(seconds=1), "feeds": said, **changes}
        )
    )


def test_equal_heartbeats_have_equal_ids_and_different_ones_differ():
    others = [
        beat(generation=2),
        beat(revision=43),
        beat(as_of=NOW),
        beat(feeds=()),
        beat(feeds=(FeedBeat(feed="payment", as_of=NOW, page=8), FeedBeat(feed="design", as_of=NOW, page=0))),
    ]

    assert beat() == beat(as_of=(NOW + timedelta(seconds=1)).astimezone(timezone(timedelta(hours=5))))
    assert len({one.id for one in (beat(), *others)}) == len(others) + 1


def test_a_heartbeat_is_closed_when_written_and_open_when_read():
    written = json.loads(beat().body())
    written["data"]["newer"], written["data"]["feeds"][0]["newer"] = 1, 2

    assert Heartbeat.model_validate_json(json.dumps(written)) == beat()
    with pytest.raises(ValidationError):
        beat(newer=1)


def test_a_heartbeat_that_was_changed_on_its_way_is_refused():
    written = json.loads(beat().body())
    written["data"]["feeds"][0]["page"] = 6

    with pytest.raises(ValidationError, match="does not fit the data"):
        Heartbeat.model_validate_json(json.dumps(written))


def test_a_heartbeat_is_told_from_the_batches_it_travels_with():
    bodies = [beat().body(), change().body(), load().body(), "no json", "[]", '{"type": 7}']

    assert [is_heartbeat(body) for body in bodies] == [True] + [False] * 5
    assert change_batch_id(beat().body()) is None


MOMENTS = st.datetimes(datetime.fromisoformat("1000-01-01"), timezones=st.just(UTC))


def key(feed="payment", as_of=NOW, page=1, operation=Operation.CHANGED, sha256="ab" * 32, revision=5):
    position = Position(generation=1, revision=revision, contract=1)
    return archive_key(feed, as_of=as_of, position=position, page=page, operation=operation, sha256=sha256)


@settings(max_examples=100, deadline=None)
@given(
    moments=st.lists(MOMENTS, min_size=2, unique=True),
    pages=st.lists(st.integers(0, 10**10 - 1), min_size=2, unique=True),
)
def test_a_listing_of_the_archive_is_in_order_of_time_then_page(moments, pages):
    assert sorted(key(as_of=at) for at in moments) == [key(as_of=at) for at in sorted(moments)]
    assert sorted(key(page=page) for page in pages) == [key(page=page) for page in sorted(pages)]


def test_no_feed_s_prefix_lists_another_feed():
    assert key("payment").startswith("payment/date=2024-05-01/123015.123456Z-")
    assert not key("payment_type").startswith("payment/")


def test_different_bytes_never_share_a_key():
    assert key(sha256="ab" * 32) != key(sha256="cd" * 32)
    assert key(operation=Operation.DELETED) != key()
    assert key(as_of=NOW + timedelta(microseconds=1)) != key()


@given(
    page=st.integers(0, 10**9),
    revision=st.integers(0, 2**60),
    as_of=st.integers(0, 2**37).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    operation=st.sampled_from(Operation),
)
def test_a_key_names_the_batch_its_page_and_its_clock(page, revision, as_of, operation):
    position = Position(generation=3, revision=revision, contract=2)
    key = archive_key("payment_type", as_of=as_of, position=position, page=page, operation=operation, sha256=REF.sha256)
    batch = change(feed="payment_type", page=page, position=position, as_of=as_of, operation=operation)

    assert ArchiveKey.parse(key) == ArchiveKey("payment_type", as_of, 3, page, batch.id)


def test_another_key_names_nothing():
    assert ArchiveKey.parse("sales_order/anything.tsv.gz") is None
    assert ArchiveKey.parse("") is None


def test_a_body_names_the_change_batch_that_it_is_or_comes_from():
    assert change_batch_id(change().body()) == change().id
    assert change_batch_id(load().body()) == change().id
    assert [change_batch_id(body) for body in ("", "{}", "no json", '{"id": "x"}')] == [None] * 4
