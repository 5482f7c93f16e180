"""A heartbeat through every stage: what it proves in the warehouse, and what it changes for nobody else."""

from datetime import datetime

import pytest

from services.reconciler.progress import ProgressStore
from shared.errors import QueueUnavailable
from shared.objects import ObjectStore
from tests.poller.archived import objects
from tests.poller.conftest import Calls, Failing
from tests.reconciler.conftest import Pipeline
from tests.reconciler.test_reconcile import unreachable

NEVER = "SELECT count(*) FROM freshness WHERE complete_as_of IS NULL"


def beat(pipeline: Pipeline, seconds: float = 0.001) -> None:
    """An invocation of the poller, which sends a heartbeat first of all."""
    pipeline.bench.clock.seconds += 60
    assert pipeline.poller.run(seconds, pipeline.bench.clock.sleep).owner


def complete(pipeline: Pipeline, feed: str) -> datetime:
    return pipeline.rows(f"SELECT complete_as_of FROM freshness WHERE feed = '{feed}'")[0][0]


def checkpoint(pipeline: Pipeline, feed: str) -> datetime | None:
    return pipeline.bench.checkpoint().feed(feed).as_of


def test_an_idle_pipeline_proves_itself_through_every_stage(pipeline: Pipeline):
    beat(pipeline)
    pipeline.deliver()
    first, archived = complete(pipeline, "design"), objects(pipeline.aws)

    beat(pipeline)
    pipeline.deliver()

    assert pipeline.rows(NEVER) == [[0]]
    assert complete(pipeline, "design") == checkpoint(pipeline, "design") > first
    assert objects(pipeline.aws) == archived
    [[heartbeats, shown]] = pipeline.rows("SELECT (SELECT count(*) FROM _heartbeat), count(*) FROM _complete")
    assert (heartbeats, shown) == (1, 10)


def test_repairs_hold_no_proof_and_make_none(pipeline: Pipeline):
    pipeline.source("UPDATE design SET design_name = 'Silent' WHERE design_id = 7")
    pipeline.reconcile()  # its batch is sent and not loaded yet
    lost = pipeline._taken(pipeline.aws.changes)
    beat(pipeline)

    pipeline.deliver()

    assert len(lost) == 1
    assert complete(pipeline, "design") == checkpoint(pipeline, "design")


def test_a_batch_on_its_way_holds_its_own_feed_and_no_other(pipeline: Pipeline):
    beat(pipeline)
    pipeline.deliver()
    before = complete(pipeline, "design")
    pipeline.source("UPDATE design SET design_name = 'New', last_updated = now() WHERE design_id = 7")
    beat(pipeline)
    held = [one for one in pipeline._taken(pipeline.aws.changes) if '"feed":"design","operation"' in one.body]
    beat(pipeline)

    pipeline.deliver()

    assert len(held) == 1
    assert complete(pipeline, "design") == before
    assert complete(pipeline, "staff") == checkpoint(pipeline, "staff")
    pipeline.aws.sqs.send_message(QueueUrl=pipeline.aws.changes, MessageBody=held[0].body)
    pipeline.deliver()
    assert complete(pipeline, "design") == checkpoint(pipeline, "design")


def test_a_poller_that_dies_and_its_heir_leave_no_page_that_never_comes(pipeline: Pipeline):
    """Neither a page that was stored and not sent, nor a repair that was stored and not sent."""
    pipeline.source("UPDATE design SET design_name = 'Silent' WHERE design_id = 7")
    failing = Failing(pipeline.aws.sqs, ("send_message_batch",), Calls(1), unreachable)
    with pytest.raises(QueueUnavailable):
        pipeline.reconciler(sqs=failing).run()
    pipeline.source("UPDATE design SET design_name = 'New', last_updated = now() WHERE design_id = 8")
    dying = pipeline.bench.poller(owner="dying", scan_max_rows=0, sqs=failing_once(pipeline))
    with pytest.raises(QueueUnavailable):
        dying.run(1, pipeline.bench.clock.sleep)
    pipeline.bench.let_the_lease_run_out()
    pipeline.poller = pipeline.bench.poller(owner="heir", scan_max_rows=0)

    beat(pipeline)
    pipeline.deliver()

    assert complete(pipeline, "design") == checkpoint(pipeline, "design")


def failing_once(pipeline: Pipeline) -> Failing:
    """Taking over, the poller sends the unsent repair first; then the page."""
    return Failing(pipeline.aws.sqs, ("send_message_batch",), Calls(2), unreachable)


def test_the_reconciler_leaves_word_of_its_last_run(pipeline: Pipeline):
    store = ProgressStore(ObjectStore(pipeline.aws.s3), pipeline.aws.control)
    pipeline.source("UPDATE design SET design_name = 'Silent' WHERE design_id IN (7, 8)")
    pipeline.reconcile(dry_run=True)
    after_dry_run = store.load().last

    pipeline.mend()

    last = store.load().last
    assert after_dry_run is None
    assert last is not None
    assert (last.drift, last.repaired, last.feeds, last.skipped, last.whole) == (2, 2, 10, (), False)
    pipeline.bench.edit_checkpoint(paused=True)
    pipeline.reconcile()
    assert store.load().last == last
