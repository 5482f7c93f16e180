"""The warehouse against itself: what somebody changed by hand is found, and comes back from the archive."""

from typing import Any

import pytest

from services.poller import reading
from tests.conftest import Aws
from tests.conftest import Source as Totesys
from tests.reconciler.conftest import Pipeline, captured

HISTORY = "SELECT * FROM history_sales_order ORDER BY sales_order_id, valid_from"
WITHOUT_RECORD = (
    "SELECT sales_order_id, units_sold, valid_from, valid_to, ended_by FROM history_sales_order ORDER BY 1, 3"
)


class Looks:
    """S3 that counts the looks at the checkpoint, and in which the poller begins a generation just before one."""

    def __init__(self, pipeline: Pipeline, move_at: int = 0) -> None:
        self._pipeline, self._move_at, self.looks = pipeline, move_at, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline.aws.s3, name)

    def get_object(self, **arguments: Any) -> Any:
        if arguments["Key"] == "checkpoint.json":
            self.looks += 1
            if self.looks == self._move_at:
                self._pipeline.bench.edit_checkpoint(generation=self._pipeline.bench.checkpoint().generation + 1)
        return self._pipeline.aws.s3.get_object(**arguments)


def deep(pipeline: Pipeline) -> dict[str, Any]:
    """A whole run that proves the star rows, its repairs delivered."""
    return pipeline.mend(whole=True, deep=True)


@pytest.fixture
def versions(pipeline: Pipeline) -> Pipeline:
    """Two orders with three versions each, one of them deleted since."""
    for units in (500, 501):
        pipeline.source(
            f"UPDATE sales_order SET units_sold = {units}, last_updated = now() WHERE sales_order_id IN (7, 8)"
        )
        pipeline.capture()
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id = 8")
    pipeline.mend()
    return pipeline


def test_nothing_is_found_where_nobody_touched_anything(versions: Pipeline):
    total = deep(versions)

    assert (total["damaged"], total["restored"]) == (0, 0)
    assert versions.deliver() == 0


@pytest.mark.parametrize(
    ("edit", "damaged"),
    [
        ("UPDATE fact_sales_order SET units_sold = 0 WHERE sales_order_id <= 10", 14),
        ("UPDATE fact_sales_order SET units_sold = 0, _star_hash = 1 WHERE sales_order_id = 7", 3),
        ("UPDATE fact_sales_order SET unit_price = 9.99 WHERE sales_order_id = 7 AND units_sold = 500", 1),
        ("UPDATE fact_sales_order SET units_sold = 0 WHERE sales_order_id = 8", 3),
    ],
    ids=["ten orders", "with its hash", "an old version", "a deleted order"],
)
def test_edited_versions_get_their_columns_back_and_no_history_changes(versions: Pipeline, edit: str, damaged: int):
    before = versions.rows(HISTORY)
    versions.edit(edit)
    assert versions.rows(HISTORY) != before

    total = deep(versions)

    assert (total["damaged"], total["restored"]) == (damaged, damaged)
    assert versions.rows(HISTORY) == before
    assert deep(versions)["damaged"] == 0


@pytest.mark.parametrize("which", ["true", "units_sold = 500", "sales_order_id = 8"])
def test_versions_deleted_by_hand_are_made_again(versions: Pipeline, which: str):
    before = versions.rows(WITHOUT_RECORD)
    versions.edit(f"DELETE FROM fact_sales_order WHERE {which}")

    assert deep(versions)["damaged"] > 0

    assert versions.rows(WITHOUT_RECORD) == before
    assert deep(versions)["damaged"] == 0


def test_a_version_comes_back_from_a_page_that_came_without_hashes(
    totesys: Totesys, aws: Aws, warehouse_dsn: str, monkeypatch: pytest.MonkeyPatch
):
    """A first read of more rows than a poller remembers; the source's own checksums hold the hashes made of it."""
    monkeypatch.setattr(reading, "MEMORY_KEYS", 0)
    pipeline = captured(totesys, aws, warehouse_dsn)
    try:
        assert pipeline.mend(whole=True)["stale"] == 0
        pipeline.source("UPDATE sales_order SET units_sold = 500, last_updated = now() WHERE sales_order_id = 7")
        pipeline.capture()
        before = pipeline.rows(HISTORY)
        pipeline.edit("UPDATE fact_sales_order SET unit_price = 9.99 WHERE sales_order_id = 7 AND units_sold <> 500")

        total = deep(pipeline)

        assert (total["damaged"], total["restored"]) == (1, 1)  # no longer in the source: out of the archive alone
        assert pipeline.rows(HISTORY) == before
        assert deep(pipeline)["damaged"] == 0
    finally:
        pipeline.bench.close()


def test_an_edited_member_of_a_dimension_comes_back(pipeline: Pipeline):
    content = "SELECT design_name FROM dim_design ORDER BY design_id"
    before = pipeline.rows(content)
    pipeline.edit("UPDATE dim_design SET design_name = 'Edited' WHERE design_id <= 5")

    assert deep(pipeline)["restored"] == 5

    assert pipeline.rows(content) == before
    assert deep(pipeline)["damaged"] == 0


def test_without_its_archived_row_the_present_version_is_restored_from_the_source(pipeline: Pipeline):
    current = "SELECT units_sold FROM current_sales_order ORDER BY sales_order_id"
    before = pipeline.rows(current)
    pipeline.edit("UPDATE fact_sales_order SET units_sold = 0")
    pipeline.edit("UPDATE _load_batch SET feed = 'lost' WHERE feed = 'sales_order'")

    total = deep(pipeline)

    assert (total["damaged"], total["restored"]) == (30, 30)
    assert pipeline.rows(current) == before
    assert pipeline.rows("SELECT count(*) FROM fact_sales_order") == [[30]]


def test_a_deep_look_that_a_moving_generation_breaks_off_begins_again(pipeline: Pipeline):
    pipeline.edit("UPDATE fact_sales_order SET units_sold = 0 WHERE sales_order_id = 7")
    pipeline.edit("UPDATE _load_batch SET feed = 'lost' WHERE feed = 'sales_order'")
    known = pipeline.bench.checkpoint().generation
    counting = Looks(pipeline)
    pipeline.reconcile(pipeline.reconciler(s3=counting), whole=True)
    moving = Looks(pipeline, move_at=counting.looks + 2)  # between the two that the first repair's snapshot needs

    total = pipeline.reconcile(pipeline.reconciler(s3=moving), whole=True, deep=True)

    assert pipeline.bench.checkpoint().generation == known + 1
    assert (total["damaged"], total["restored"]) == (1, 1)


def test_a_dry_run_tells_the_damage_and_leaves_it(pipeline: Pipeline):
    pipeline.edit("UPDATE fact_sales_order SET units_sold = 0 WHERE sales_order_id <= 10")

    total = pipeline.mend(whole=True, deep=True, dry_run=True)

    assert (total["damaged"], total["restored"]) == (10, 0)
    assert pipeline.rows("SELECT count(*) FROM fact_sales_order WHERE units_sold = 0") == [[10]]


def test_the_same_damage_done_again_in_a_quiet_source_is_mended_again(pipeline: Pipeline):
    edit = "UPDATE fact_sales_order SET units_sold = 0 WHERE sales_order_id = 7"

    for _ in range(2):
        pipeline.edit(edit)
        assert deep(pipeline)["damaged"] == 1

    assert deep(pipeline)["damaged"] == 0


def test_a_run_that_is_not_deep_does_not_look_at_the_star_rows(pipeline: Pipeline):
    pipeline.edit("UPDATE fact_sales_order SET units_sold = 0")

    assert pipeline.reconcile(whole=True)["damaged"] == 0
