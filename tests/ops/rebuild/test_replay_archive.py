"""Stored change batches are sent once more: those that the warehouse lacks, in the order of their snapshots."""

from datetime import datetime
from typing import Any

import pytest

from contracts.messages import ArchiveKey, ChangeBatch
from services.ops.archived import NoBooks, Selection, WarehouseBooks
from services.ops.replay_archive import Pace, Replayed, Replayer
from shared.queues import Queue
from tests.attack.stores import Clock
from tests.ops.rebuild.conftest import Lived, Watcher
from tests.poller.archived import objects
from tests.reconciler.conftest import Pipeline

EVERYTHING = Selection.of((), None, None)


def replay(pipeline: Pipeline, selection: Selection = EVERYTHING, **options: Any) -> Replayed:
    """Replay; what is sent waits on the queue `changes`."""
    rebuilder, clock, done = Lived(pipeline).rebuilder(), Clock(), Replayed()
    books = NoBooks() if options.pop("everything", False) else WarehouseBooks(rebuilder.warehouse)
    pace = Pace(None, clock.now, clock.sleep)
    replayer = Replayer(rebuilder.archive, books, Queue(pipeline.aws.sqs, pipeline.aws.changes), pace)
    replayer.run(selection, options.pop("limit", None), done, options.pop("watcher", Watcher()))
    rebuilder.warehouse.close()
    return done


def sent(pipeline: Pipeline) -> list[ChangeBatch]:
    return [ChangeBatch.model_validate_json(one.body) for one in pipeline._taken(pipeline.aws.changes)]


def archived(pipeline: Pipeline) -> list[str]:
    """Ids of what lies in the archive of feeds with a star table, by hand."""
    found = [ArchiveKey.parse(key) for key in objects(pipeline.aws)]
    return [one.batch for one in found if one is not None and one.feed != "department"]


def test_only_what_the_books_do_not_hold_is_sent_unless_everything_is_asked_for(pipeline: Pipeline):
    assert (replay(pipeline).batches, sent(pipeline)) == (0, [])

    pipeline.edit("DELETE FROM _load_batch WHERE feed = 'design'")
    done = replay(pipeline)
    missing = sent(pipeline)
    everything = replay(pipeline, everything=True)

    assert [batch.data.feed for batch in missing] == ["design"]
    assert (done.batches, done.rows, done.failures) == (1, 50, 0)
    assert sorted(batch.id for batch in sent(pipeline)) == sorted(archived(pipeline))
    assert everything.batches == len(archived(pipeline))


def test_what_is_replayed_and_delivered_is_the_warehouse_that_was(lived: Lived):
    before = lived.fingerprints()

    replay(lived.pipeline, everything=True)
    lived.pipeline.deliver(times=2)

    assert lived.fingerprints() == before


def test_one_that_stops_at_its_limit_goes_on_at_the_snapshot_it_came_to(lived: Lived):
    pipeline = lived.pipeline
    found: list[str] = []
    since: datetime | None = None
    for _ in range(len(archived(pipeline))):
        done = replay(pipeline, Selection.of((), since, None), everything=True, limit=7)
        now = [batch for batch in sent(pipeline) if batch.id not in found]
        found += [batch.id for batch in now]
        assert since is None or all(batch.data.as_of >= since for batch in now)
        if done.up_to == since:
            break
        since = done.up_to

    assert sorted(found) == sorted(archived(pipeline))


def test_the_rate_holds_batches_back():
    clock, began = Clock(100.0), []
    pace = Pace(0.5, clock.now, clock.sleep)

    for batches in (10, 10, 3, 1):
        pace.take(batches)
        began.append(clock.seconds)

    assert began == pytest.approx([100.0, 120.0, 140.0, 146.0])


def test_an_object_without_an_envelope_is_named_and_stops_no_other(pipeline: Pipeline):
    aws, watcher = pipeline.aws, Watcher()
    key = next(key for key in objects(aws) if key.startswith("design/"))
    aws.s3.put_object(Bucket=aws.archive, Key=key, Body=b"")

    done = replay(pipeline, everything=True, watcher=watcher)

    assert [one.key for one in done.failed] == [key]
    assert done.batches == len(sent(pipeline)) == len(archived(pipeline)) - 1
    assert sum(batches for _, batches, _ in watcher.seen) == len(archived(pipeline))
