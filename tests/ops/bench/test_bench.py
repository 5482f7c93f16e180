"""`totes bench` for real, on few orders: every part measures, and nothing of it runs or lies there afterwards."""

import json
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from services.local.description import StackDescription
from services.ops.bench.copied import superuser_of
from services.ops.bench.path import backfilled, expect_equal
from services.ops.cli import app
from shared.errors import PipelineError
from tests.conftest import open_connection

ORDERS = 300
DAMAGE = {
    "a version that is missing": "DELETE FROM fact_sales_order WHERE sales_order_id = 7",
    "a value that differs": "UPDATE fact_sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = 7",
    "a version too many": """
        INSERT INTO fact_sales_order SELECT (f).* FROM (
            SELECT jsonb_populate_record(f, '{"sales_record_id": 0, "_revision": 1}') AS f FROM fact_sales_order f
             WHERE sales_order_id = 7) copied""",
    "an orphan": """
        ALTER TABLE fact_sales_order DROP CONSTRAINT fact_sales_order_design_id_fkey;
        DELETE FROM dim_design WHERE design_id = (SELECT design_id FROM fact_sales_order LIMIT 1)""",
}


@pytest.mark.slow
def test_a_time_counts_only_where_the_warehouse_holds_what_the_source_holds(tmp_path: Path) -> None:
    with backfilled(tmp_path / "stack", ORDERS) as (stack, backfill):
        expect_equal(stack, versions=ORDERS)
        noticed = {name: is_refused(stack, damage) for name, damage in DAMAGE.items()}

    assert noticed == dict.fromkeys(DAMAGE, True)
    assert backfill.from_start > backfill.seconds > 0
    assert {"source", "warehouse", "totes-poller", "totes-transform", "totes-loader"} <= backfill.cpu.keys()


def is_refused(stack: StackDescription, damage: str) -> bool:
    """Whether the comparison fails with this damage in a warehouse that is then as it was."""
    with open_connection(superuser_of(stack.warehouse_dsn)) as damaged:
        damaged.run(
            f"SET search_path TO {stack.warehouse_schema}; DROP SCHEMA IF EXISTS kept CASCADE; "
            "CREATE SCHEMA kept; CREATE TABLE kept.fact AS TABLE fact_sales_order; "
            "CREATE TABLE kept.design AS TABLE dim_design"
        )
        damaged.run(damage)
        try:
            expect_equal(stack, versions=ORDERS)
        except PipelineError:
            return True
        finally:
            damaged.run(
                "DELETE FROM fact_sales_order; DELETE FROM dim_design; "
                "INSERT INTO dim_design SELECT * FROM kept.design; "
                "INSERT INTO fact_sales_order SELECT * FROM kept.fact"
            )
        return False


@pytest.mark.slow
@pytest.mark.xdist_group("bench")
def test_every_part_measures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    figures, chart, folder = tmp_path / "figures.json", tmp_path / "chart.svg", tmp_path / "bench"
    asked = ["stages", "path", "growth", "idle", "--runs", "1", "--orders", "1000"]
    files = ["--json", str(figures), "--chart", str(chart), "--folder", str(folder)]

    answer = CliRunner().invoke(app, ["bench", *asked, *files])

    assert answer.exit_code == 0, answer.output
    parts = json.loads(figures.read_text())["parts"]
    assert [part["failed"] for part in parts.values()] == [None] * 4
    assert all(one["value"] > 0 for one in parts["path"]["figures"])
    assert chart.read_text().startswith("<svg")
    assert not folder.exists()
    commands = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    assert [command for command in commands if str(folder) in command] == []
