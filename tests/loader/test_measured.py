"""What one transaction comes to in metrics: by feed, and only what it brought in."""

from datetime import timedelta

from contracts.messages import LoadBatchData, Origin
from contracts.star import DimStaff, FactSalesOrder
from services.loader.measured import measured
from tests.loader.rows import AS_OF, SALE, STAFF, at, changed

SINCE = AS_OF - timedelta(seconds=5)
BEGUN, COMMITTED = AS_OF + timedelta(seconds=1), AS_OF + timedelta(seconds=3)


def sales(rows: int, origin: Origin = Origin.POLL, since: timedelta | None = timedelta()) -> LoadBatchData:
    begin = None if since is None else SINCE + since
    made = [{**SALE, "sales_order_id": number} for number in range(rows)]
    return changed(FactSalesOrder, made, at(1, 10), origin=origin, since=begin).batch.data


def test_rows_and_their_rate_and_the_oldest_snapshot_count_for_each_feed():
    staff = changed(DimStaff, [STAFF], at(1, 10), origin=Origin.BACKFILL, since=None).batch.data

    found = measured([sales(2), sales(4, since=timedelta(seconds=-2)), staff], BEGUN, COMMITTED)

    assert found == {
        "sales_order": {"rows_loaded": 6, "rows_per_second": 3, "freshness_seconds": 10},
        "staff": {"rows_loaded": 1, "rows_per_second": 0.5},
    }


def test_only_polls_and_scans_tell_how_fresh_rows_are():
    found = {
        origin: "freshness_seconds" in measured([sales(1, origin)], BEGUN, COMMITTED)["sales_order"]
        for origin in Origin
    }

    assert {origin for origin, fresh in found.items() if fresh} == {Origin.POLL, Origin.SCAN}


def test_a_clock_set_back_during_the_transaction_gives_no_rate_and_no_age_below_zero():
    found = measured([sales(1, since=timedelta(hours=1))], COMMITTED, BEGUN)

    assert found == {"sales_order": {"rows_loaded": 1, "freshness_seconds": 0}}


def test_a_batch_without_a_good_row_measures_nothing():
    empty = sales(1).model_copy(update={"object": sales(1).object.model_copy(update={"rows": 0})})

    assert measured([empty], BEGUN, COMMITTED) == {}
