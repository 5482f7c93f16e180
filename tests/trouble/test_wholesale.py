"""Many rows at once: a bulk UPDATE of one timestamp with crashes between its pages, a reload, a lost checkpoint."""

import json
from contextlib import suppress

import pytest
from botocore.exceptions import EndpointConnectionError

from shared.errors import PipelineError
from tests.poller.archived import Batch, latest, objects, receive
from tests.poller.conftest import Bench, Calls, Failing
from tests.trouble.conftest import Pipeline
from tests.trouble.rows import expect_same, ids

BULK = "UPDATE design SET design_name = 'new', last_updated = '2030-08-19 07:55:11'"


def unreachable() -> Exception:
    return EndpointConnectionError(endpoint_url="https://aws")


def crashes_at_each_page(bench: Bench, *, pages: int, **sizes: int) -> list[Batch]:
    """One poller after the other, each dying at a later send than the one before, until one ends its read."""
    sent: list[Batch] = []
    for number in range(pages + 2):
        sqs = Failing(bench.aws.sqs, ("send_message_batch",), Calls(2, after=number % 2 == 1), unreachable)
        bench.let_the_lease_run_out()
        with suppress(PipelineError):
            bench.poller("design", owner=f"dies-{number}", sqs=sqs, scan_max_rows=0, **sizes).run(1, bench.clock.sleep)
        sent += receive(bench.aws)
    bench.let_the_lease_run_out()
    bench.poller("design", owner="lives", scan_max_rows=0, **sizes).run(1, bench.clock.sleep)
    return sent + receive(bench.aws)


@pytest.mark.parametrize(
    ("rows", "page_rows"),
    [
        pytest.param(2_000, 250, id="2,000 rows"),
        pytest.param(200_000, 10_000, id="200,000 rows", marks=pytest.mark.slow),
    ],
)
def test_a_bulk_update_with_one_timestamp_survives_a_crash_between_all_its_pages(
    bench: Bench, rows: int, page_rows: int
):
    sizes = {"page_rows": page_rows, "pages_per_turn": 3}
    bench.run(
        "INSERT INTO design (design_name, file_location, file_name, last_updated)"
        f" SELECT 'old', 'b', i, '2022-01-01' FROM generate_series(1, {rows}) i; ANALYZE design"
    )
    bench.started("design", scan_max_rows=0, **sizes).rest()
    pages = rows // page_rows
    bench.run(BULK)
    bench.run("UPDATE design SET design_name = 'newer' WHERE design_id % 1000 = 0")

    sent = crashes_at_each_page(bench, pages=pages, **sizes)

    found = latest(sent, "design", "design_id")
    assert len(found) == rows
    assert {row["last_updated"] for row in found.values()} == {"2030-08-19 07:55:11"}
    assert sum(row["design_name"] == "newer" for row in found.values()) == rows // 1000
    assert len(ids(sent)) <= 3 * rows, "each page may be sent again by each heir, not the whole change"


RELOAD = """
BEGIN;
CREATE TEMP TABLE kept_design AS SELECT * FROM design WHERE design_id NOT IN (41, 42);
CREATE TEMP TABLE kept_order AS SELECT * FROM sales_order WHERE sales_order_id <> 7;
TRUNCATE design CASCADE;
INSERT INTO design SELECT * FROM kept_design;
UPDATE design SET design_name = 'Reloaded', last_updated = '2022-01-01' WHERE design_id = 3;
INSERT INTO sales_order SELECT * FROM kept_order;
UPDATE sales_order SET units_sold = 999, last_updated = '2022-01-01' WHERE sales_order_id = 8;
COMMIT
"""
"""As old as they say these rows are, only a reading of the whole feed finds them."""


def test_a_reload_in_one_transaction_brings_what_changed_and_the_reconciler_what_is_gone(pipeline: Pipeline):
    pipeline.source(RELOAD)
    pipeline.capture()
    kept = pipeline.rows("SELECT count(*) FROM dim_design WHERE _deleted_generation IS NULL")
    changed = pipeline.rows("SELECT units_sold FROM current_sales_order WHERE sales_order_id = 8")
    total = pipeline.mend()

    assert (kept, changed) == ([[50]], [[999]])
    assert total["deleted"] == 3
    expect_same(pipeline)


def test_a_lost_control_bucket_costs_one_reading_and_no_change_and_no_deletion(pipeline: Pipeline):
    pipeline.source("UPDATE sales_order SET units_sold = 500, last_updated = now() WHERE sales_order_id = 9")
    stored_not_sent = pipeline.bench.poller(
        owner="dead",
        scan_max_rows=0,
        sqs=Failing(pipeline.aws.sqs, ("send_message_batch",), Calls(1), unreachable),
    )
    with suppress(PipelineError):
        stored_not_sent.run(1, pipeline.bench.clock.sleep)
    uncovered = objects(pipeline.aws)[-1]
    pipeline.source(
        "DELETE FROM sales_order WHERE sales_order_id = 7; DELETE FROM design WHERE design_id = 41;"
        "UPDATE design SET design_name = 'Silent' WHERE design_id = 3"
    )
    pipeline.aws.s3.delete_object(Bucket=pipeline.aws.control, Key="checkpoint.json")

    pipeline.poller = pipeline.bench.poller(owner="heir", scan_max_rows=0)
    assert pipeline.poller.claim()
    resent = receive_again(pipeline)
    pipeline.capture()
    before = pipeline.rows("SELECT count(*) FROM current_sales_order")
    total = pipeline.mend()

    assert uncovered in resent
    assert pipeline.bench.checkpoint().generation == 2
    assert (before, total["deleted"]) == ([[30]], 2)
    assert pipeline.mend()["deleted"] == 0
    expect_same(pipeline)


def receive_again(pipeline: Pipeline) -> list[str]:
    """The objects of the messages now on the queue, which stay there."""
    batches = receive(pipeline.aws)
    for batch in batches:
        pipeline.aws.sqs.send_message(QueueUrl=pipeline.aws.changes, MessageBody=json.dumps(batch.event))
    return [batch.data["object"]["key"] for batch in batches]
