"""A feed of any size is covered in short snapshots, over as many runs as it takes; many deletions are asked for."""

import json

import pytest

from services.reconciler.reconcile import Task
from tests.poller.archived import objects
from tests.reconciler.conftest import Pipeline

ALL_STALE = "UPDATE design SET design_name = design_name || '!'"
NO_TIME = {"reconcile_range_rows": 10, "reconcile_budget_seconds": 0.001}
"""One range of each feed a run: the clock of these tests stands still, so the budget is over when it has begun."""


def after(pipeline: Pipeline, feed: str) -> int:
    """How far the scheduled pass over a feed has come."""
    body = pipeline.aws.s3.get_object(Bucket=pipeline.aws.control, Key="reconciler.json")["Body"].read()
    return json.loads(body)["feeds"][feed]["after"]


def impatient(pipeline: Pipeline):
    """A reconciler whose time is over as soon as it looks at the clock."""
    reconciler = pipeline.reconciler(**NO_TIME)
    reconciler._now = lambda: pipeline.bench.clock.sleep(1) or pipeline.bench.clock.now()
    return reconciler


def test_a_large_feed_is_covered_over_several_runs_each_going_on_behind_the_last(pipeline: Pipeline):
    pipeline.source(ALL_STALE)
    found, places = [], []
    for _ in range(6):
        found.append(impatient(pipeline).run().feeds["design"].stale)
        pipeline.deliver()
        places.append(after(pipeline, "design"))

    assert found == [10, 10, 10, 10, 10, 0]
    assert places == [10, 20, 30, 40, 50, -(2**63)]
    assert pipeline.reconcile()["stale"] == 0


def test_a_run_with_time_enough_covers_all_whatever_the_size_of_its_ranges(pipeline: Pipeline):
    pipeline.source(ALL_STALE)

    total = pipeline.reconcile(pipeline.reconciler(reconcile_range_rows=7))

    assert (total["stale"], total["changed"], total["source"]) == (50, 50, 94)
    assert total["ranges"] == 5 * 1 + 8 + 5 - 1


def test_a_whole_run_leaves_the_scheduled_one_s_place_as_it_was(pipeline: Pipeline):
    impatient(pipeline).run()

    pipeline.reconcile(whole=True)

    assert after(pipeline, "design") == 10


def test_a_dry_run_decides_and_publishes_nothing_and_leaves_no_trace(pipeline: Pipeline):
    pipeline.source(ALL_STALE)

    report = pipeline.reconciler().run(Task(whole=True, dry_run=True))

    assert report.total.stale == 50
    assert (report.total.changed, pipeline.deliver()) == (0, 0)
    assert "reconciler.json" not in str(pipeline.aws.s3.list_objects_v2(Bucket=pipeline.aws.control))
    assert len(report.decisions["design"]) == 20


def test_one_feed_alone_is_reconciled_if_it_is_named(pipeline: Pipeline):
    pipeline.source(ALL_STALE + "; UPDATE currency SET currency_code = 'USD' WHERE currency_id = 2")

    report = pipeline.reconciler().run(Task(feeds=("currency",), whole=True))

    assert list(report.feeds) == ["currency"]
    assert pipeline.deliver() == 1


def test_too_many_deletions_are_carried_out_once_somebody_agrees(pipeline: Pipeline):
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id <= 25")
    asked = []

    refused = pipeline.reconcile(whole=True, allow=lambda *question: bool(asked.append(question)))
    agreed = pipeline.reconcile(whole=True, allow=lambda *question: True)

    assert asked == [("sales_order", 25, 30)]
    assert (refused["held_back"], refused["deleted"]) == (25, 0)
    assert (agreed["held_back"], agreed["deleted"]) == (0, 25)
    pipeline.deliver()
    assert pipeline.rows("SELECT count(*) FROM current_sales_order") == [[5]]


@pytest.mark.no_cover
@pytest.mark.parametrize("range_rows", [4, 100])
def test_a_table_emptied_by_mistake_is_not_nibbled_away_range_by_range(pipeline: Pipeline, range_rows: int):
    pipeline.reconcile()  # so that the feed's size is known
    pipeline.source("DELETE FROM sales_order")

    for _ in range(20):
        reconciler = impatient(pipeline)
        reconciler._settings = reconciler._settings.model_copy(update={"reconcile_range_rows": range_rows})
        reconciler.run()
        pipeline.deliver()

    assert pipeline.rows("SELECT count(*) >= 30 - 19 FROM current_sales_order") == [[True]]


def test_what_the_poller_has_captured_is_left_to_arrive_however_far_behind_the_pipeline_is(pipeline: Pipeline):
    pipeline.source("UPDATE sales_order SET units_sold = 999, last_updated = now() WHERE sales_order_id = 7")
    pipeline.poll()  # its message waits
    pipeline.source("UPDATE sales_order SET units_sold = 999 WHERE sales_order_id = 8")

    total = pipeline.reconcile()

    assert (total["in_flight"], total["stale"], total["changed"]) == (1, 1, 1)
    assert pipeline.deliver() == 2
    assert pipeline.reconcile()["stale"] == 0


def test_what_was_captured_and_is_on_no_queue_was_lost_and_is_repaired(pipeline: Pipeline):
    pipeline.source("UPDATE sales_order SET units_sold = 999, last_updated = now() WHERE sales_order_id = 7")
    pipeline.poll()
    pipeline.aws.sqs.purge_queue(QueueUrl=pipeline.aws.changes)

    young = pipeline.reconcile()
    pipeline.age_the_archive(minutes=2)
    old = pipeline.reconcile()

    assert (young["in_flight"], young["changed"]) == (1, 0)
    assert (old["stale"], old["changed"]) == (1, 1)


@pytest.mark.parametrize("damage", ["its bytes", "its envelope"])
def test_what_lies_in_a_damaged_object_will_not_arrive_and_is_repaired(pipeline: Pipeline, damage: str):
    pipeline.source("UPDATE sales_order SET units_sold = 999, last_updated = now() WHERE sales_order_id = 7")
    pipeline.poll()
    key = max(key for key in objects(pipeline.aws) if key.startswith("sales_order/"))
    stored = pipeline.aws.s3.get_object(Bucket=pipeline.aws.archive, Key=key)
    metadata = stored["Metadata"] if damage == "its bytes" else {}
    body = stored["Body"].read()[:-9] if damage == "its bytes" else stored["Body"].read()
    pipeline.aws.s3.put_object(Bucket=pipeline.aws.archive, Key=key, Body=body, Metadata=metadata)

    assert pipeline.reconcile()["changed"] == 1


def test_a_member_inferred_long_ago_is_told_and_not_repaired(pipeline: Pipeline):
    pipeline.edit(
        "INSERT INTO dim_design (design_id, design_name, file_location, file_name, _generation, _revision, _contract,"
        " _inferred_at) SELECT key, 'Unknown', 'Unknown', 'Unknown', 0, 0, 0, now() - make_interval(secs => age)"
        " FROM (VALUES (900, 1000), (901, 10), (51, 1000)) known (key, age)"
    )
    pipeline.source("INSERT INTO design (design_id, design_name, file_location, file_name) VALUES (51, 'a', 'b', 'c')")

    report = pipeline.reconciler().run()

    assert (report.feeds["design"].inferred, report.feeds["design"].missing) == (1, 1)
    assert [(one.kind, one.key) for one in report.decisions["design"]] == [("missing", 51), ("inferred", 900)]
