"""`totes compact`: what is typed, what is shown, what is left alone."""

import json
from datetime import date, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from services.compactor.compact import DayReport, Report, Task
from services.ops import compact as compacting
from services.ops.cli import app
from shared.errors import ConfigurationError
from tests.compactor.site import DAY, TABLE, Site, Small


def totes(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["compact", *arguments], prog_name="totes")


def shown(report: Report, *, dry_run: bool = False) -> str:
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(compacting.render(report, dry_run=dry_run))
    return capture.get()


def test_what_is_typed_is_what_is_compacted_and_by_hand_however_long_ago() -> None:
    everything = compacting.task_of([], None, dry_run=False)
    one = compacting.task_of([TABLE], datetime(2026, 11, 23), dry_run=True)  # noqa: DTZ001 - as Typer gives it

    assert everything == Task(whole=True)
    assert one == Task(tables=(TABLE,), day=DAY, whole=True, dry_run=True)


def test_a_table_without_files_is_a_usage_error_in_words() -> None:
    with pytest.raises(ConfigurationError, match="found dim_date"):
        compacting.task_of(["dim_date"], None, dry_run=False)

    result = totes("--table", "sales_order")

    assert result.exit_code == 2
    assert "Expected star tables out of dim_staff, " in result.stderr


def test_a_day_that_is_none_is_a_usage_error() -> None:
    assert totes("--day", "yesterday").exit_code == 2


def test_without_a_stack_there_is_nothing_to_compact(tmp_path: Path) -> None:
    result = totes("--state-dir", str(tmp_path))

    assert result.exit_code == 3
    assert result.stderr.startswith("Expected a running stack")


def test_a_run_shows_each_table_and_day_in_80_columns_and_the_next_that_nothing_is_left(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.arrive(*(Small(number, second=number) for number in range(1, 8)))
    task = compacting.task_of([TABLE], None, dry_run=False)

    first, second = (shown(site.compactor().run(task)) for _ in range(2))

    assert f"{TABLE} {DAY} 7 1" in " ".join(first.split())
    assert "7 small files are now read as 1; they are still there" in first
    assert max(map(len, first.splitlines())) <= 80
    assert "Nothing to compact" in second


def test_a_dry_run_says_so_and_files_that_could_not_be_read_are_told() -> None:
    found = DayReport(
        "fact_purchase_order", date(2026, 11, 23), 12_000, 2, 120_000, 48_000_000, 3_000_000, unreadable=3
    )

    dry = shown(Report((found,), broken_off=False), dry_run=True)
    wet = shown(Report((found,), broken_off=False))

    assert "12,000 small files would become 2; nothing was written" in dry
    assert "3,000" not in dry
    assert "48,000" in wet
    assert "3 small files could not be read" in wet
    assert max(map(len, [*dry.splitlines(), *wet.splitlines()])) <= 80


def test_as_json_everything_is_there_for_a_program() -> None:
    report = Report((DayReport("dim_staff", DAY, 2, 1, 3, 40, 20),), broken_off=False)

    found = json.loads(json.dumps(compacting.as_json(report, dry_run=False)))

    assert found == {
        "dry_run": False,
        "days": [
            {"table": "dim_staff", "day": "2026-11-23", "small_files": 2, "compacted_files": 1, "rows": 3,
             "bytes_before": 40, "bytes_after": 20, "unreadable": 0}
        ],
        "broken_off": False,
    }  # fmt: skip
