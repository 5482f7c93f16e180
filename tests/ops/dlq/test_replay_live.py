"""A replay while the source changes the very same rows: the newest wins, and history is what it would have been."""

import pytest

from tests.ops.dlq.stage import Stage
from tests.reconciler.conftest import Pipeline

LONG, SHORT = "'a version too long ' || design_id", "'v' || design_id"


def rename(pipeline: Pipeline, name: str, first: int, last: int) -> None:
    pipeline.source(
        f"UPDATE design SET design_name = {name}, last_updated = now() WHERE design_id BETWEEN {first} AND {last}"
    )


def sell(pipeline: Pipeline, units: int) -> None:
    pipeline.source(f"UPDATE sales_order SET units_sold = {units}, last_updated = now() WHERE sales_order_id <= 10")


def lose_the_newest(pipeline: Pipeline, stage: Stage) -> dict[str, tuple[bytes, dict[str, str]]]:
    """The object of the newest sales orders is away while its message is tried; the answer is what was in it."""
    *_, key = stage.objects.keys(pipeline.aws.archive, "sales_order/")
    found = pipeline.aws.s3.get_object(Bucket=pipeline.aws.archive, Key=key)
    kept = {key: (found["Body"].read(), found["Metadata"])}
    pipeline.aws.s3.delete_object(Bucket=pipeline.aws.archive, Key=key)
    stage.serve()
    return kept


@pytest.mark.no_cover
def test_the_newest_wins_and_history_is_exact_when_live_traffic_changes_the_rows_that_are_replayed(
    pipeline: Pipeline, stage: Stage, twin: Stage
):
    lost = {}
    for units in (111, 222, 333, 444):
        rename(pipeline, LONG, units % 10, units % 10 + 5)
        sell(pipeline, units)
        pipeline.poll()
        lost |= lose_the_newest(pipeline, stage)
    for key, (body, metadata) in lost.items():
        pipeline.aws.s3.put_object(Bucket=pipeline.aws.archive, Key=key, Body=body, Metadata=metadata)
    assert len(stage.waiting("changes", dead=True)) == 4
    assert len(stage.open_rows()) == 24
    stage.mend()
    rounds = iter(range(1000, 2000))

    def live() -> None:
        units = next(rounds)
        sell(pipeline, units)
        rename(pipeline, SHORT if units % 2 else LONG, 1, 3)
        pipeline.poll()
        stage.serve()

    stage.while_waiting = live
    tally = stage.replay()
    live()

    assert (tally.sent, tally.complete) == (4 + 24, True)
    assert next(rounds) > 1002
    assert stage.contents() == twin.load_the_archive()
    names = dict(stage.rows("SELECT design_id, design_name FROM dim_design WHERE _generation > 0"))
    assert names == dict(pipeline.bench.run("SELECT design_id, design_name FROM design"))
    now = stage.rows("SELECT sales_order_id, units_sold FROM current_sales_order ORDER BY 1")
    assert now == pipeline.bench.run("SELECT sales_order_id, units_sold FROM sales_order ORDER BY 1")
