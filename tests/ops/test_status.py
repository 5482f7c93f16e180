"""The status is read from the checkpoint, the queues and the warehouse's books, and from nothing else."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.feeds import FEEDS
from contracts.messages import ChangeBatchData, ObjectRef, Operation, Origin, Position, archive_key, batch_id
from services.loader.migrate import migrate
from services.ops.status import (
    WINDOW_SECONDS,
    Collector,
    FeedStatus,
    HeartbeatStatus,
    Places,
    Reconciliation,
    Status,
    Warehouse,
    WorkQueue,
    late_heartbeat,
    silence,
)
from services.ops.summary import count_source, count_stars, first_row
from services.reconciler.progress import LastRun, Progress, ProgressStore
from services.transform.quarantine import QuarantinedRow
from shared.checkpoint import Checkpoint, CheckpointStore, FeedState, Horizon
from shared.errors import Unavailable
from shared.objects import ObjectStore
from shared.queues import Queue
from tests.conftest import Aws, Server, Source, open_connection

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
SCHEMA = "warehouse"


@dataclass(frozen=True)
class World:
    """A warehouse with its books, an account, and the collector that reads both."""

    aws: Aws
    dsn: str
    places: Places

    def collect(self, window_seconds: float = WINDOW_SECONDS, places: Places | None = None) -> Status:
        return Collector(places or self.places, now=lambda: NOW).collect(window_seconds)

    def run(self, statement: str, **parameters: Any) -> None:
        with open_connection(self.dsn) as connection:
            connection.run(f"SET search_path = {SCHEMA}")
            connection.run(statement, **parameters)

    def archive(self, feed: str, as_of: datetime, page: int, *, built: bool = False) -> str:
        """Put an archive object, and its Parquet if it is built; the change batch's id."""
        key, batch = named(feed, as_of, page)
        self.aws.s3.put_object(Bucket=self.aws.archive, Key=key, Body=b"")
        star = FEEDS[feed].star
        if built and star is not None:
            mirrored = f"{star.table}/{key.split('/', 1)[1].removesuffix('.tsv.gz')}-{'0' * 16}.parquet"
            self.aws.s3.put_object(Bucket=self.aws.processed, Key=mirrored, Body=b"")
        return batch

    def load(self, batch: str, **fields: Any) -> None:
        load(self.run, batch, **fields)


def named(feed: str, as_of: datetime, page: int) -> tuple[str, str]:
    position = Position(generation=1, revision=page, contract=1)
    key = archive_key(feed, as_of=as_of, position=position, page=page, operation=Operation.CHANGED, sha256="ab" * 32)
    data = ChangeBatchData(
        feed=feed,
        operation=Operation.CHANGED,
        origin=Origin.POLL,
        position=position,
        page=page,
        since=None,
        as_of=as_of,
        time_zone="UTC",
        object=ObjectRef(bucket="archive", key=key, sha256="ab" * 32, bytes=1, rows=1),
        columns=(),
    )
    return key, batch_id(data)


def load(run: Callable[..., None], batch: str, **fields: Any) -> None:
    """Write one line of the warehouse's books, loaded just now."""
    given = {"origin": "poll", "rows": 1, "fresh_seconds": 1.0, "ago_seconds": 0.0} | fields
    run(
        "INSERT INTO _load_batch SELECT :batch, :batch, 'payment', 'fact_payment', 'changed', :origin, 1, 1, 1, 1,"
        " moment - make_interval(secs => :fresh_seconds), moment, :rows, 0, '', moment"
        " FROM (SELECT clock_timestamp() - make_interval(secs => :ago_seconds) AS moment) loaded",
        batch=batch,
        **given,
    )


@pytest.fixture(scope="module")
def migrated(server: Server) -> Iterator[str]:
    """A star schema that the tests of this module empty and share: migrating costs two seconds."""
    name = f"status_{os.getpid()}"
    with server.connect() as connection:
        connection.run(f"CREATE DATABASE {name}")
    migrate(server.dsn(name), SCHEMA, loader_role=None, analyst_role=None)
    yield server.dsn(name)
    with server.connect() as connection:
        connection.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def world(aws: Aws, migrated: str) -> Iterator[World]:
    with open_connection(migrated) as connection:
        for table in ("_load_batch", "_feed", "dim_date", "_heartbeat", "_complete"):
            connection.run(f"DELETE FROM {SCHEMA}.{table}")
    warehouse = Warehouse(lambda: migrated, SCHEMA)
    urls = (aws.changes, aws.changes_dlq, aws.loads, aws.loads_dlq)
    changes, changes_dlq, loads, loads_dlq = (Queue(aws.sqs, url) for url in urls)
    places = Places(
        objects=ObjectStore(aws.s3),
        archive_bucket=aws.archive,
        processed_bucket=aws.processed,
        control_bucket=aws.control,
        changes=WorkQueue(changes, changes_dlq),
        loads=WorkQueue(loads, loads_dlq),
        warehouse=warehouse,
        running_since=LONG_AGO,
        poller_log="the log",
    )
    yield World(aws, migrated, places)
    warehouse.close()


def test_a_pipeline_that_has_done_nothing_yet_has_a_status(world: World) -> None:
    status = world.collect(places=replace(world.places, running_since=NOW))

    assert status.notes == ()
    assert list(status.feeds) == list(FEEDS)
    assert (status.rows_captured, status.rows_loaded, status.freshness.samples) == (0, 0, 0)


def test_feeds_combine_the_checkpoint_with_the_warehouses_books(world: World) -> None:
    state = FeedState(rows_captured=7, as_of=NOW - timedelta(seconds=3), generation=2, revision=99, stopped="Why.")
    CheckpointStore(world.places.objects, world.aws.control).move(Checkpoint(paused=True, feeds={"payment": state}))
    world.run(
        "INSERT INTO _feed (feed, star_table, time_zone, generation, revision, as_of, last_loaded, rows_loaded,"
        " quarantined) VALUES ('payment', 'fact_payment', 'UTC', 1, 1, now(), now(), 5, 2)"
    )

    status = world.collect()

    payment = status.feeds["payment"]
    assert (payment.rows_captured, payment.rows_loaded, payment.rows_quarantined) == (7, 5, 2)
    assert (payment.as_of, payment.lag_seconds) == (state.as_of, 3.0)
    assert (payment.generation, payment.revision, payment.stopped) == (2, 99, "Why.")
    assert status.paused


def test_a_source_clock_ahead_of_ours_is_no_negative_lag(world: World) -> None:
    state = FeedState(as_of=NOW + timedelta(seconds=3))
    CheckpointStore(world.places.objects, world.aws.control).move(Checkpoint(feeds={"payment": state}))

    assert world.collect().feeds["payment"].lag_seconds == 0


def test_the_look_back_is_counted_from_the_poller_s_last_look_at_the_source_s_clock(world: World) -> None:
    clock = NOW - timedelta(days=1)
    began = Horizon(clock=clock, xmax=9, open={"3/7": clock - timedelta(hours=1)})
    state, later = FeedState(polled=began, as_of=clock), FeedState(as_of=clock + timedelta(seconds=30))
    feeds = {"payment": state, "design": later}
    CheckpointStore(world.places.objects, world.aws.control).move(Checkpoint(feeds=feeds))

    found = world.collect().feeds

    assert (found["payment"].look_back_seconds, found["design"].look_back_seconds) == (3630, None)


@pytest.mark.parametrize(
    ("lag_seconds", "running_seconds", "paused", "said"),
    [
        (91, 91, False, True),
        (None, 91, False, True),
        (89, 91, False, False),
        (3600, 5, False, False),
        (91, 91, True, False),
    ],
)
def test_a_poller_that_is_silent_for_long_is_noted(
    lag_seconds: float | None, running_seconds: float, paused: bool, said: bool
) -> None:
    known = {"rows_captured": 0, "rows_loaded": 0, "rows_quarantined": 0, "as_of": None, "generation": 1, "revision": 1}
    known["look_back_seconds"] = None
    stopped = FeedStatus(**known, lag_seconds=3600, stopped="Why.", star_table=None)
    feed = FeedStatus(**known, lag_seconds=lag_seconds, stopped=None, star_table=None)

    notes = list(silence([stopped, feed], paused=paused, running_seconds=running_seconds, log="the log"))

    assert [note.split(" s: ")[0] for note in notes] == ["Nothing was read from the source for 91"] * said


def test_the_heartbeat_and_what_it_proves_are_read_from_the_warehouse(world: World) -> None:
    world.run("INSERT INTO _heartbeat VALUES (true, 'h', 1, 1, now(), clock_timestamp() - interval '30 seconds')")
    world.run("INSERT INTO _complete VALUES ('design', 3, '2026-03-02 11:59Z', now()), ('staff', 0, NULL, NULL)")

    status = world.collect()

    assert status.heartbeat is not None
    assert 30 <= status.heartbeat.age_seconds < 60
    assert status.feeds["design"].complete_as_of == NOW - timedelta(minutes=1)
    assert status.feeds["staff"].complete_as_of is None
    assert not [note for note in status.notes if "heartbeat" in note]


@pytest.mark.parametrize(
    ("age_seconds", "running_seconds", "paused", "said"),
    [(179, 900, False, False), (181, 900, False, True), (None, 181, False, True), (None, 5, False, False),
     (3600, 5, False, False), (3600, 900, True, False)],
)  # fmt: skip
def test_a_heartbeat_that_is_late_is_noted(
    age_seconds: float | None, running_seconds: float, paused: bool, said: bool
) -> None:
    beat = None if age_seconds is None else HeartbeatStatus(as_of=NOW, age_seconds=age_seconds)

    notes = list(late_heartbeat(beat, paused=paused, running_seconds=running_seconds))

    assert [note.split(" for ")[0] for note in notes] == ["No heartbeat has reached the warehouse"] * said


def test_a_paused_feed_is_shown_and_its_silence_is_no_concern(world: World) -> None:
    feeds = dict.fromkeys(FEEDS, FeedState(as_of=NOW)) | {"design": FeedState(as_of=LONG_AGO, paused=True)}
    CheckpointStore(world.places.objects, world.aws.control).move(Checkpoint(feeds=feeds))

    status = world.collect()

    assert [name for name, feed in status.feeds.items() if feed.paused] == ["design"]
    assert not [note for note in status.notes if "Nothing was read" in note]


def test_the_last_reconciliation_is_read_beside_the_checkpoint(world: World) -> None:
    last = LastRun(at=NOW, whole=True, feeds=9, skipped=("staff",), drift=3, repaired=2, held_back=1)
    ProgressStore(world.places.objects, world.aws.control).move(Progress(last=last))

    found = world.collect().reconciliation

    assert found == Reconciliation(at=NOW, drift=3, repaired=2, held_back=1, skipped=("staff",))


def test_causes_are_looked_into_when_asked_for_and_the_messages_stay(world: World) -> None:
    for cause in ("contract_drift", "malformed_message", "contract_drift"):
        world.places.loads.dead_letters.park("x", {"reason": "why", "reason_class": cause})

    status = Collector(world.places, now=lambda: NOW).collect(causes=True)

    assert [(one.queue, one.cause, one.count) for one in status.parked_causes] == [
        ("loads", "contract_drift", 2),
        ("loads", "malformed_message", 1),
    ]
    assert world.places.loads.dead_letters.depth().visible == 3
    assert world.collect().parked_causes == ()


def test_rows_in_quarantine_are_those_that_were_not_replayed(world: World) -> None:
    key, _ = named("payment", NOW, 1)
    row = QuarantinedRow(
        feed="payment",
        key="1",
        field="paid",
        value="x",
        reason="no",
        reason_class="contract",
        contract=1,
        object=key,
        row=0,
    )
    key = f"_quarantine/{key.removesuffix('.tsv.gz')}-{'0' * 16}.jsonl"
    world.aws.s3.put_object(Bucket=world.aws.processed, Key=key, Body=f"{row.model_dump_json()}\n".encode() * 2)

    assert world.collect().feeds["payment"].rows_in_quarantine == 2


def test_quarantine_of_a_feed_without_a_star_table_is_counted_from_its_objects(world: World) -> None:
    for number in (1, 2):
        key = f"_quarantine/department/date=2026-03-02/{number}.jsonl"
        world.aws.s3.put_object(Bucket=world.aws.processed, Key=key, Body=b"{}\n{}\n")

    assert world.collect().feeds["department"].rows_quarantined == 4


def test_queues_count_what_is_visible_in_flight_and_parked(world: World) -> None:
    world.places.changes.queue.send(["1", "2", "3"])
    world.aws.sqs.receive_message(QueueUrl=world.aws.changes, MaxNumberOfMessages=1)
    world.places.loads.dead_letters.park("4", {"reason": "why"})

    queues = world.collect().queues

    assert (queues["changes"].visible, queues["changes"].in_flight, queues["changes"].parked) == (2, 1, 0)
    assert (queues["loads"].visible, queues["loads"].in_flight, queues["loads"].parked) == (0, 0, 1)


def test_the_oldest_batch_of_each_queue_is_told_by_its_snapshot(world: World) -> None:
    for queue in (world.places.changes.queue, world.places.loads.queue):
        queue.send(["waiting"])
    world.load(world.archive("payment", NOW - timedelta(seconds=90), 1, built=True))
    world.archive("payment", NOW - timedelta(seconds=60), 2, built=True)
    world.archive("payment", NOW - timedelta(seconds=30), 3)
    world.archive("design", NOW - timedelta(seconds=40), 1)

    queues = world.collect().queues

    assert (queues["changes"].oldest_seconds, queues["loads"].oldest_seconds) == (40.0, 60.0)


def test_an_empty_queue_has_no_oldest_message(world: World) -> None:
    world.archive("payment", NOW - timedelta(seconds=30), 1)

    assert [queue.oldest_seconds for queue in world.collect().queues.values()] == [None, None]


def test_an_empty_queue_beside_a_full_one_has_no_oldest_message_either(world: World) -> None:
    world.places.loads.queue.send(["waiting"])
    world.archive("payment", NOW - timedelta(seconds=30), 1)
    world.archive("design", NOW - timedelta(seconds=20), 1, built=True)

    queues = world.collect().queues

    assert (queues["changes"].oldest_seconds, queues["loads"].oldest_seconds) == (None, 20.0)


def test_payment_types_objects_are_not_taken_for_payments(world: World) -> None:
    world.places.changes.queue.send(["waiting"])
    world.archive("payment_type", NOW - timedelta(seconds=30), 1)
    world.load(world.archive("payment", NOW - timedelta(seconds=90), 1))

    assert world.collect().queues["changes"].oldest_seconds == 30.0


def test_a_collector_goes_on_listing_where_everything_before_is_loaded(world: World) -> None:
    collector = Collector(world.places, now=lambda: NOW)
    world.places.changes.queue.send(["waiting"])
    world.load(world.archive("payment", NOW - timedelta(seconds=90), 1))
    collector.collect()
    world.archive("payment", NOW - timedelta(seconds=20), 3)
    world.archive("payment", NOW - timedelta(seconds=50), 2)

    assert collector.collect().queues["changes"].oldest_seconds == 50.0
    assert collector.collect().queues["changes"].oldest_seconds == 50.0


def test_freshness_is_of_polls_and_scans_of_this_run_in_the_window(world: World) -> None:
    world.load("in", fresh_seconds=2.0, rows=4)
    world.load("in too", fresh_seconds=3.0, origin="scan")
    world.load("a repair", fresh_seconds=100.0, origin="repair")
    world.load("without rows", fresh_seconds=100.0, rows=0)
    world.load("before the window", fresh_seconds=100.0, ago_seconds=WINDOW_SECONDS + 60)

    freshness = world.collect().freshness

    assert (round(freshness.p50_ms or 0), round(freshness.p99_ms or 0), freshness.samples) == (2000, 3000, 5)


def test_what_changed_before_the_run_tells_nothing_of_its_freshness(world: World) -> None:
    world.load("made while nothing ran", fresh_seconds=3_600.0)
    since = datetime.now(UTC) - timedelta(minutes=5)

    freshness = world.collect(places=replace(world.places, running_since=since)).freshness

    assert (freshness.p50_ms, freshness.p99_ms, freshness.samples) == (None, None, 0)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.tuples(st.integers(1, 5_000), st.integers(1, 40)), min_size=1, max_size=12))
def test_percentiles_are_over_rows_by_nearest_rank(world: World, batches: list[tuple[int, int]]) -> None:
    world.run("TRUNCATE _load_batch")
    for number, (ms, rows) in enumerate(batches):
        world.load(str(number), fresh_seconds=ms / 1000, rows=rows)

    freshness = world.places.warehouse.freshness(LONG_AGO, WINDOW_SECONDS)

    every_row = sorted(ms for ms, rows in batches for _ in range(rows))
    ranks = [every_row[-(-len(every_row) * percent // 100) - 1] for percent in (50, 99)]
    assert [round(freshness.p50_ms or 0), round(freshness.p99_ms or 0)] == ranks
    assert freshness.samples == len(every_row)


def test_a_warehouse_that_is_away_leaves_the_rest_to_be_seen(world: World) -> None:
    world.places.changes.queue.send(["waiting"])
    elsewhere = Warehouse(lambda: "postgresql://loader@127.0.0.1:1/warehouse", SCHEMA)
    away = replace(world.places, warehouse=elsewhere, running_since=NOW)

    status = world.collect(places=away)

    assert status.queues["changes"].visible == 1
    assert [note.split(" and could")[0] for note in status.notes] == [
        "Expected a Postgres server at 127.0.0.1:1/warehouse"
    ]


def test_a_warehouse_that_cannot_be_asked_is_not_said_to_have_had_no_heartbeat(world: World) -> None:
    elsewhere = Warehouse(lambda: "postgresql://totes@127.0.0.1:1/warehouse", SCHEMA)
    away = replace(world.places, warehouse=elsewhere, running_since=LONG_AGO)

    asked, unasked = world.collect(), world.collect(places=away)

    assert any("No heartbeat" in note for note in asked.notes)
    assert not any("No heartbeat" in note for note in unasked.notes)


def test_a_session_that_broke_is_opened_again(world: World) -> None:
    world.collect()
    with open_connection(world.dsn) as connection:
        connection.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'totes status'")

    places = replace(world.places, running_since=NOW)
    first, second = world.collect(places=places), world.collect(places=places)

    assert len(first.notes) <= 1
    assert second.notes == ()


def test_the_json_has_the_promised_keys_in_snake_case(world: World) -> None:
    found = json.loads(world.collect().model_dump_json())

    feed_keys = {"rows_captured", "rows_loaded", "rows_quarantined", "as_of", "generation", "revision", "stopped"}
    assert feed_keys <= set(found["feeds"]["payment"])
    assert set(found["queues"]) == {"changes", "loads"}
    assert set(found["queues"]["changes"]) == {"visible", "in_flight", "oldest_seconds", "parked"}
    assert {"p50_ms", "p99_ms", "samples"} <= set(found["freshness"])


def test_the_first_row_is_timed_from_the_start_of_the_run(world: World) -> None:
    world.load("of an earlier run", ago_seconds=600)
    world.load("no rows", ago_seconds=50, rows=0)

    assert first_row(world.places.warehouse, elapsed_seconds=60) is None

    world.load("the first", ago_seconds=40)
    world.load("another", ago_seconds=10)
    assert first_row(world.places.warehouse, elapsed_seconds=60) == pytest.approx(20, abs=5)


def test_star_tables_are_counted_with_the_source_rows_behind_the_versions(world: World) -> None:
    world.run("INSERT INTO dim_date VALUES ('2026-03-02', 2026, 3, 2, 1, 'Monday', 'March', 1)")

    stars = count_stars(world.places.warehouse)

    assert (stars["dim_date"].rows, stars["dim_date"].source_rows) == (1, None)
    assert (stars["fact_payment"].rows, stars["fact_payment"].source_rows) == (0, 0)


def test_every_feeds_table_is_counted_in_the_source(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run("INSERT INTO currency (currency_code) VALUES ('GBP'), ('USD')")

    counted = count_source(totesys.reader_dsn, "public")

    assert counted == dict.fromkeys(FEEDS, 0) | {"currency": 2}


def test_a_source_that_is_away_is_said_to_be_away() -> None:
    with pytest.raises(Unavailable):
        count_source("postgresql://reader@127.0.0.1:1/totesys", "public")


def test_a_warehouse_that_is_away_is_said_to_be_away() -> None:
    with pytest.raises(Unavailable):
        Warehouse(lambda: "postgresql://reader@127.0.0.1:1/warehouse", SCHEMA).loaded_by_feed()
