"""A contract is upgraded while batches are parked, archived and loaded: no meaning and no version is lost."""

from typing import Any

import pytest

from contracts.messages import ChangeBatch, Position
from services.ops.archived import Selection
from services.ops.rebuild import Rebuilt
from services.transform.transform import Workshop
from shared.queues import Queue
from tests.ops.rebuild.conftest import Lived, Watcher
from tests.reconciler.conftest import LOADER, Pipeline, migrate
from tests.transform.upgraded import BUILDERS_V3, CONTRACT, FEEDS_V3

VIEWS = ("current_sales_order", "history_sales_order")
UPGRADE_SOURCE = """
ALTER TABLE sales_order RENAME COLUMN sales_order_id TO order_id;
ALTER TABLE sales_order RENAME COLUMN units_sold TO units;
ALTER TABLE sales_order ADD COLUMN discount numeric(10, 2) NOT NULL DEFAULT 0;
ALTER TABLE sales_order ADD COLUMN remark text;
"""


def shown(pipeline: Pipeline, schema: str = "warehouse") -> Any:
    found = Lived(pipeline).fingerprints(schema)
    return [found[name] for name in VIEWS]


def upgrade(pipeline: Pipeline) -> None:
    """Deploy the code of contract 3."""
    pipeline.feeds, pipeline.builders = FEEDS_V3, BUILDERS_V3


def sell(pipeline: Pipeline, units: int) -> None:
    pipeline.source(f"UPDATE sales_order SET units_sold = {units}, last_updated = now() WHERE sales_order_id <= 3")
    pipeline.poll()


def taken(pipeline: Pipeline) -> list[str]:
    """What waits for the transform, taken off its queue."""
    return [one.body for one in pipeline._taken(pipeline.aws.changes)]


def position(body: str) -> Position:
    return ChangeBatch.model_validate_json(body).data.position


def park_all(pipeline: Pipeline) -> list[str]:
    """Put everything that waits for the transform into the dead-letter queue; the bodies."""
    bodies = taken(pipeline)
    for body in bodies:
        Queue(pipeline.aws.sqs, pipeline.aws.changes_dlq).park(body, {"reason": "the code was broken"})
    return bodies


def replay_parked(pipeline: Pipeline) -> None:
    """Sent first, deleted after."""
    for one in Queue(pipeline.aws.sqs, pipeline.aws.changes_dlq).receive(60):
        Queue(pipeline.aws.sqs, pipeline.aws.changes).send([one.body])
        Queue(pipeline.aws.sqs, pipeline.aws.changes_dlq).delete(one.receipt_handle)


def replay_archive(pipeline: Pipeline) -> None:
    """Every archived batch of sales orders once more."""
    archive = Lived(pipeline).rebuilder().archive
    for one in archive.in_order(Selection.of(("sales_order",), None, None)):
        Queue(pipeline.aws.sqs, pipeline.aws.changes).send([archive.batch(one).body()])


def contracts(pipeline: Pipeline) -> list[list[int]]:
    return pipeline.rows("SELECT contract, count(*) FROM _seen_sales_order GROUP BY 1 ORDER BY 1")


def test_a_message_of_contract_1_that_was_parked_for_days_means_the_same_under_the_code_of_contract_3(
    pipeline: Pipeline,
):
    sell(pipeline, 500)
    parked = park_all(pipeline)
    upgrade(pipeline)

    replay_parked(pipeline)
    assert pipeline.deliver() == len(parked) > 0
    late = shown(pipeline)

    assert {position(body).contract for body in parked} == {1}
    assert contracts(pipeline) == [[1, 30], [CONTRACT, 3]]
    assert pipeline.rows("SELECT units_sold, count(*) FROM current_sales_order GROUP BY 1 HAVING count(*) > 1") == [
        [500, 3]
    ]
    Lived(pipeline).rebuild("under_contract_1")
    assert shown(pipeline, "under_contract_1") == late


def test_the_archive_loaded_once_more_under_a_later_contract_makes_no_version(pipeline: Pipeline):
    sell(pipeline, 500)
    pipeline.deliver()
    before, facts = shown(pipeline), pipeline.rows("SELECT * FROM fact_sales_order ORDER BY 1")
    upgrade(pipeline)

    replay_archive(pipeline)
    pipeline.deliver(times=2)

    assert contracts(pipeline) == [[1, 33], [CONTRACT, 33]]
    assert shown(pipeline) == before
    assert pipeline.rows("SELECT * FROM fact_sales_order ORDER BY 1") == facts


def test_a_rebuild_under_a_later_contract_shows_the_same(pipeline: Pipeline):
    sell(pipeline, 500)
    pipeline.deliver()
    before, lived = shown(pipeline), Lived(pipeline)
    migrate(pipeline.warehouse_dsn, "beside", loader_role=LOADER, analyst_role=None)
    rebuilder, done = lived.rebuilder("beside"), Rebuilt()
    workshop = Workshop(rebuilder.workshop.objects, rebuilder.workshop.processed_bucket, FEEDS_V3, BUILDERS_V3)

    type(rebuilder)(rebuilder.archive, workshop, rebuilder.warehouse).run(Selection.of((), None, None), done, Watcher())
    rebuilder.warehouse.close()

    assert (done.failures, shown(pipeline, "beside")) == (0, before)
    assert pipeline.rows("SELECT DISTINCT contract FROM beside._seen_sales_order") == [[CONTRACT]]


@pytest.mark.parametrize("loaded_under", [1, CONTRACT])
def test_a_damaged_version_is_restored_from_a_row_of_a_former_contract(pipeline: Pipeline, loaded_under: int):
    sell(pipeline, 500)
    if loaded_under == CONTRACT:
        pipeline.feeds, pipeline.builders = FEEDS_V3, BUILDERS_V3
    pipeline.deliver()
    before = shown(pipeline)
    upgrade(pipeline)
    pipeline.source(UPGRADE_SOURCE)
    pipeline.edit("UPDATE fact_sales_order SET units_sold = 0 WHERE units_sold = 500")

    total = pipeline.reconcile(whole=True, deep=True)
    restored = [
        body for body in taken(pipeline) if position(body).contract == 1
    ]  # the others are the source's new rows
    Queue(pipeline.aws.sqs, pipeline.aws.changes).send(restored)
    pipeline.deliver()

    assert (total["damaged"], len(restored)) == (3, 1)
    assert shown(pipeline) == before
