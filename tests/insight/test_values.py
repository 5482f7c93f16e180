"""What is typed is understood or refused in one sentence, before anything connects."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from services.insight.catalogue import questions
from services.insight.rates import Rate, rates_of, read_rates
from services.insight.values import Value, values_of
from services.ops.moments import parse
from shared.errors import ConfigurationError

NOW = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)
HEAD = "currency,rate,base,valid_from\n"


def values(question: str, **typed: str) -> dict[str, Value]:
    return values_of(questions()[question], typed, now=NOW, read_moment=parse)


def test_what_is_not_typed_is_what_the_header_says() -> None:
    assert values("revenue") == {"by": "month", "from": None, "to": None, "currency": None, "rates": None}
    assert values("delivery-performance")["on"] == date(2026, 11, 28)
    assert values("freshness") == {"at": NOW}


def test_what_is_typed_is_of_its_kind() -> None:
    assert values("revenue", by="day", currency=" gbp ", to="today")["to"] == date(2026, 11, 28)
    assert values("revenue", currency=" gbp ")["currency"] == "GBP"
    assert values("sales-orders-as-of", order="17", at="2026-11-01")["order"] == 17
    assert values("freshness", at="2h") == {"at": datetime(2026, 11, 28, 21, 30, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("question", "typed", "sentence"),
    [
        (
            "revenue",
            {"from": "28.11.2026"},
            "Expected --from to be a day such as 2026-11-28, or today, found '28.11.2026'.",
        ),
        (
            "revenue",
            {"to": "2026-02-30"},
            "Expected --to to be a day such as 2026-11-28, or today, found '2026-02-30'.",
        ),
        ("revenue", {"to": "20261128"}, "Expected --to to be a day such as 2026-11-28, or today, found '20261128'."),
        (
            "revenue",
            {"from": "2026-02-01", "to": "2026-01-31"},
            "Expected --from not to lie after --to, found 2026-02-01 and 2026-01-31.",
        ),
        ("revenue", {"by": "fortnight"}, "Expected --by to be day, week, month, quarter, year, found 'fortnight'."),
        ("revenue", {"currency": "pounds"}, "Expected --currency to be a code such as GBP, found 'pounds'."),
        ("sales-orders-as-of", {"order": "-1"}, "Expected --order to be a key such as 17, found '-1'."),
        ("sales-orders-as-of", {"order": "2147483648"}, "Expected --order to be a key such as 17, found '2147483648'."),
        ("freshness", {"at": "noon"}, "Expected a moment such as 2026-11-24T17:00 (UTC), or 2h for two hours ago"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence(question: str, typed: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        values(question, **typed)

    assert str(refused.value).startswith(sentence)


def test_rates_are_exact_and_the_base_is_worth_one() -> None:
    found = rates_of([HEAD, "usd, 0.79 ,gbp,\n", "USD,0.80,GBP,2026-11-10\n"], "rates.csv")

    assert found == (
        Rate("USD", Decimal("0.79"), "GBP", None),
        Rate("USD", Decimal("0.80"), "GBP", date(2026, 11, 10)),
        Rate("GBP", Decimal(1), "GBP", None),
    )


def test_rates_that_have_always_held_need_no_column_for_it() -> None:
    assert rates_of(["currency,rate,base\n", "USD,0.79,GBP\n"], "rates.csv")[0].valid_from is None


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("currency,rate\nUSD,0.79\n", "Expected the columns currency, rate, base and"),
        ("", "where a rate has not always held, valid_from in r.csv, found none."),
        (HEAD, "Expected rates to one base currency in r.csv, found none."),
        (HEAD + "USD,0.79,GBP,\nEUR,0.9,CHF,\n", "Expected rates to one base currency in r.csv, found CHF, GBP."),
        (HEAD + "USD,0,GBP,\n", "Expected the rate to be a number above 0 such as 0.79 in line 2 of r.csv, found '0'."),
        (HEAD + "USD,NaN,GBP,\n", "found 'NaN'."),
        (HEAD + 'USD,"0,79",GBP,\n', "found '0,79'."),
        (HEAD + "USD\n", "Expected the base to be a code such as GBP in line 2 of r.csv, found ''."),
        (HEAD + "dollar,0.79,GBP,\n", "Expected the currency to be a code such as GBP in line 2 of r.csv"),
        (HEAD + "USD,0.79,GBP,1.1.2026\n", "Expected valid_from to be a day such as 2026-11-28, or nothing, in line 2"),
        (
            HEAD + "USD,0.79,GBP,\nUSD,0.80,GBP,\n",
            "Expected one rate of USD without valid_from in r.csv, found several.",
        ),
        (HEAD + "USD,1,GBP,2026-01-01\nUSD,2,GBP,2026-01-01\n", "Expected one rate of USD from 2026-01-01 on in r.csv"),
        (HEAD + "GBP,1.1,GBP,\n", "Expected one GBP to be worth 1 GBP in r.csv, found 1.1."),
    ],
)
def test_a_table_of_rates_that_contradicts_itself_is_refused(lines: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        rates_of(lines.splitlines(keepends=True), "r.csv")

    assert sentence in str(refused.value)


def test_a_file_of_rates_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"currency,rate,base\nUSD,\xa30.79,GBP\n")

    for path in (tmp_path / "none.csv", latin):
        with pytest.raises(ConfigurationError, match="its header is currency,rate,base,valid_from"):
            read_rates(path)


def test_a_file_as_a_spreadsheet_writes_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_bytes(b"\xef\xbb\xbfcurrency,rate,base\r\nUSD,0.79,GBP\r\n")

    assert read_rates(path)[0] == Rate("USD", Decimal("0.79"), "GBP", None)
