"""What arrived last is told from the books and the archive, at a cost that does not grow with either."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pytest

from services.ops.flow import NAMED_ROWS, READ_AT_ONCE, WINDOW_SECONDS, Arrival, Flow, FlowReader, What
from services.ops.status import Collector, Places, Warehouse, WorkQueue, sql
from shared.objects import Found, ObjectStore
from shared.queues import Queue
from tests.ops.conftest import Pipeline
from tests.reconciler.conftest import LOADER, SCHEMA

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ORDER = """
INSERT INTO sales_order (design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id,
                         agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)
SELECT 1, 1, 1, i, 2.50, 1, '2024-05-01', '2024-05-02', 1 FROM generate_series(1, {rows}) i"""
MANY = 60_000
"""Load batches of a quiet day: a plan that reads them all shows in its buffers."""
FEW_BUFFERS = 200


class CountingStore(ObjectStore):
    """Remembers which objects were read."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.read: list[str] = []

    def find(self, bucket: str, key: str) -> Found | None:
        self.read.append(key)
        return super().find(bucket, key)


@pytest.fixture
def books(pipeline: Pipeline) -> Iterator[Warehouse]:
    dsn = pipeline.warehouse_dsn.replace("postgres@", f"{LOADER}@")
    warehouse = Warehouse(lambda: dsn, SCHEMA)
    yield warehouse
    warehouse.close()


@pytest.fixture
def reader(pipeline: Pipeline, books: Warehouse) -> FlowReader:
    return FlowReader(books, CountingStore(pipeline.aws.s3), pipeline.aws.archive, running_since=LONG_AGO)


def told(flow: Flow) -> list[tuple[str, int | None, int, What]]:
    return [(each.feed, each.key, each.rows, each.what) for each in flow.arrivals]


def since(reader: FlowReader, before: Flow) -> list[tuple[str, int | None, int, What]]:
    """What a look shows beside what an earlier one showed."""
    known = {(each.at, each.feed) for each in before.arrivals}
    return [told(Flow(arrivals=(each,)))[0] for each in reader.look(50).arrivals if (each.at, each.feed) not in known]


def test_rows_are_told_as_new_or_changed_in_facts_and_in_dimensions(pipeline: Pipeline, reader: FlowReader) -> None:
    before = reader.look(50)
    pipeline.source(ORDER.format(rows=1))
    pipeline.source("UPDATE sales_order SET units_sold = 700, last_updated = now() WHERE sales_order_id = 7")
    pipeline.source("INSERT INTO design (design_name, file_location, file_name) VALUES ('New', '/usr', 'n.json')")
    pipeline.source("UPDATE staff SET first_name = 'Ann', last_updated = now() WHERE staff_id = 2")
    pipeline.capture()

    assert sorted(since(reader, before)) == [
        ("design", 51, 1, What.NEW),
        ("sales_order", 7, 1, What.CHANGED),
        ("sales_order", 31, 1, What.NEW),
        ("staff", 2, 1, What.CHANGED),
    ]


def test_a_deleted_row_is_told_and_one_that_comes_back_is_new(pipeline: Pipeline, reader: FlowReader) -> None:
    pipeline.source("CREATE TABLE kept AS SELECT * FROM sales_order WHERE sales_order_id = 7")
    before = reader.look(50)
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id = 7")
    pipeline.mend()
    assert since(reader, before) == [("sales_order", 7, 1, What.DELETED)]

    before = reader.look(50)
    pipeline.source("UPDATE kept SET last_updated = now()")
    pipeline.source("INSERT INTO sales_order SELECT * FROM kept")
    pipeline.capture()

    assert since(reader, before) == [("sales_order", 7, 1, What.NEW)]


def test_many_rows_of_one_batch_are_one_line(pipeline: Pipeline, reader: FlowReader) -> None:
    before = reader.look(50)
    pipeline.source(ORDER.format(rows=NAMED_ROWS + 1))
    pipeline.capture()

    assert since(reader, before) == [("sales_order", None, NAMED_ROWS + 1, What.LOADED)]


def test_rows_that_were_set_apart_are_counted_beside_the_loaded_ones(pipeline: Pipeline, reader: FlowReader) -> None:
    before = reader.look(50)
    pipeline.source(ORDER.format(rows=2))
    pipeline.source(
        "UPDATE sales_order SET agreed_payment_date = 'soon', last_updated = now() WHERE sales_order_id = 7"
    )
    pipeline.capture()

    assert since(reader, before) == [
        ("sales_order", None, 1, What.QUARANTINED),
        ("sales_order", None, 2, What.LOADED),
    ]


def test_freshness_is_that_of_the_books_and_what_was_repaired_has_none(pipeline: Pipeline, reader: FlowReader) -> None:
    pipeline.source(ORDER.format(rows=1))
    pipeline.capture()
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id = 7")
    pipeline.mend()

    repair, poll, *_ = reader.look(50).arrivals

    [[fresh_seconds]] = pipeline.rows(
        "SELECT extract(epoch FROM loaded_at - since)::float8 FROM _load_batch WHERE origin = 'poll' AND rows > 0"
    )
    assert (poll.key, repair.key, repair.fresh_seconds) == (31, 7, None)
    assert poll.fresh_seconds == pytest.approx(fresh_seconds)


def test_an_object_is_read_once_and_few_at_a_look(pipeline: Pipeline, books: Warehouse) -> None:
    store = CountingStore(pipeline.aws.s3)
    reader = FlowReader(books, store, pipeline.aws.archive, running_since=LONG_AGO)
    for _ in range(READ_AT_ONCE + 1):
        pipeline.source(ORDER.format(rows=1))
        pipeline.capture()

    first = reader.look(50)
    assert len(store.read) == READ_AT_ONCE
    assert told(first)[READ_AT_ONCE] == ("sales_order", None, 1, What.LOADED)

    second = reader.look(50)
    third = reader.look(50)

    assert told(second)[: READ_AT_ONCE + 1] == told(third)[: READ_AT_ONCE + 1]
    assert len(set(store.read)) == len(store.read)
    assert [each.key for each in second.arrivals[: READ_AT_ONCE + 1]] == list(range(37, 30, -1))


@pytest.mark.parametrize("body", [None, b"no gzip"])
def test_what_the_archive_no_longer_tells_is_a_number_of_rows(
    pipeline: Pipeline, reader: FlowReader, body: bytes | None
) -> None:
    before = reader.look(0)
    pipeline.source(ORDER.format(rows=1))
    pipeline.capture()
    s3, bucket = pipeline.aws.s3, pipeline.aws.archive
    newest = max(each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="sales_order/")["Contents"])
    s3.delete_object(Bucket=bucket, Key=newest)
    if body is not None:
        s3.put_object(Bucket=bucket, Key=newest, Body=body)

    assert since(reader, before)[0] == ("sales_order", None, 1, What.LOADED)


def test_a_warehouse_that_is_away_leaves_the_view_empty(pipeline: Pipeline) -> None:
    away = Warehouse(lambda: "postgresql://nobody@127.0.0.1:1/nothing", SCHEMA)

    found = FlowReader(away, ObjectStore(pipeline.aws.s3), pipeline.aws.archive, running_since=LONG_AGO).look(9)

    assert found == Flow()


def test_the_minute_has_the_nearest_rank_of_every_second_of_every_feed_and_of_all(
    pipeline: Pipeline, reader: FlowReader
) -> None:
    loads = [
        (feed, 3 + 2 * (n % 5), 10.0 * (n * 37 % 101 + 1), NAMED_ROWS + 1 + n % 4)
        for feed in ("design", "staff")
        for n in range(100)
    ]
    pipeline.edit("DELETE FROM _load_batch")
    pipeline.edit(
        "INSERT INTO _load_batch SELECT n::text, '', feed, '', 'changed', 'poll', 1, 1, 1, 1,"
        " at - make_interval(secs => ms / 1000), at, rows, 0, '', at FROM (SELECT *, date_trunc('second',"
        " clock_timestamp()) - make_interval(secs => ago - 0.5) AS at FROM (VALUES "
        + ",".join(f"({n}, '{feed}', {ago}, {ms}, {rows})" for n, (feed, ago, ms, rows) in enumerate(loads))
        + ") v (n, feed, ago, ms, rows)) w"
    )

    minute = reader.look(1).minute

    assert {feed: (fresh.p50_ms, fresh.p99_ms) for feed, fresh in minute.feeds.items()} == {
        name: (rank(0.5, of), rank(0.99, of))
        for name, of in ((name, [each for each in loads if each[0] == name]) for name in ("design", "staff"))
    }
    assert minute.whole is not None
    assert (minute.whole.p50_ms, minute.whole.rows) == (rank(0.5, loads), sum(each[3] for each in loads))
    found = [fresh.p99_ms for fresh in minute.seconds if fresh is not None]
    assert found == [rank(0.99, [each for each in loads if each[1] == ago]) for ago in (11, 9, 7, 5, 3)]
    assert len(minute.seconds) == WINDOW_SECONDS


def rank(share: float, loads: list[tuple[str, int, float, int]]) -> float:
    each_row = sorted(ms for _, _, ms, rows in loads for _ in range(rows))
    return pytest.approx(each_row[ceil(share * len(each_row)) - 1])


def test_what_is_captured_and_not_loaded_is_in_flight(pipeline: Pipeline, books: Warehouse) -> None:
    pipeline.source(ORDER.format(rows=1))
    pipeline.poll()
    assert in_flight(pipeline, books) == {"sales_order": 1}

    pipeline.deliver()
    assert in_flight(pipeline, books) == {}


@pytest.mark.parametrize(
    ("page", "complete", "loaded", "expected"),
    [
        (3, None, (0, 1, 2), 0),
        (3, None, (0, 3, 4), 2),
        (5, 3, (3,), 1),
        (5, 9, (), 0),
        (5_000, None, (4_999, 17), 999),
    ],
)
def test_pages_in_flight_are_those_captured_after_the_proof_and_not_loaded(
    pipeline: Pipeline, books: Warehouse, page: int, complete: int | None, loaded: tuple[int, ...], expected: int
) -> None:
    for each in loaded:
        for origin in ("poll", "repair"):
            pipeline.edit(
                f"INSERT INTO _load_batch SELECT '{origin} {each}', '', 'payment', '', 'changed', '{origin}', 1, 1, 1,"
                f" {each + (origin == 'repair')}, now(), now(), 1, 0, '', now()"
            )
    if complete is not None:
        pipeline.edit(f"INSERT INTO _complete VALUES ('payment', {complete}, NULL, NULL)")

    assert books.in_flight({"payment": page}) == {"payment": expected}


def in_flight(pipeline: Pipeline, books: Warehouse) -> dict[str, int]:
    aws = pipeline.aws
    queues = [WorkQueue(Queue(aws.sqs, queue), Queue(aws.sqs, dead)) for queue, dead in
              ((aws.changes, aws.changes_dlq), (aws.loads, aws.loads_dlq))]  # fmt: skip
    places = Places(
        ObjectStore(aws.s3), aws.archive, aws.processed, aws.control, *queues, books, datetime.now(UTC), "the log"
    )
    feeds = Collector(places, now=lambda: datetime.now(UTC)).collect().feeds
    assert feeds["department"].batches_in_flight is None
    return {name: feed.batches_in_flight for name, feed in feeds.items() if feed.batches_in_flight}


def test_no_query_of_the_view_reads_more_than_its_share_of_many_load_batches(pipeline: Pipeline) -> None:
    pipeline.edit(
        "INSERT INTO _load_batch SELECT 'old ' || n, 'old ' || n, 'sales_order', 'fact_sales_order', 'changed', 'poll',"
        " 1, n, 1, n + 9, moment, moment, 1, 0, '', moment FROM (SELECT n, clock_timestamp() -"
        f" make_interval(hours => 1, secs => n) AS moment FROM generate_series(1, {MANY}) n) v"
    )
    pipeline.edit(
        f"INSERT INTO _unversioned_sales_order SELECT n, 0, 1, 1, 1, 1, now() FROM generate_series(1000, {MANY}) n"
    )
    pipeline.edit("ANALYZE")
    moment, seconds = {"running_since": LONG_AGO}, {"window_seconds": 60}
    place = {"generation": 1, "revision": 2, "contract": 1}
    feeds = {"feeds": ["sales_order"], "pages": [MANY + 9]}

    assert buffers(pipeline, sql("freshness"), **moment, window_seconds=900) < FEW_BUFFERS
    assert buffers(pipeline, sql("last_minute"), **moment, **seconds) < FEW_BUFFERS
    assert buffers(pipeline, sql("last_loads"), batches=50) < FEW_BUFFERS
    assert buffers(pipeline, sql("in_flight"), **feeds, at_most=1_000) < FEW_BUFFERS
    statement = sql("known_before").format(seen="_seen_sales_order")
    assert buffers(pipeline, statement, keys=[1, 2_000, MANY - 1], **place) < FEW_BUFFERS


def buffers(pipeline: Pipeline, statement: str, **parameters: Any) -> int:
    """Pages that a query touches."""
    warehouse = Warehouse(lambda: pipeline.warehouse_dsn, SCHEMA)
    [[plan]] = warehouse.read(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", **parameters)
    warehouse.close()
    top = (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def test_an_arrival_is_told_with_the_time_of_its_commit_newest_first(pipeline: Pipeline, reader: FlowReader) -> None:
    found: tuple[Arrival, ...] = reader.look(50).arrivals

    assert [each.at for each in found] == sorted((each.at for each in found), reverse=True)
    assert {each.feed for each in found} == {
        "currency", "staff", "address", "counterparty", "design", "sales_order",
    }  # fmt: skip
    assert found[0].at - found[-1].at < timedelta(minutes=1)
