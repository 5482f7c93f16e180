"""What reconciling a large feed costs, printed: a measurement, not part of any suite (make reconcile-figures).

Rows go the whole way through poller, transform and loader first. The limit beside it is one aggregate over all row
hashes of the source, on one core: nobody who compares rows can do with less.
"""

import os
import time

import pytest

from services.reconciler.reconcile import Report, Task
from tests.reconciler.conftest import SCHEMA, Pipeline

ROWS = int(os.environ.get("ROWS", "1000000"))
ONE_AGGREGATE = """
SET max_parallel_workers_per_gather = 0;
SELECT count(*), sum(hash_record_extended(ROW(sales_order_id::text, created_at::text, last_updated::text,
       design_id::text, staff_id::text, counterparty_id::text, units_sold::text, unit_price::text, currency_id::text,
       agreed_delivery_date::text, agreed_payment_date::text, agreed_delivery_location_id::text), 0))
  FROM sales_order"""
MORE = """
INSERT INTO sales_order (design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id,
                         agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)
SELECT 1 + i % 50, 1 + i % 4, 1 + i % 4, i, 2.50, 1, '2024-05-01', '2024-05-02', 1 + i % 4
  FROM generate_series(1, :rows) i"""


def timed(pipeline: Pipeline, what: str, **task: object) -> Report:
    """One run over the sales orders, with its figures."""
    reconciler = pipeline.reconciler()
    reconciler._now = time.monotonic
    started = time.monotonic()
    report = reconciler.run(Task(feeds=("sales_order",), whole=True, **task))
    found = report.feeds["sales_order"]
    print(
        f"{what:<34} {time.monotonic() - started:6.2f} s  source {found.source_ms / 1000:5.2f} s  "
        f"moved {found.bytes / 1e6:6.3f} MB  ranges {found.ranges:4}  drift {found.drift}",
        flush=True,
    )
    return report


@pytest.mark.measured
def test_what_reconciling_a_large_feed_costs(pipeline: Pipeline):
    print(flush=True)
    pipeline.source(MORE, rows=ROWS)
    pipeline.source("VACUUM ANALYZE sales_order")
    started = time.monotonic()
    while pipeline.capture_some():
        pass
    for table in ("_unversioned_sales_order", "fact_sales_order"):
        pipeline.rows(f"VACUUM ANALYZE {SCHEMA}.{table}")
    print(f"{'brought to the warehouse':<34} {time.monotonic() - started:6.2f} s  {ROWS:,} rows", flush=True)
    for _ in range(3):
        started = time.monotonic()
        pipeline.source(ONE_AGGREGATE)
        print(f"{'limit: one aggregate at the source':<34} {time.monotonic() - started:6.2f} s", flush=True)
        assert timed(pipeline, "no drift").total.drift == 0

    pipeline.source(
        "UPDATE sales_order SET agreed_delivery_date = '2031-01-01' WHERE sales_order_id IN"
        " (SELECT sales_order_id FROM sales_order WHERE sales_order_id > 100 ORDER BY random() LIMIT 100)"
    )
    assert timed(pipeline, "100 drifted rows, dry run", dry_run=True).total.stale == 100
    assert timed(pipeline, "100 drifted rows, repaired").total.changed == 100
    pipeline.deliver()
    assert timed(pipeline, "after the repair").total.drift == 0

    pipeline.edit(
        "UPDATE fact_sales_order SET units_sold = 0 WHERE sales_record_id IN"
        " (SELECT sales_record_id FROM fact_sales_order ORDER BY random() LIMIT 10)"
    )
    assert timed(pipeline, "deep, ten edited by hand", deep=True).total.damaged == 10
    pipeline.deliver()
    assert timed(pipeline, "deep, after the repair", deep=True).total.damaged == 0
