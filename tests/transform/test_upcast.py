"""What was archived under a former contract, handled by the code of today's, means what it meant then."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.feeds import FEEDS, Feed, Former
from contracts.messages import ChangeBatch, LoadBatch
from services.transform.incoming import feed_of
from services.transform.star import BUILDERS, Builder
from services.transform.transform import File, Outcome, Transform, transform
from shared.consumer import Delivery
from shared.errors import MalformedMessage, NewerThanCode
from shared.objects import ObjectStore
from shared.queues import Queue
from shared.telemetry import logger
from tests.transform.archived import changed, rows
from tests.transform.conftest import Pipeline
from tests.transform.upgraded import BUILDERS_V3, CONTRACT, FEEDS_V3, FORMER, UPGRADED, deleted_under, under

FORMERS = pytest.mark.parametrize("contract", [1, 2])


def upgraded(batch: ChangeBatch, body: bytes) -> Outcome:
    return transform(batch, feed_of(batch, FEEDS_V3), body, BUILDERS_V3)


def body_of(file: File | None) -> bytes:
    assert file is not None
    return file.body


@FORMERS
def test_rows_of_a_former_contract_mean_what_they_meant(contract: int):
    lines = rows("sales_order", 5)
    then = transform(*_arguments("sales_order", lines))

    now = upgraded(*under(contract, lines))

    assert body_of(now.parquet) == body_of(then.parquet)
    assert now.quarantine is None


@FORMERS
def test_deletions_of_a_former_contract_are_of_the_same_keys(contract: int):
    now = upgraded(*deleted_under(contract, [3, 4]))

    assert body_of(now.parquet) == body_of(upgraded(*deleted_under(CONTRACT, [3, 4])).parquet)


@FORMERS
def test_a_row_is_held_to_today_s_contract_and_quarantined_under_it(contract: int):
    lines = rows("sales_order", 3)
    lines[1] = {**lines[1], "units_sold": "many"}

    now = upgraded(*under(contract, lines))

    said = body_of(now.quarantine).decode()
    assert '"field":"units"' in said
    assert f'"contract":{CONTRACT}' in said
    assert '"key":"2"' in said
    assert now.parquet is not None
    assert now.parquet.rows == 2


@given(values=st.lists(st.sampled_from([None, "", "x"]), max_size=4))
def test_the_steps_of_a_feed_are_taken_one_after_the_other(values: list[str | None]):
    columns = {name: list(values) for name in FEEDS["sales_order"].columns}

    whole = UPGRADED.upcast(1, columns)

    assert whole == UPGRADED.upcast(2, FORMER[1].step(columns))
    assert set(whole) == set(UPGRADED.columns)
    assert whole["order_id"] == values


@FORMERS
def test_the_load_batch_says_today_s_contract_and_is_none_that_was_loaded_before(pipeline: Pipeline, contract: int):
    batch, body = under(contract, rows("sales_order", 2))
    pipeline.archive(batch, body)

    for _ in range(2):
        assert upgraded_service(pipeline).handle(deliveries(batch)) == {}

    first, second = pipeline.load_batches()
    assert first == second
    assert first.data.position == batch.data.position.model_copy(update={"contract": CONTRACT})
    assert first.id == f"fact_sales_order/{batch.id}/v{CONTRACT}"
    assert LoadBatch.of(first.data) == first


def test_a_batch_of_today_s_contract_keeps_the_id_it_always_had(pipeline: Pipeline):
    batch, body = under(CONTRACT, rows("sales_order", 2))
    pipeline.archive(batch, body)

    upgraded_service(pipeline).handle(deliveries(batch))

    assert [one.id for one in pipeline.load_batches()] == [f"fact_sales_order/{batch.id}"]


def test_a_contract_newer_than_the_code_waits_for_its_code_and_is_then_transformed(pipeline: Pipeline):
    batch, body = under(CONTRACT, rows("sales_order", 1))
    pipeline.archive(batch, body)

    before = service(pipeline, FEEDS, BUILDERS).handle(deliveries(batch))
    after = upgraded_service(pipeline).handle(deliveries(batch))

    assert isinstance(before["m0"], NewerThanCode)
    assert "contract 1 of sales_order or a former one, found 3: deploy its code" in str(before["m0"])
    assert after == {}
    assert [one.data.change_batch for one in pipeline.load_batches()] == [batch.id]


def test_columns_are_held_against_those_of_their_own_contract():
    batch, _ = under(2, rows("sales_order", 1))
    others = batch.data.model_copy(update={"columns": UPGRADED.columns})

    with pytest.raises(MalformedMessage, match=r"Expected the columns .*'units'.* of sales_order"):
        feed_of(batch.model_copy(update={"data": others}), FEEDS_V3)


@pytest.mark.parametrize("former", [{}, {2: FORMER[2]}, {**FORMER, 3: FORMER[2]}])
def test_a_feed_that_forgets_a_former_contract_is_refused(former: Mapping[int, Former]):
    with pytest.raises(ValueError, match="every contract before 3"):
        Feed("sales_order", "order_id", UPGRADED.row, UPGRADED.star, None, CONTRACT, former)


@pytest.mark.parametrize("step", [lambda columns: columns, lambda _: {name: [] for name in UPGRADED.columns}])
def test_a_step_that_does_not_make_the_next_contract_is_a_mistake_that_is_told(step: Any):
    broken = Feed(
        "sales_order", "order_id", UPGRADED.row, UPGRADED.star, None, CONTRACT,
        {1: FORMER[1], 2: Former(FORMER[2].columns, FORMER[2].key, step)},
    )  # fmt: skip

    with pytest.raises(ValueError, match="the step from contract 2"):
        broken.upcast(2, {name: ["1"] for name in FORMER[2].columns})


def upgraded_service(pipeline: Pipeline) -> Transform:
    return service(pipeline, FEEDS_V3, BUILDERS_V3)


def service(pipeline: Pipeline, feeds: Mapping[str, Feed], builders: Mapping[str, Builder]) -> Transform:
    return Transform(
        ObjectStore(pipeline.aws.s3),
        processed_bucket=pipeline.aws.processed,
        loads=Queue(pipeline.aws.sqs, pipeline.aws.loads),
        log=logger("upgraded", "CRITICAL"),
        feeds=feeds,
        builders=builders,
    )


def deliveries(batch: ChangeBatch) -> list[Delivery]:
    return [Delivery("m0", "r0", 1, batch.body())]


def _arguments(feed: str, lines: list[dict[str, str | None]]) -> tuple[ChangeBatch, Feed, bytes]:
    batch, body = changed(feed, lines)
    return batch, FEEDS[feed], body
