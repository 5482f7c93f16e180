"""`totes ask`: what is typed, what is printed, and the exit code."""

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from services.insight.catalogue import questions
from services.local.description import StackDescription
from services.local.processes import Process
from services.ops.cli import app
from services.ops.command import choose_environment
from tests.loader.conftest import ANALYST, Star
from tests.ops.test_deployed import account, put_secret

__all__ = ["account"]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No `.env`, no stack and no warehouse of the developer's; a terminal as narrow as they come."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("WAREHOUSE_DSN", "WAREHOUSE_SCHEMA", "STATE_DIR", "ENV"):
        monkeypatch.delenv(f"TOTES_{name}", raising=False)
    yield
    choose_environment(None)


def totes(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="totes")


def ask(shop: Star, *arguments: str) -> Result:
    return totes("ask", *arguments, "--warehouse", shop.dsn(ANALYST))


def words(result: Result) -> str:
    """What is printed as its words, without frames."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", result.stdout)


def test_without_a_question_all_are_listed_with_what_they_answer() -> None:
    result = totes("ask")

    assert result.exit_code == 0
    assert all(f" {name} " in words(result) for name in questions())
    assert "Do agreed delivery dates hold, and by how much are they moved?" in words(result)


def test_help_of_a_question_says_how_to_read_it_and_what_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    found = words(totes("ask", "revenue", "--help"))

    assert "Money is never added across currencies." in found
    assert "Not counted: Orders that were deleted." in found
    assert "--by day|week|month|quarter|year How long a period is. (default month)" in found
    assert "--from YYYY-MM-DD The first day on which an order was made." in found


def test_the_table_shows_the_question_the_rows_and_what_is_counted(shop: Star) -> None:
    result = ask(shop, "sales-by-department", "--from", "2026-02-01", "--currency", "gbp")

    assert result.exit_code == 0
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        " Which departments sell how much?",
        " from 2026-02-01, currency GBP",
        "",
        " department   currency   staff   orders   units    revenue",
        "───────────────────────────────────────────────────────────",
        " Sales        GBP            1        1   3,000   6,300.00",
        "",
        " 1 row.",
        " One row a department and currency, the most revenue of each currency first; `staff` is how many of",
        " its people sold.",
        " Counted: Sales orders as they are now, for the department that their member of staff is in today.",
        " Not counted: Orders that were deleted; departments without a sale.",
    ]


def test_json_is_one_object_with_exact_decimals_and_what_was_asked(shop: Star) -> None:
    found = json.loads(ask(shop, "revenue", "--from", "2026-02-01", "--json").stdout)

    assert found["question"] == "revenue"
    assert found["parameters"] == {
        "by": "month",
        "from": "2026-02-01",
        "to": None,
        "currency": None,
        "rates": None,
    }
    assert found["columns"] == ["period", "currency", "orders", "units", "revenue", "converted", "conversion"]
    assert found["rows"][1] == {
        "period": "2026-02-01",
        "currency": "GBP",
        "orders": 1,
        "units": 3000,
        "revenue": "6300.00",
        "converted": None,
        "conversion": None,
    }


def test_csv_has_a_header_and_quotes_names(shop: Star) -> None:
    result = ask(shop, "sales-by-counterparty", "--currency", "USD", "--csv")

    [row] = csv.DictReader(result.stdout.splitlines())
    assert (row["counterparty"], row["revenue"]) == ("Leannon, Predovic and Morar", "6000.00")


def test_rates_come_from_a_file_and_show_in_the_json(shop: Star, tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text("currency,rate,base\nUSD,0.8,GBP\n")

    found = json.loads(ask(shop, "revenue", "--to", "2026-01-31", "--rates", "rates.csv", "--json").stdout)

    assert found["parameters"]["rates"][0] == {"currency": "USD", "rate": "0.8", "base": "GBP", "valid_from": None}
    assert found["rows"][1]["conversion"] == "to GBP at 0.8"


def test_a_table_says_what_it_leaves_out(shop: Star) -> None:
    short = ask(shop, "order-changes", "--rows", "2").stdout
    whole = ask(shop, "order-changes", "--rows", "0").stdout

    assert "The first 2 of 11 rows: --rows 0 shows all, --csv and --json always do." in short
    assert short.count("sales ") < whole.count("sales ")
    assert " 11 rows." in whole
    assert " Times are UTC." in whole


def test_no_value_is_cut_however_narrow_the_terminal(shop: Star) -> None:
    result = ask(shop, "sales-orders-as-of", "--order", "2")

    shown = words(result)
    for value in ("2026-01-13 10:00:00", "bronze-b.json", "6,000.00", "Predovic", "Morar", "2026-01-18"):
        assert value in shown


def test_an_answer_without_rows_says_so(shop: Star) -> None:
    assert "Nothing in the warehouse matches." in ask(shop, "revenue", "--from", "2030-01-01").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("revenue-by-month",), "found 'revenue-by-month'; the nearest are revenue"),
        (("xyzzy",), "Expected a question that `totes ask` lists, found 'xyzzy'."),
        (("revenue", "--from", "soon"), "Expected --from to be a day such as 2026-11-28, or today, found 'soon'."),
        (("revenue", "--json", "--csv"), "Expected --json or --csv, found both."),
        (("revenue", "--schema", "nowhere"), "Expected the warehouse's views in the schema 'nowhere'"),
    ],
)
def test_what_is_typed_wrongly_is_said_in_one_sentence_on_stderr(
    shop: Star, arguments: tuple[str, ...], sentence: str
) -> None:
    result = ask(shop, *arguments)

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert (result.stderr.count("\n"), result.stdout) == (1, "")


def test_an_option_that_a_question_does_not_have_is_a_usage_error(shop: Star) -> None:
    result = ask(shop, "designs-not-sold", "--currency", "GBP")

    assert result.exit_code == 2
    assert "No such option: --currency" in result.stderr


def test_where_nothing_runs_that_is_the_answer() -> None:
    result = totes("ask", "revenue")

    assert result.exit_code == 3
    assert "Expected a running stack" in result.stderr


def test_the_warehouse_of_a_running_stack_is_asked_unless_another_is_named(shop: Star, tmp_path: Path) -> None:
    me = Process.of("totes up", os.getpid())
    assert me is not None
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    StackDescription(
        up=me,
        children=(),
        state_dir=tmp_path,
        endpoint_url="http://127.0.0.1:1",
        region="eu-west-2",
        buckets={},
        queues={},
        dead_letter_queues={},
        source_dsn=nowhere,
        source_owner_dsn=None,
        warehouse_dsn=shop.dsn(ANALYST),
        warehouse_owner_dsn=nowhere,
        loader_role=None,
        analyst_role=None,
        warehouse_schema=shop.schema,
        time_zone="UTC",
    ).write(tmp_path)

    assert "6,300.00" in totes("ask", "revenue", "--state-dir", str(tmp_path)).stdout
    assert totes("ask", "revenue", "--state-dir", str(tmp_path), "--warehouse", nowhere).exit_code == 3


def test_the_warehouse_of_a_deployment_is_asked_by_its_name(
    shop: Star, account: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_secret("warehouse", shop.dsn(ANALYST))

    assert "6,300.00" in totes("--env", "prod", "ask", "revenue", "--schema", shop.schema).stdout
    monkeypatch.setenv("TOTES_WAREHOUSE_DSN", shop.dsn(ANALYST))
    both = totes("--env", "prod", "ask", "revenue")
    assert (both.exit_code, both.stderr.count("found both")) == (2, 1)
