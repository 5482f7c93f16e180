"""The life of one row is told whole and in order, whatever became of each observation and whoever is away."""

import gzip
import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.feeds import FEEDS
from contracts.messages import ENVELOPE, Operation, Origin
from services.ops.dlq.send_again import batch_of_rows, store_marker
from services.ops.moments import parse, shown
from services.ops.quarantine import ReplayedRows
from services.ops.status import Warehouse
from services.ops.trace.archive import Archive
from services.ops.trace.timeline import (
    Books,
    Facts,
    Fate,
    Load,
    Member,
    Observation,
    Seen,
    Span,
    Trace,
    Version,
    assemble,
)
from services.ops.trace.tracer import RowAbsent, Tracer, feed_named, key_of
from services.ops.trace.view import as_json, lines
from services.transform.transform import Transform
from shared.archive import Publisher
from shared.errors import ConfigurationError
from shared.objects import ObjectStore
from shared.queues import Queue
from shared.telemetry import logger
from tests.ops.conftest import Pipeline
from tests.poller.archived import objects
from tests.reconciler.conftest import LOADER, SCHEMA

EVERYTHING = Span()
START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
TRANSACTION = "INSERT INTO transaction (transaction_type, sales_order_id) VALUES ('SALE', 1)"
PAYMENT = """
INSERT INTO payment (transaction_id, counterparty_id, payment_amount, currency_id, payment_type_id, paid, payment_date,
                     company_ac_number, counterparty_ac_number)
VALUES (1, 1, 10.00, 1, 1, true, '2024-05-01', 73205914, 88112233)
"""


def tracer(pipeline: Pipeline, *, warehouse_dsn: str | None = None) -> Tracer:
    store = ObjectStore(pipeline.aws.s3)
    dsn = warehouse_dsn or pipeline.warehouse_dsn.replace("postgres@", f"{LOADER}@")
    return Tracer(
        archive=Archive(store, pipeline.aws.archive, pipeline.aws.processed),
        warehouse=Warehouse(lambda: dsn, SCHEMA),
        dead_letters={
            "changes": Queue(pipeline.aws.sqs, pipeline.aws.changes_dlq),
            "loads": Queue(pipeline.aws.sqs, pipeline.aws.loads_dlq),
        },
    )


def traced(pipeline: Pipeline, feed: str, key: int, span: Span = EVERYTHING, **options: Any) -> Trace:
    asked = tracer(pipeline, **options)
    with closing(asked.warehouse):
        return asked.trace(FEEDS[feed], key, span, lambda *_: None)


def fates(trace: Trace) -> list[Fate]:
    return [entry.fate for entry in trace.entries]


def printed(trace: Trace, width: int = 80, *, full: bool = False) -> str:
    return "\n".join(lines(trace, width, full=full))


def test_an_update_is_told_from_its_snapshot_to_its_version_with_what_it_changed(pipeline: Pipeline) -> None:
    pipeline.source("UPDATE sales_order SET units_sold = 700, last_updated = now() WHERE sales_order_id = 7")
    pipeline.capture()

    trace = traced(pipeline, "sales_order", 7)

    first, second = trace.entries
    assert (first.origin, first.changes, first.values["units_sold"]) == (Origin.BACKFILL, None, "7")
    assert [change.column for change in second.changes or ()] == ["last_updated", "units_sold"]
    assert (second.origin, second.fate) == (Origin.POLL, Fate.VERSION)
    assert first.version is not None
    assert second.version is not None
    assert (first.version.ended_by, second.version.ended_by) == ("changed", None)
    assert first.version.valid_to == second.version.valid_from
    assert second.load is not None
    assert second.load.freshness_seconds is not None
    assert second.object in objects(pipeline.aws)
    assert trace.now.startswith(f"The warehouse shows record {second.version.record_id} of fact_sales_order")
    assert trace.shows_newest


def test_a_deletion_and_a_row_that_comes_back_are_two_observations(pipeline: Pipeline) -> None:
    pipeline.source("CREATE TABLE kept AS SELECT * FROM sales_order WHERE sales_order_id = 7")
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id = 7")
    pipeline.mend()
    gone = traced(pipeline, "sales_order", 7)
    pipeline.source("UPDATE kept SET units_sold = 8")
    pipeline.source("INSERT INTO sales_order SELECT * FROM kept")
    pipeline.capture()
    back = traced(pipeline, "sales_order", 7)

    assert fates(gone) == [Fate.VERSION, Fate.DELETION]
    assert gone.entries[1].origin is Origin.REPAIR
    assert gone.now.startswith("The warehouse shows no row of fact_sales_order for sales_order_id 7, and that is")
    assert gone.shows_newest
    assert fates(back) == [Fate.VERSION, Fate.DELETION, Fate.VERSION]
    assert back.entries[2].changes is None
    assert back.shows_newest


def test_a_row_sent_again_without_a_change_says_that_it_made_no_version(pipeline: Pipeline) -> None:
    pipeline.source("UPDATE staff SET last_updated = now() WHERE staff_id = 1")
    pipeline.source("UPDATE sales_order SET units_sold = 700 WHERE sales_order_id = 7")
    pipeline.mend()
    pipeline.source("UPDATE sales_order SET created_at = created_at WHERE sales_order_id = 7")
    pipeline.forget()
    pipeline.aws.s3.delete_object(Bucket=pipeline.aws.control, Key="checkpoint.json")
    pipeline.capture()

    trace = traced(pipeline, "sales_order", 7)

    assert fates(trace) == [Fate.VERSION, Fate.VERSION, Fate.NO_VERSION]
    assert trace.entries[2].changes == ()
    assert "equal to its neighbour (record " in trace.entries[2].outcome
    assert trace.shows_newest


def test_a_quarantined_row_is_told_with_its_field_and_reason_and_is_not_what_the_warehouse_shows(
    pipeline: Pipeline,
) -> None:
    pipeline.source(
        "UPDATE sales_order SET agreed_delivery_date = 'soon', last_updated = now() WHERE sales_order_id = 7"
    )
    pipeline.capture()

    trace = traced(pipeline, "sales_order", 7)

    assert fates(trace) == [Fate.VERSION, Fate.QUARANTINED]
    [bad] = trace.entries[1].quarantined
    assert (bad.field, bad.value, bad.contract) == ("agreed_delivery_date", "soon", 1)
    assert trace.entries[1].load is None
    assert "and not the newest observation" in trace.now
    assert "quarantined under contract 1: agreed_delivery_date" in trace.now
    assert trace.shows_newest is False


def replay(pipeline: Pipeline, quarantine: str, archived: str, row: int) -> str:
    """Send a quarantined row again, as a replay does; the id of its batch."""
    store = ObjectStore(pipeline.aws.s3)
    publisher = Publisher(store, pipeline.aws.archive, Queue(pipeline.aws.sqs, pipeline.aws.changes))
    original = publisher.batch(archived)
    batch, body = batch_of_rows(original.data, [publisher.lines(original)[row]], 1)
    store.put_once(batch.data.object, body, {ENVELOPE: batch.body()})
    publisher.send_stored(batch.data.object.key)
    marker = ReplayedRows(quarantine=quarantine, rows=(row,), batch=batch.id, archive=batch.data.object.key, replays=1)
    store_marker(store, pipeline.aws.processed, marker)
    return batch.id


def test_a_replay_is_told_at_the_quarantined_row_and_as_an_observation_of_its_own(pipeline: Pipeline) -> None:
    pipeline.source(
        "UPDATE sales_order SET agreed_delivery_date = 'soon', last_updated = now() WHERE sales_order_id = 7"
    )
    pipeline.capture()
    failed = traced(pipeline, "sales_order", 7).entries[1]
    sent = replay(pipeline, failed.quarantined[0].object, failed.object or "", failed.row or 0)
    waiting = traced(pipeline, "sales_order", 7)
    pipeline.deliver()

    trace = traced(pipeline, "sales_order", 7)

    assert [entry.origin for entry in trace.entries] == [Origin.BACKFILL, Origin.POLL, Origin.REPLAY]
    assert fates(waiting) == [Fate.VERSION, Fate.QUARANTINED, Fate.ON_CHANGES]
    assert fates(trace) == [Fate.VERSION, Fate.QUARANTINED, Fate.QUARANTINED]
    assert [each.batch for each in trace.entries[1].replays] == [sent]
    assert f"and replayed as {sent}" in trace.entries[1].outcome
    assert trace.entries[2].changes == ()


def test_a_batch_that_is_not_loaded_is_on_its_way_to_transform_then_to_the_loader_or_parked(pipeline: Pipeline) -> None:
    pipeline.source("UPDATE sales_order SET units_sold = 700, last_updated = now() WHERE sales_order_id = 7")
    pipeline.poll()
    waiting = traced(pipeline, "sales_order", 7)
    message = pipeline._taken(pipeline.aws.changes)[0]
    Queue(pipeline.aws.sqs, pipeline.aws.changes_dlq).park(message.body, {"reason": "tried"})

    parked = traced(pipeline, "sales_order", 7)

    assert fates(waiting) == [Fate.VERSION, Fate.ON_CHANGES]
    assert fates(parked) == [Fate.VERSION, Fate.PARKED]
    assert "dead letters of changes" in parked.now
    assert Queue(pipeline.aws.sqs, pipeline.aws.changes_dlq).depth().visible == 1


def test_a_batch_that_is_built_and_not_loaded_waits_for_the_loader(pipeline: Pipeline) -> None:
    pipeline.source("UPDATE sales_order SET units_sold = 700, last_updated = now() WHERE sales_order_id = 7")
    pipeline.poll()
    transform = Transform(
        ObjectStore(pipeline.aws.s3),
        processed_bucket=pipeline.aws.processed,
        loads=Queue(pipeline.aws.sqs, pipeline.aws.loads),
        log=logger("trace-test", "CRITICAL"),
    )
    assert transform.handle(pipeline._taken(pipeline.aws.changes)) == {}

    assert fates(traced(pipeline, "sales_order", 7)) == [Fate.VERSION, Fate.ON_LOADS]


def test_a_member_of_a_dimension_shows_its_newest_content_and_what_it_replaced(pipeline: Pipeline) -> None:
    pipeline.source("UPDATE design SET design_name = 'Granite', last_updated = now() WHERE design_id = 3")
    pipeline.capture()

    trace = traced(pipeline, "design", 3)

    assert fates(trace) == [Fate.REPLACED, Fate.CONTENT]
    assert "The warehouse shows the member of dim_design" in trace.now
    assert trace.shows_newest


def test_a_feed_without_a_star_table_is_traced_through_the_archive_alone(pipeline: Pipeline) -> None:
    trace = traced(pipeline, "department", 1)

    assert fates(trace) == [Fate.ARCHIVED_ONLY]
    assert trace.now.startswith("department has no star table")
    assert trace.shows_newest is None


def test_a_secret_value_is_masked_everywhere_and_that_it_changed_is_still_told(pipeline: Pipeline) -> None:
    pipeline.source("INSERT INTO payment_type (payment_type_name) VALUES ('SALES_RECEIPT')")
    pipeline.source(TRANSACTION)
    pipeline.source(PAYMENT)
    pipeline.capture()
    pipeline.source("UPDATE payment SET company_ac_number = 73205915, last_updated = now()")
    pipeline.capture()

    trace = traced(pipeline, "payment", 1)

    everything = printed(trace, full=True) + as_json(trace) + repr(trace)
    assert not any(secret in everything for secret in ("73205914", "73205915", "88112233"))
    assert "company_ac_number *** → ***" in printed(trace, 200)
    assert "counterparty_ac_number" not in printed(trace, 200).split("\n 2 ")[1]


def test_without_the_warehouse_the_archives_part_is_shown_and_its_absence_said(pipeline: Pipeline) -> None:
    trace = traced(pipeline, "sales_order", 7, warehouse_dsn="postgresql://loader@127.0.0.1:1/warehouse")

    assert fates(trace) == [Fate.UNKNOWN]
    assert trace.entries[0].values["units_sold"] == "7"
    assert any("could not reach it" in note for note in trace.notes)
    assert trace.now.startswith("The warehouse does not answer")


def test_the_source_is_never_asked(pipeline: Pipeline) -> None:
    pipeline.source("DROP SCHEMA public CASCADE")

    assert fates(traced(pipeline, "sales_order", 7)) == [Fate.VERSION]


def test_a_key_that_nobody_knows_is_one_sentence(pipeline: Pipeline) -> None:
    with pytest.raises(RowAbsent, match="There is no sales_order with sales_order_id 999 neither in") as caught:
        traced(pipeline, "sales_order", 999)

    assert "\n" not in str(caught.value)


def test_a_span_leaves_out_what_lies_outside_and_says_that_the_warehouse_is_newer(pipeline: Pipeline) -> None:
    first = traced(pipeline, "sales_order", 7).entries[0]
    pipeline.source("UPDATE sales_order SET units_sold = 700, last_updated = now() WHERE sales_order_id = 7")
    pipeline.capture()

    later = traced(pipeline, "sales_order", 7, Span(since=first.as_of + timedelta(microseconds=1)))
    earlier = traced(pipeline, "sales_order", 7, Span(until=first.as_of))

    assert [entry.origin for entry in later.entries] == [Origin.POLL]
    assert [entry.origin for entry in earlier.entries] == [Origin.BACKFILL]
    assert "newer than all that was looked at" in earlier.now
    assert earlier.shows_newest is None


def test_a_damaged_object_is_named_and_hides_no_other(pipeline: Pipeline) -> None:
    pipeline.source("UPDATE sales_order SET units_sold = 700, last_updated = now() WHERE sales_order_id = 7")
    pipeline.capture()
    damaged = next(key for key in objects(pipeline.aws) if key.startswith("sales_order/"))
    whole = pipeline.aws.s3.get_object(Bucket=pipeline.aws.archive, Key=damaged)
    other = gzip.compress(gzip.decompress(whole["Body"].read()).replace(b"2.50", b"9.99"))
    pipeline.aws.s3.put_object(Bucket=pipeline.aws.archive, Key=damaged, Body=other, Metadata=whole["Metadata"])

    trace = traced(pipeline, "sales_order", 7)

    assert [entry.origin for entry in trace.entries] == [None, Origin.POLL]
    assert any(damaged in note for note in trace.notes)
    assert "known only to the warehouse's books" in printed(trace, 160)


def test_every_line_fits_its_terminal_and_the_json_holds_the_whole_rows(pipeline: Pipeline) -> None:
    pipeline.source("UPDATE sales_order SET units_sold = 700, last_updated = now() WHERE sales_order_id = 7")
    pipeline.capture()
    trace = traced(pipeline, "sales_order", 7)

    assert all(max(map(len, printed(trace, width).splitlines())) <= width for width in (60, 80, 160))
    entries = json.loads(as_json(trace))["entries"]
    assert [entry["values"]["units_sold"] for entry in entries] == ["7", "700"]
    assert "units_sold 7 → 700" in printed(trace, 160)
    assert "design_id" not in printed(trace, 160).split("\n 2 ")[1]


@pytest.mark.parametrize("wrong", ["7.0", "seven", "7_0", ""])
def test_a_key_that_is_no_integer_is_refused_in_a_sentence(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="Expected a sales_order_id, which is an integer"):
        key_of(wrong, FEEDS["sales_order"])


def test_an_unknown_feed_is_refused_with_the_feeds_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"Expected one of the feeds currency, .*found 'sales'"):
        feed_named("sales")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T17:00", datetime(2026, 11, 24, 17, tzinfo=UTC)),
        ("2026-11-24 18:00+01:00", datetime(2026, 11, 24, 17, tzinfo=UTC)),
        ("2h", START - timedelta(hours=2)),
        ("90m ago", START - timedelta(minutes=90)),
        (shown(START), START),
    ],
)
def test_a_moment_is_read_as_it_is_printed_or_as_how_long_ago(typed: str, meant: datetime) -> None:
    assert parse(typed, START) == meant


def test_a_moment_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Expected a moment such as"):
        parse("yesterday", START)


def observation(revision: int, units: str) -> Observation:
    return Observation(
        batch=f"b{revision}",
        object=f"sales_order/date=2026-11-24/o{revision}.tsv.gz",
        row=0,
        operation=Operation.CHANGED,
        origin=Origin.POLL,
        generation=1,
        revision=revision,
        contract=1,
        since=None,
        as_of=START + timedelta(seconds=revision),
        values={"sales_order_id": "7", "units_sold": units},
    )


def history(units: list[str]) -> Facts:
    """A fact seen so often, with the versions that a run of equal rows makes."""
    seen = [observation(revision, each) for revision, each in enumerate(units)]
    heads = [one for one in seen if one.revision == 0 or units[one.revision - 1] != units[one.revision]]
    ends = [*(head.as_of for head in heads[1:]), None]
    return Facts(
        feed=FEEDS["sales_order"],
        key=7,
        span=EVERYTHING,
        observations=seen,
        books=Books(
            loads=tuple(Load(f"l{one.revision}", one.batch, 1, one.as_of, 0.5) for one in seen),
            seen=tuple(Seen(1, one.revision, 1, False, one.as_of) for one in seen),
            versions=tuple(
                Version(number, 1, head.revision, 1, head.as_of, end, "changed" if end else None)
                for number, (head, end) in enumerate(zip(heads, ends, strict=True))
            ),
        ),
    )


@given(units=st.lists(st.sampled_from(["1", "2"]), min_size=1, max_size=8), randomly=st.randoms())
def test_the_same_facts_in_any_order_make_the_same_trace_with_a_version_where_a_row_differs(
    units: list[str], randomly: Random
) -> None:
    facts = history(units)
    shuffled = randomly.sample(facts.observations, len(units))

    trace = assemble(replace(facts, observations=shuffled))

    assert trace == assemble(facts)
    assert [entry.changes for entry in trace.entries][:1] == [None]
    for before, entry in zip(trace.entries, trace.entries[1:], strict=False):
        differs = before.values != entry.values
        assert (entry.fate is Fate.VERSION) == differs
        assert bool(entry.changes) == differs
    assert trace.shows_newest


def test_a_star_row_that_somebody_removed_is_not_said_to_be_shown() -> None:
    facts = history(["1"])

    trace = assemble(replace(facts, books=replace(facts.books, versions=())))

    assert trace.shows_newest is False
    assert "somebody changed the star table" in trace.now


def test_an_inferred_member_is_told_as_what_it_is() -> None:
    member = Member(0, 0, 1, None, None, START)

    trace = assemble(Facts(FEEDS["design"], 7, EVERYTHING, [], Books(member=member)))

    assert "an inferred member of dim_design, made at 2026-11-24 03:00:00.000 UTC" in trace.now
    assert trace.shows_newest is False
