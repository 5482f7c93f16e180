"""What polls and scans cannot see is found and mended; what is on its way is left alone; nothing newer is undone."""

from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from pg8000.native import InterfaceError

from services.reconciler import reconcile
from shared.errors import ConfigurationError, PipelineError, SourceChanged
from tests.poller.conftest import Calls, Failing
from tests.reconciler.conftest import Pipeline

NOTHING_SENT = {"changed": 0, "deleted": 0}
CURRENT = "SELECT count(*) FROM current_sales_order WHERE sales_order_id = 7"
DRIFT = """
DELETE FROM sales_order WHERE sales_order_id = 7;
UPDATE sales_order SET units_sold = 999 WHERE sales_order_id = 8;
UPDATE design SET design_name = 'Silent 7' WHERE design_id = 3;
"""


def sent(total: dict[str, Any]) -> dict[str, int]:
    return {"changed": total["changed"], "deleted": total["deleted"]}


def history(pipeline: Pipeline) -> list[Any]:
    rows = pipeline.rows(
        "SELECT ended_by, units_sold FROM history_sales_order WHERE sales_order_id = 7 ORDER BY sales_record_id"
    )
    return [tuple(row) for row in rows]


def unreachable() -> Exception:
    return EndpointConnectionError(endpoint_url="https://aws")


def network_error() -> Exception:
    return InterfaceError("network error")


def mended(pipeline: Pipeline) -> bool:
    silent = "SELECT count(*) FROM dim_design WHERE design_id = 3 AND design_name = 'Silent 7'"
    stale = "SELECT count(*) FROM current_sales_order WHERE sales_order_id = 8 AND units_sold = 999"
    return [pipeline.rows(sql) for sql in (CURRENT, silent, stale)] == [[[0]], [[1]], [[1]]]


def test_where_all_agrees_nothing_is_sent_and_nobody_waits(pipeline: Pipeline):
    total = pipeline.reconcile()

    assert total == dict.fromkeys(total, 0) | {"source": 94, "live": 94, "ranges": 6, "bytes": total["bytes"]}
    assert 0 < total["bytes"] < 600
    assert pipeline.deliver() == 0
    assert pipeline.slept == []


def test_a_deleted_row_ends_its_history_and_comes_back_when_it_is_inserted_again_unchanged(pipeline: Pipeline):
    pipeline.source("CREATE TABLE kept AS SELECT * FROM sales_order WHERE sales_order_id = 7")
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id = 7")

    assert sent(pipeline.mend()) == {"changed": 0, "deleted": 1}

    assert pipeline.rows(CURRENT) == [[0]]
    assert history(pipeline) == [("deleted", 7)]

    pipeline.source("INSERT INTO sales_order SELECT * FROM kept")
    pipeline.capture()  # the poller remembers these very values as sent
    assert sent(pipeline.mend()) == {"changed": 1, "deleted": 0}

    assert pipeline.rows(CURRENT) == [[1]]
    assert history(pipeline) == [("deleted", 7), (None, 7)]
    assert sent(pipeline.reconcile()) == NOTHING_SENT


def test_a_deleted_dimension_row_is_found_and_comes_back(pipeline: Pipeline):
    live = "SELECT _deleted_generation IS NOT NULL FROM dim_design WHERE design_id = 50"
    pipeline.source("CREATE TABLE kept AS SELECT * FROM design WHERE design_id = 50")
    pipeline.source("DELETE FROM sales_order WHERE design_id = 50; DELETE FROM design WHERE design_id = 50")

    assert pipeline.mend()["deleted"] == 1
    assert pipeline.rows(live) == [[True]]

    pipeline.source("INSERT INTO design SELECT * FROM kept")
    assert sent(pipeline.mend()) == {"changed": 1, "deleted": 0}
    assert sent(pipeline.reconcile()) == NOTHING_SENT


@pytest.mark.parametrize(
    ("change", "found", "changed"),
    [
        (
            "UPDATE sales_order SET units_sold = 999 WHERE sales_order_id = 7",
            "SELECT units_sold = 999 FROM current_sales_order WHERE sales_order_id = 7",
            1,
        ),
        (
            "UPDATE design SET design_name = 'Silent' WHERE design_id = 7",
            "SELECT design_name = 'Silent' FROM dim_design WHERE design_id = 7",
            1,
        ),
        (
            "UPDATE department SET location = 'Hull' WHERE department_id = 2",
            "SELECT count(*) = 2 FROM dim_staff WHERE location = 'Hull'",
            2,
        ),
        (
            "UPDATE address SET city = 'Hull' WHERE address_id = 2",
            "SELECT city = 'Hull' AND counterparty_legal_city = 'Hull'"
            " FROM dim_location JOIN dim_counterparty ON counterparty_id = location_id WHERE location_id = 2",
            2,
        ),
    ],
    ids=["fact", "dimension", "department", "address"],
)
def test_a_silent_update_arrives_without_any_poll(pipeline: Pipeline, change: str, found: str, changed: int):
    pipeline.source(change)

    assert sent(pipeline.mend()) == {"changed": changed, "deleted": 0}

    assert pipeline.rows(found) == [[True]]
    assert sent(pipeline.reconcile()) == NOTHING_SENT


def test_a_fact_that_was_never_loaded_is_brought_in(pipeline: Pipeline):
    pipeline.edit("DELETE FROM fact_sales_order WHERE sales_order_id = 7")
    pipeline.edit("DELETE FROM _unversioned_sales_order WHERE key = 7")  # where the deletion left its observation

    assert pipeline.mend()["missing"] == 1

    assert history(pipeline) == [(None, 7)]


def test_an_inferred_member_is_no_row_of_the_source(pipeline: Pipeline):
    pipeline.edit(
        "INSERT INTO dim_design (design_id, design_name, file_location, file_name, _generation, _revision, _contract)"
        " VALUES (900, 'Unknown', 'Unknown', 'Unknown', 0, 0, 0)"
    )

    assert pipeline.reconcile()["extra"] == 0


def test_what_arrives_while_it_waits_was_in_flight_and_is_not_repaired(pipeline: Pipeline):
    pipeline.source("UPDATE sales_order SET units_sold = 999, last_updated = now() WHERE sales_order_id = 7")
    pipeline.poll()
    pipeline.while_waiting = pipeline.deliver

    total = pipeline.reconcile(pipeline.reconciler(settle_seconds=3))

    assert (total["in_flight"], total["stale"], sent(total)) == (1, 0, NOTHING_SENT)
    assert pipeline.slept == [3]


def test_what_the_source_changes_while_it_waits_is_repaired_as_it_is_in_the_end(pipeline: Pipeline):
    pipeline.source("UPDATE sales_order SET units_sold = 999 WHERE sales_order_id IN (7, 8)")
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id = 9")
    pipeline.source("CREATE TABLE kept AS SELECT * FROM sales_order WHERE sales_order_id = 10")
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id = 10")
    pipeline.while_waiting = lambda: pipeline.source(
        "UPDATE sales_order SET units_sold = 7 WHERE sales_order_id = 7;"
        "DELETE FROM sales_order WHERE sales_order_id = 8; INSERT INTO sales_order SELECT * FROM kept"
    )

    total = pipeline.mend()

    assert (total["stale"], total["extra"], sent(total)) == (2, 2, {"changed": 0, "deleted": 1})
    pipeline.while_waiting = lambda: None
    assert sent(pipeline.mend()) == {"changed": 0, "deleted": 1}
    assert sent(pipeline.reconcile()) == NOTHING_SENT


def test_a_mass_deletion_is_held_back_and_everything_else_is_repaired(pipeline: Pipeline):
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id <= 20")
    pipeline.source("UPDATE sales_order SET units_sold = 999 WHERE sales_order_id = 25")

    total = pipeline.mend()

    assert (total["extra"], total["held_back"], sent(total)) == (20, 20, {"changed": 1, "deleted": 0})
    assert pipeline.rows("SELECT count(*) FROM current_sales_order") == [[30]]


def test_a_table_that_was_truncated_and_loaded_again_ends_as_it_is_now(pipeline: Pipeline):
    pipeline.source(
        "CREATE TABLE kept AS SELECT * FROM sales_order;"
        "BEGIN; TRUNCATE sales_order CASCADE; INSERT INTO sales_order SELECT * FROM kept WHERE sales_order_id > 3;"
        "UPDATE sales_order SET units_sold = 999 WHERE sales_order_id > 28; COMMIT"
    )

    assert sent(pipeline.mend()) == {"changed": 2, "deleted": 3}

    assert pipeline.rows("SELECT count(*), count(*) FILTER (WHERE units_sold = 999) FROM current_sales_order") == [
        [27, 2]
    ]


def test_repairs_are_cut_into_pages(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reconcile, "REPAIRED_AT_ONCE", 4)
    pipeline.source("UPDATE design SET design_name = 'Silent' WHERE design_id <= 10; DELETE FROM payment")

    assert sent(pipeline.reconcile(pipeline.reconciler())) == {"changed": 10, "deleted": 0}

    assert pipeline.deliver() == 3
    assert pipeline.rows("SELECT count(*) FROM dim_design WHERE design_name = 'Silent'") == [[10]]


def test_what_cannot_arrive_is_repaired_once_until_it_changes(pipeline: Pipeline):
    pipeline.source("UPDATE sales_order SET agreed_payment_date = 'soon' WHERE sales_order_id = 7")
    totals = []
    for _ in range(3):
        totals.append(pipeline.reconcile())
        pipeline.deliver()
    pipeline.source("UPDATE sales_order SET agreed_payment_date = '2024-06-01' WHERE sales_order_id = 7")
    totals.append(pipeline.reconcile())

    assert [(total["changed"], total["quarantined"]) for total in totals] == [(1, 0), (0, 1), (0, 1), (1, 0)]


def test_repairs_delivered_twice_change_nothing_more(pipeline: Pipeline):
    pipeline.source(DRIFT)
    pipeline.reconcile()
    pipeline.forget()
    pipeline.reconcile()

    assert pipeline.deliver(times=2) == 6

    assert mended(pipeline)
    assert history(pipeline) == [("deleted", 7)]
    assert sent(pipeline.reconcile()) == NOTHING_SENT


def test_repairs_never_undo_what_a_later_poll_brought_first(pipeline: Pipeline):
    pipeline.source("UPDATE sales_order SET units_sold = 999 WHERE sales_order_id = 7")
    pipeline.reconcile()
    late = pipeline._taken(pipeline.aws.changes)
    pipeline.source("UPDATE sales_order SET units_sold = 1000, last_updated = now() WHERE sales_order_id = 7")
    pipeline.capture()
    for message in late:
        pipeline.aws.sqs.send_message(QueueUrl=pipeline.aws.changes, MessageBody=message.body)
    pipeline.deliver()

    assert history(pipeline) == [("changed", 7), (None, 1000), ("changed", 999)]
    assert sent(pipeline.reconcile()) == NOTHING_SENT


@pytest.mark.no_cover
@pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "after it took effect"])
def test_a_run_that_dies_at_any_call_to_store_or_queue_is_mended_by_the_next(pipeline: Pipeline, after: bool):
    for fail_at in range(1, 20):
        calls = Calls(fail_at, after=after)
        pipeline.source(DRIFT.replace("7", f"{fail_at}").replace("8", f"{fail_at + 20}"))
        dying = pipeline.reconciler(
            s3=Failing(pipeline.aws.s3, ("put_object",), calls, unreachable),
            sqs=Failing(pipeline.aws.sqs, ("send_message_batch",), calls, unreachable),
        )
        with suppress(PipelineError):
            dying.run()
        pipeline.reconcile(dying)
        pipeline.deliver()

        assert sent(pipeline.reconcile()) == NOTHING_SENT
        assert pipeline.rows("SELECT count(*) FROM current_sales_order") == [[30 - fail_at]]
        if calls.count < fail_at:
            break
    assert fail_at == 8, "three objects, three messages and the progress, and then a run in which nothing fails"


@pytest.mark.no_cover
def test_a_database_lost_at_any_statement_loses_no_repair(pipeline: Pipeline):
    pipeline.source(DRIFT)
    fail_at, lost = 1, True
    while lost:
        calls = Calls(fail_at)
        dying = pipeline.reconciler(wrap=lambda real, calls=calls: Failing(real, ("run",), calls, network_error))
        with suppress(PipelineError):
            dying.run()
        lost = calls.count >= fail_at
        fail_at += 11
    pipeline.deliver()

    assert mended(pipeline)


@pytest.mark.parametrize("look", [1, 2], ids=["while a snapshot is taken", "between two snapshots"])
def test_a_generation_that_moves_makes_it_start_again(pipeline: Pipeline, look: int):
    pipeline.source("UPDATE currency SET currency_code = 'USD' WHERE currency_id = 2")
    known = pipeline.bench.checkpoint().generation
    looks = iter(range(1000))

    class Moving:
        """S3 in which the poller begins a generation just before the reconciler's n-th look at the checkpoint."""

        def __getattr__(self, name: str) -> Any:
            return getattr(pipeline.aws.s3, name)

        def get_object(self, **arguments: Any) -> Any:
            if next(looks) == look:
                pipeline.bench.edit_checkpoint(generation=known + 1)
            return pipeline.aws.s3.get_object(**arguments)

    assert pipeline.reconcile(pipeline.reconciler(s3=Moving()))["changed"] == 1

    pipeline.deliver()
    assert pipeline.rows("SELECT _generation FROM dim_currency WHERE currency_id = 2") == [[known + 1]]


def test_a_feed_without_a_finished_backfill_or_stopped_or_paused_is_left_alone(pipeline: Pipeline):
    body = pipeline.bench.checkpoint().model_dump(mode="json")
    body["feeds"]["design"]["polled"] = None
    body["feeds"]["staff"]["stopped"] = "no column"
    body["feeds"]["currency"]["paused"] = True
    pipeline.bench.edit_checkpoint(feeds=body["feeds"])
    pipeline.source("UPDATE design SET design_name = 'Silent'; UPDATE staff SET last_name = 'Silent'")

    report = pipeline.reconciler().run()

    assert set(report.skipped) == {"design", "staff", "currency"}
    assert sent(report.as_answer()["total"]) == NOTHING_SENT
    pipeline.bench.edit_checkpoint(paused=True)
    assert not pipeline.reconciler().run().feeds
    pipeline.bench.edit_checkpoint(paused=False, draining=True)
    assert not pipeline.reconciler().run().feeds


def test_a_source_that_crashed_is_left_to_the_poller_and_another_source_is_refused(pipeline: Pipeline):
    checkpoint = pipeline.bench.checkpoint()
    pipeline.bench.edit_checkpoint(revision=checkpoint.revision + 1_000_000)

    assert not pipeline.reconciler().run().feeds

    other = checkpoint.model_dump(mode="json")["identity"] | {"database": 1}
    pipeline.bench.edit_checkpoint(identity=other, revision=0)
    with pytest.raises(SourceChanged, match="totes rebase"):
        pipeline.reconcile()


def test_a_locked_table_costs_only_its_own_feed(pipeline: Pipeline):
    pipeline.source("UPDATE design SET design_name = 'Silent' WHERE design_id = 3")
    writer = pipeline.bench.writer()
    writer.run("BEGIN; LOCK TABLE currency IN ACCESS EXCLUSIVE MODE")

    report = pipeline.reconciler().run()

    assert set(report.skipped) == {"currency"}
    assert report.feeds["design"].changed == 1


def test_a_warehouse_without_the_star_schema_is_said(pipeline: Pipeline):
    pipeline.edit("DROP TABLE fact_payment CASCADE; DROP TABLE _unversioned_payment CASCADE")

    with pytest.raises((ConfigurationError, PipelineError)):
        pipeline.reconcile()
