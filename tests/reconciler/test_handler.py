"""The function as Lambda runs it: composed from settings alone."""

import pytest

from services.reconciler import handler
from services.reconciler.plan import Totals
from tests.reconciler.conftest import LOADER, Pipeline
from tests.shared.emf import metrics_in


def test_an_invocation_reconciles_answers_what_it_found_and_measures_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    aws = pipeline.aws
    for name, value in {
        "ARCHIVE_BUCKET": aws.archive,
        "CONTROL_BUCKET": aws.control,
        "CHANGES_QUEUE_URL": aws.changes,
        "LOADS_QUEUE_URL": aws.loads,
        "SETTLE_SECONDS": "0",
        "LOG_LEVEL": "CRITICAL",
    }.items():
        monkeypatch.setenv(f"TOTES_{name}", value)
    aws.secrets.create_secret(Name="totes/source", SecretString=pipeline.bench.totesys.reader_dsn)
    loader_dsn = pipeline.warehouse_dsn.replace("postgres@", f"{LOADER}@")
    aws.secrets.create_secret(Name="totes/warehouse", SecretString=loader_dsn)
    pipeline.source("DELETE FROM sales_order WHERE sales_order_id = 7")
    handler.composition.cache_clear()

    answers = [handler.handler({}, None) for _ in range(2)]

    assert metrics_in(capsys.readouterr().out) == {
        (name, "reconciler", feed): [1] for name in ("drift_rows", "repaired_rows") for feed in ("", "sales_order")
    }
    assert [answer["feeds"]["sales_order"]["deleted"] for answer in answers] == [1, 0]
    assert answers[1]["total"]["in_flight"] == 1
    assert answers[0]["skipped"] == {}
    pipeline.deliver()
    assert pipeline.rows("SELECT count(*) FROM current_sales_order") == [[29]]
    handler.composition.cache_clear()


def test_a_run_that_finds_nothing_measures_nothing_and_what_stays_is_told_by_each_run_anew():
    found = Totals(source=30, live=28, in_flight=2, held_back=25, inferred=1)

    assert handler.measured(Totals(source=30, live=30)) == {}
    assert handler.measured(found) == {"held_back_rows": 25, "inferred_members": 1}
