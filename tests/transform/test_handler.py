"""Delivered twice, half-way crash, out of order; parked, handed back, quarantined."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import permutations

import pytest

from contracts.feeds import FEEDS
from contracts.messages import ChangeBatch, FeedBeat, Heartbeat, HeartbeatData, LoadBatch
from services.transform import handler as entry
from tests.shared.emf import metrics_in
from tests.transform.archived import batch_of, changed, deleted, row, rows
from tests.transform.conftest import Calls

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def archived(pipeline, feed, lines, **envelope):
    return pipeline.archive(*changed(feed, lines, **envelope))


def three_batches(pipeline):
    return [
        archived(pipeline, "sales_order", [*rows("sales_order", 3), row("sales_order", unit_price="2.505")], page=1),
        archived(pipeline, "transaction", rows("transaction", 2), page=2),
        pipeline.archive(*deleted("payment", [5, 7], page=3)),
    ]


def test_good_rows_become_one_load_batch_that_names_a_stored_object(pipeline):
    batch = archived(pipeline, "sales_order", rows("sales_order", 3))

    kept = pipeline.deliver(batch)

    (load_batch,) = pipeline.load_batches()
    assert kept == []
    assert load_batch.data.object.rows == 3
    assert load_batch.data.change_batch == batch.id
    assert load_batch.data.star_table == "fact_sales_order"
    assert load_batch.data.quarantined == 0
    shared = {"feed", "operation", "origin", "position", "page", "since", "as_of", "time_zone"}
    assert load_batch.data.model_dump(include=shared) == batch.data.model_dump(include=shared)
    assert pipeline.view(load_batch).rows[0] == (
        1, date(2022, 11, 3), time(14, 20, 52, 186000), date(2022, 11, 3), time(14, 20, 52), 19, 8, 42972,
        Decimal("3.94"), 2, 3, date(2022, 11, 8), date(2022, 11, 7), 8, 0,
    )  # fmt: skip


@pytest.mark.parametrize("feed", FEEDS)
def test_every_feed_goes_through(pipeline, feed):
    batch = archived(pipeline, feed, [row(feed)])

    kept = pipeline.deliver(batch)

    sent = [load_batch.data.star_table for load_batch in pipeline.load_batches()]
    assert kept == []
    assert pipeline.parked() == []
    assert sent == ([FEEDS[feed].star.table] if FEEDS[feed].star else [])


def test_the_processed_key_mirrors_the_archive_key(pipeline):
    batch = archived(pipeline, "payment", [row("payment"), row("payment", paid="maybe")])

    pipeline.deliver(batch)

    stem = batch.data.object.key.removeprefix("payment/").removesuffix(".tsv.gz")
    quarantined, parquet = sorted(pipeline.objects())
    assert quarantined.startswith(f"_quarantine/payment/{stem}-")
    assert quarantined.endswith(".jsonl")
    assert parquet.startswith(f"fact_payment/{stem}-")
    assert parquet.endswith(".parquet")


def sent(pipeline):
    return sorted(pipeline.load_batches(), key=lambda one: one.id)


def test_delivered_twice_it_stores_the_same_objects_and_sends_the_same_load_batch(pipeline):
    batches = three_batches(pipeline)
    pipeline.deliver(*batches)
    first = pipeline.objects(), sent(pipeline)

    kept = pipeline.deliver(*batches, receives=2)

    assert kept == []
    assert (pipeline.objects(), sent(pipeline)) == first


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_order_does_not_matter(pipeline, order):
    batches = three_batches(pipeline)

    for place in order:
        pipeline.deliver(batches[place])

    together = {load_batch.id: load_batch.data.object.key for load_batch in pipeline.load_batches()}
    assert set(together) == {
        f"{table}/{batch.id}"
        for table, batch in zip(("fact_sales_order", "dim_transaction", "fact_payment"), batches, strict=True)
    }
    assert set(together.values()) == {key for key in pipeline.objects() if not key.startswith("_quarantine/")}


def calls_of_an_undisturbed_delivery():
    """Three reads, three Parquet files and a quarantine file, one send."""
    return 8


@pytest.mark.parametrize("after_its_effect", [False, True])
@pytest.mark.parametrize("call", range(calls_of_an_undisturbed_delivery()))
def test_a_crash_at_any_outside_call_costs_nothing_but_a_second_delivery(pipeline, call, after_its_effect):
    batches = three_batches(pipeline)

    kept = pipeline.deliver(*batches, calls=Calls(fail_at=call, after_its_effect=after_its_effect))
    sent_before_the_crash = pipeline.load_batches()
    left = pipeline.deliver(*[batches[int(name[1:])] for name in kept], receives=2)

    assert kept != []
    assert left == []
    sent = {load_batch.id: load_batch for load_batch in [*sent_before_the_crash, *pipeline.load_batches()]}
    assert len(sent) == 3
    for load_batch in sent.values():
        assert len(pipeline.objects()[load_batch.data.object.key]) == load_batch.data.object.bytes
    assert [line["row"] for line in pipeline.quarantine()] == [3]
    assert pipeline.parked() == []


def test_the_number_of_outside_calls_is_the_one_the_crash_test_covers(pipeline):
    calls = Calls()

    pipeline.deliver(*three_batches(pipeline), calls=calls)

    assert len(calls.made) == calls_of_an_undisturbed_delivery()
    assert calls.made[-1] == "send_message_batch"


def test_nothing_is_sent_before_all_it_names_is_stored(pipeline):
    batch = archived(pipeline, "sales_order", rows("sales_order", 3))

    kept = pipeline.deliver(batch, calls=Calls(fail_at=1))

    assert kept == ["m0"]
    assert pipeline.load_batches() == []


def test_load_batches_of_one_event_are_sent_together(pipeline):
    batches = [archived(pipeline, "design", rows("design", 1), page=page) for page in range(10)]
    calls = Calls()

    pipeline.deliver(*batches, calls=calls)

    assert calls.made.count("send_message_batch") == 1
    assert len(pipeline.load_batches()) == 10


def test_deletions_pass_through_as_keys_under_the_star_table_s_name(pipeline):
    batch = pipeline.archive(*deleted("address", [30, 4]))

    pipeline.deliver(batch)

    (load_batch,) = pipeline.load_batches()
    view = pipeline.view(load_batch)
    assert load_batch.data.operation == "deleted"
    assert load_batch.data.object.rows == 2
    assert view.types == {"location_id": "INTEGER"}
    assert view.rows == [(30,), (4,)]


def test_deleted_departments_need_no_load_batch(pipeline):
    kept = pipeline.deliver(pipeline.archive(*deleted("department", [4])))

    assert kept == []
    assert pipeline.load_batches() == []
    assert pipeline.objects() == {}


def test_of_1000_rows_7_that_break_the_contract_are_quarantined_and_993_go_on(pipeline):
    lines = rows("sales_order", 1000)
    for number in (10, 20, 30):
        lines[number] = row("sales_order", sales_order_id=str(number + 1), unit_price="2.505")
    for number in (40, 50):
        lines[number] = row("sales_order", sales_order_id=str(number + 1), agreed_delivery_date="86400")
    for number in (60, 999):
        lines[number] = row("sales_order", sales_order_id=str(number + 1), staff_id=None)
    batch = archived(pipeline, "sales_order", lines)

    kept = pipeline.deliver(batch)

    bad = {10: "unit_price", 20: "unit_price", 30: "unit_price", 40: "agreed_delivery_date", 50: "agreed_delivery_date",
           60: "staff_id", 999: "staff_id"}  # fmt: skip
    (load_batch,) = pipeline.load_batches()
    assert kept == []
    assert (load_batch.data.object.rows, load_batch.data.quarantined) == (993, 7)
    view = pipeline.view(load_batch)
    good = [number for number in range(1000) if number not in bad]
    assert view.column("sales_order_id") == [number + 1 for number in good]
    assert view.column("_row_hash") == good
    found = pipeline.quarantine()
    assert {line["row"]: line["field"] for line in found} == bad
    assert {line["row"]: line["key"] for line in found} == {number: str(number + 1) for number in bad}
    assert {line["value"] for line in found} == {"2.505", "86400", None}
    assert {line["reason_class"] for line in found} == {"string_pattern_mismatch", "string_type"}
    assert all(line["feed"] == "sales_order" and line["contract"] == 1 and line["reason"] for line in found)
    assert {line["object"] for line in found} == {batch.data.object.key}


def test_a_batch_without_one_good_row_still_has_its_load_batch(pipeline):
    batch = archived(pipeline, "design", rows("design", 5, design_name=None))

    pipeline.deliver(batch)

    (load_batch,) = pipeline.load_batches()
    assert (load_batch.data.object.rows, load_batch.data.quarantined) == (0, 5)
    assert pipeline.view(load_batch).rows == []


def test_quarantined_rows_are_counted_by_feed_and_good_ones_emit_nothing(pipeline, capsys):
    capsys.readouterr()
    pipeline.deliver(*three_batches(pipeline))

    assert metrics_in(capsys.readouterr().out) == {
        ("rows_quarantined", "transform", ""): [1],
        ("rows_quarantined", "transform", "sales_order"): [1],
    }


def test_departments_are_quarantined_though_nothing_is_loaded_of_them(pipeline):
    batch = archived(pipeline, "department", [row("department"), row("department", department_name=None)])

    kept = pipeline.deliver(batch)

    assert kept == []
    assert [line["field"] for line in pipeline.quarantine()] == ["department_name"]
    assert pipeline.load_batches() == []


def test_quarantined_payments_show_no_account_number(pipeline):
    lines = [row("payment", company_ac_number="67305075x"), row("payment", paid="maybe")]

    pipeline.deliver(archived(pipeline, "payment", lines))

    stored = b"".join(pipeline.objects().values())
    assert [line["value"] for line in pipeline.quarantine()] == ["***", "maybe"]
    assert b"67305075" not in stored
    assert b"31622269" not in stored


def drifting(failed, total):
    return [*rows("design", total - failed), *rows("design", failed, file_name=None)]


@pytest.mark.parametrize(("failed", "total"), [(20, 199), (20, 20), (101, 1000)])
def test_drift_parks_the_batch_and_loads_none_of_it(pipeline, failed, total):
    kept = pipeline.deliver(archived(pipeline, "design", drifting(failed, total)))

    (parked,) = pipeline.parked()
    assert kept == []
    assert parked["reason_class"] == "contract_drift"
    assert f"{failed} of {total}" in parked["reason"]
    assert "file_name" in parked["reason"]
    assert pipeline.load_batches() == []
    assert pipeline.objects() == {}


@pytest.mark.parametrize(("failed", "total"), [(20, 200), (19, 19), (19, 100), (100, 1000)])
def test_a_tenth_or_fewer_than_20_rows_are_no_drift(pipeline, failed, total):
    pipeline.deliver(archived(pipeline, "design", drifting(failed, total)))

    assert pipeline.parked() == []
    assert len(pipeline.quarantine()) == failed
    assert [load_batch.data.object.rows for load_batch in pipeline.load_batches()] == [total - failed]


def amended(batch, **changes):
    """The message with some attributes changed, its id kept true to its data."""
    message = json.loads(batch.body())
    message["data"].update(changes.pop("data", {}))
    message.update(changes)
    data = ChangeBatch.of(batch.data.model_validate(message["data"])).body()
    return json.dumps({**json.loads(data), **changes})


def unknown_messages(batch):
    return {
        "no JSON": "rows, please",
        "another message": json.dumps({"Records": []}),
        "a false id": json.dumps({**json.loads(batch.body()), "id": "design/1"}),
        "an unknown operation": batch.body().replace('"changed"', '"amended"'),
        "an unknown type": amended(batch, type="totesys.design.amended.v1"),
        "other columns": amended(batch, data={"columns": [*batch.data.columns[1:], batch.data.columns[0]]}),
        "an unknown version of CloudEvents": amended(batch, specversion="2.0"),
    }


@pytest.mark.parametrize("kind", unknown_messages(changed("design", rows("design", 1))[0]))
def test_a_message_that_this_code_cannot_read_is_parked_at_once_and_stops_no_other(pipeline, kind):
    batch = archived(pipeline, "design", rows("design", 1))

    kept = pipeline.deliver(unknown_messages(batch)[kind], batch)

    (parked,) = pipeline.parked()
    assert kept == []
    assert parked["reason_class"] == "malformed_message"
    assert parked["reason"].startswith("Expected ")
    assert parked["receives"] == "1"
    assert [load_batch.data.change_batch for load_batch in pipeline.load_batches()] == [batch.id]


def newer_messages(batch):
    """What only the code of a later release knows."""
    position, written = batch.data.position.model_dump(), json.loads(batch.body())
    unread = {**written, "dataschema": "urn:totes:change_batch:2", "data": {**written["data"], "object": "s3://a/b"}}
    return {
        "a feed": amended(batch, data={"feed": "invoice"}),
        "a contract": amended(batch, data={"position": {**position, "contract": 2}}),
        "a message": json.dumps(unread),
        "a heartbeat": json.dumps({"dataschema": "urn:totes:heartbeat:2", "type": "totes.heartbeat.v1"}),
    }


@pytest.mark.parametrize("kind", newer_messages(changed("design", rows("design", 1))[0]))
def test_a_message_of_newer_code_is_handed_back_until_that_is_deployed_and_stops_no_other(pipeline, kind):
    batch = archived(pipeline, "design", rows("design", 1))

    kept = pipeline.deliver(newer_messages(batch)[kind], batch)

    assert kept == ["m0"]
    assert pipeline.parked() == []
    assert [load_batch.data.change_batch for load_batch in pipeline.load_batches()] == [batch.id]


def test_a_load_batch_on_the_wrong_queue_is_parked(pipeline):
    pipeline.deliver(archived(pipeline, "design", rows("design", 1)))
    (load_batch,) = pipeline.load_batches()

    pipeline.deliver(load_batch.body())

    assert [parked["reason_class"] for parked in pipeline.parked()] == ["malformed_message"]


def test_a_missing_object_is_parked(pipeline):
    batch, _ = changed("design", rows("design", 1))

    kept = pipeline.deliver(batch)

    assert kept == []
    assert [parked["reason_class"] for parked in pipeline.parked()] == ["corrupt_object"]


def test_a_damaged_object_is_parked_and_stops_no_other(pipeline):
    damaged, body = changed("design", rows("design", 2), page=1)
    pipeline.archive(damaged, body[:-1] + b"!")
    sound = archived(pipeline, "design", rows("design", 1), page=2)

    kept = pipeline.deliver(damaged, sound)

    assert kept == []
    assert [parked["reason_class"] for parked in pipeline.parked()] == ["corrupt_object"]
    assert [load_batch.data.change_batch for load_batch in pipeline.load_batches()] == [sound.id]


@pytest.mark.parametrize("bad_hash", ["", "x", "9223372036854775808", None])
def test_a_row_hash_that_is_none_is_damage(pipeline, bad_hash):
    batch = archived(pipeline, "design", [{**row("design"), "_row_hash": bad_hash}])

    pipeline.deliver(batch)

    assert [parked["reason_class"] for parked in pipeline.parked()] == ["corrupt_object"]


@pytest.mark.parametrize("bad_key", [b"\\N\n", b"x\n", b"2147483648\n"])
def test_a_deleted_key_that_is_none_is_damage(pipeline, bad_key):
    batch = pipeline.archive(*batch_of("design", "deleted", ("design_id",), bad_key, 1))

    pipeline.deliver(batch)

    assert [parked["reason_class"] for parked in pipeline.parked()] == ["corrupt_object"]


def test_a_mistake_of_ours_in_one_message_hands_it_back_and_stops_no_other(pipeline):
    odd, body = changed("design", rows("design", 1))
    odd = odd.model_copy(
        update={"data": odd.data.model_copy(update={"object": odd.data.object.model_copy(update={"key": "nameless"})})}
    )
    pipeline.archive(odd, body)
    sound = archived(pipeline, "design", rows("design", 2), page=2)

    kept = pipeline.deliver(odd, sound)

    assert kept == ["m0"]
    assert pipeline.parked() == []
    assert [load_batch.data.change_batch for load_batch in pipeline.load_batches()] == [sound.id]


class Minute:
    """Lambda's context at the beginning of an invocation of a minute."""

    def get_remaining_time_in_millis(self):
        return 60_000


def test_the_entry_point_composes_once_from_the_environment(pipeline, monkeypatch):
    names = {"PROCESSED_BUCKET": "processed", "CHANGES_QUEUE_URL": "changes", "LOADS_QUEUE_URL": "loads",
             "DEAD_LETTER_QUEUE_URL": "changes_dlq"}  # fmt: skip
    for variable, attribute in names.items():
        monkeypatch.setenv(f"TOTES_{variable}", getattr(pipeline.aws, attribute))
    entry.composition.cache_clear()
    batch = archived(pipeline, "design", rows("design", 1))

    answers = [entry.handler(pipeline.event([batch.body()]), Minute()) for _ in range(2)]

    assert answers == [{"batchItemFailures": []}] * 2
    assert entry.composition.cache_info().misses == 1
    assert [type(load_batch) for load_batch in pipeline.load_batches()] == [LoadBatch] * 2
    entry.composition.cache_clear()


def heartbeat():
    said = (FeedBeat(feed="payment", as_of=NOW, page=7),)
    return Heartbeat.of(HeartbeatData(generation=1, revision=42, as_of=NOW, feeds=said))


def test_a_heartbeat_is_passed_on_as_it_came_with_what_a_newer_poller_added(pipeline):
    body = json.dumps(json.loads(heartbeat().body()) | {"newer": 1})

    kept = pipeline.deliver(body, archived(pipeline, "payment", [row("payment")]))

    sent = [message["Body"] for message in pipeline._drain(pipeline.aws.loads)]
    assert kept == []
    assert [one for one in sent if "heartbeat" in one] == [body]
    assert len(sent) == 2


def test_a_heartbeat_that_is_none_is_parked(pipeline):
    bent = json.loads(heartbeat().body())
    bent["data"]["feeds"][0]["page"] = 6

    assert pipeline.deliver(json.dumps(bent)) == []

    assert [one["reason_class"] for one in pipeline.parked()] == ["malformed_message"]
    assert pipeline._drain(pipeline.aws.loads) == []
