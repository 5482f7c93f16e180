"""The rules of the star rows, and that the values of the source arrive unchanged in DuckDB."""

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.feeds import FEEDS
from services.transform import star
from services.transform.transform import transform
from shared import parquet
from tests.shared.duck import view
from tests.transform.archived import batch_of, changed, row

HOSTILE = [
    "O'Keefe",
    "Leds",
    "007",
    "",
    r"\N",
    'say "tote"',
    "a, b & c",
    "tab\there",
    "line\nbreak",
    "cr\rlf\r\n",
    "👜 ünï",
    "back\\slash",
    "\\",
    "  ",
]


def built(feed, *lines, folder):
    """One row a line, as DuckDB sees the Parquet made of it."""
    batch, body = changed(feed, lines)
    outcome = transform(batch, FEEDS[feed], body)
    assert outcome.quarantine is None
    return view(outcome.parquet.body, folder)


def test_every_star_table_that_a_feed_fills_has_its_function_and_no_other_has():
    assert set(star.BUILDERS) == {feed.star.table for feed in FEEDS.values() if feed.star}


@pytest.mark.parametrize("feed", [feed for feed in FEEDS.values() if feed.star], ids=lambda feed: feed.name)
def test_a_function_makes_its_table_s_columns_in_their_order_and_types(feed, tmp_path):
    kinds = {int: "INTEGER", str: "VARCHAR", bool: "BOOLEAN", date: "DATE", time: "TIME"}

    types = built(feed.name, row(feed.name), folder=tmp_path).types

    expected = {column.name: kinds.get(column.python) for column in feed.star.columns()}
    money = {column.name: "DECIMAL(10,2)" if "(" in column.sql else "DECIMAL(18,2)"
             for column in feed.star.columns() if column.python is Decimal}  # fmt: skip
    assert types == {**expected, **money, "_row_hash": "BIGINT"}


@pytest.mark.parametrize(
    ("feed", "changes", "expected"),
    [
        ("staff", {}, {"department_name": "Dispatch", "location": "Leds", "last_name": "O'Keefe"}),
        ("staff", {"location": None}, {"department_name": "Dispatch", "location": "Unknown"}),
        ("staff", {"location": ""}, {"location": ""}),
        ("staff", {"department_name": None, "location": None}, {"department_name": "Unknown", "location": "Unknown"}),
        ("currency", {"currency_code": "GBP"}, {"currency_name": "Pound Sterling"}),
        ("currency", {"currency_code": "EUR"}, {"currency_name": "Euro"}),
        ("currency", {"currency_code": "USD"}, {"currency_name": "US Dollar"}),
        ("currency", {"currency_code": "JPY"}, {"currency_name": "Yen"}),
        ("currency", {"currency_code": "ZZZ"}, {"currency_code": "ZZZ", "currency_name": "Unknown"}),
        ("currency", {"currency_code": ""}, {"currency_code": "", "currency_name": "Unknown"}),
        ("address", {"address_id": "30"}, {"location_id": 30, "address_line_2": None, "district": "Avon"}),
        ("counterparty", {}, {"counterparty_legal_phone_number": "1803 637401", "counterparty_legal_district": "Avon"}),
        ("transaction", {}, {"sales_order_id": None, "purchase_order_id": 2}),
        ("payment", {"paid": "true"}, {"paid": True}),
        ("payment", {"payment_amount": "-9999999999999999.99"}, {"payment_amount": Decimal("-9999999999999999.99")}),
        ("payment", {"payment_amount": "0.1"}, {"payment_amount": Decimal("0.10")}),
        ("purchase_order", {"item_unit_price": "361.390000"}, {"item_unit_price": Decimal("361.39"), "staff_id": 12}),
        ("sales_order", {}, {"sales_staff_id": 19, "unit_price": Decimal("3.94")}),
        ("sales_order", {"agreed_delivery_date": "2031-02-28"}, {"agreed_delivery_date": date(2031, 2, 28)}),
        ("sales_order", {"agreed_delivery_date": "9999-12-31"}, {"agreed_delivery_date": date(9999, 12, 31)}),
        ("sales_order", {"agreed_delivery_date": "0001-01-01"}, {"agreed_delivery_date": date(1, 1, 1)}),
        ("sales_order", {"created_at": "2022-11-03 14:20:52"}, {"created_time": time(14, 20, 52)}),
        ("sales_order", {"created_at": "2022-11-03 14:20:52.186"}, {"created_time": time(14, 20, 52, 186000)}),
        ("sales_order", {"created_at": "1969-12-31 23:59:59.999999"},
         {"created_date": date(1969, 12, 31), "created_time": time(23, 59, 59, 999999)}),
    ],
)  # fmt: skip
def test_the_rules_of_the_star_schema(feed, changes, expected, tmp_path):
    seen = built(feed, row(feed, **changes), folder=tmp_path)

    assert {name: seen.column(name)[0] for name in expected} == expected


def test_a_counterparty_without_its_address_is_unknown_only_where_null_may_not_stand(tmp_path):
    missing = dict.fromkeys(FEEDS["counterparty"].join.columns)

    seen = built("counterparty", row("counterparty", **missing), folder=tmp_path)

    nulls = {name for name in seen.types if seen.column(name) == [None]}
    unknown = {name for name in seen.types if seen.column(name) == ["Unknown"]}
    assert nulls == {"counterparty_legal_address_line_2", "counterparty_legal_district"}
    assert unknown == {
        f"counterparty_legal_{name}" for name in ("address_line_1", "city", "postal_code", "country", "phone_number")
    }


def test_texts_of_any_kind_arrive_unchanged(tmp_path):
    lines = [row("design", design_id=str(place), design_name=text) for place, text in enumerate(HOSTILE)]

    assert built("design", *lines, folder=tmp_path).column("design_name") == HOSTILE


def test_null_and_an_empty_text_stay_two_things(tmp_path):
    lines = [row("address", district=district) for district in (None, "", r"\N", "NULL")]

    assert built("address", *lines, folder=tmp_path).column("district") == [None, "", r"\N", "NULL"]


def test_from_postgres_to_duckdb_nothing_changes(totesys, tmp_path):
    columns = ", ".join(f"{name}::text" for name in FEEDS["sales_order"].columns)
    sink = io.BytesIO()
    with totesys.connect() as source:
        source.run("SET session_replication_role = replica")
        source.run(
            "INSERT INTO sales_order VALUES (7, '2022-11-03 14:20:52', '2022-11-03 14:20:52.001', 1, 2, 3, 4, 2.50,"
            " 5, '2031-01-01', '2022-11-04', 6)"
        )
        source.run(f"COPY (SELECT {columns}, -5 FROM sales_order) TO STDOUT", stream=sink)
    names = (*FEEDS["sales_order"].columns, "_row_hash")
    batch, body = batch_of("sales_order", "changed", names, sink.getvalue(), 1)

    seen = view(transform(batch, FEEDS["sales_order"], body).parquet.body, tmp_path)

    assert seen.rows == [
        (7, date(2022, 11, 3), time(14, 20, 52), date(2022, 11, 3), time(14, 20, 52, 1000), 2, 3, 4, Decimal("2.50"),
         5, 1, date(2022, 11, 4), date(2031, 1, 1), 6, -5)
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.datetimes()))
def test_a_timestamp_is_its_date_and_its_time_of_day(moments):
    days, clock = star.split(moments)

    assert days.astype(object).tolist() == [moment.date() for moment in moments]
    midnight = datetime(2000, 1, 1, tzinfo=UTC)
    assert [(midnight + np.timedelta64(ticks, "us").item()).time() for ticks in clock] == [
        moment.time() for moment in moments
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.decimals(Decimal("-9999999999999999.99"), Decimal("9999999999999999.99"), places=2)))
def test_money_is_exact(amounts):
    found = star.hundredths(amounts)

    assert found.dtype == np.int64
    assert [Decimal(hundredths).scaleb(-2) for hundredths in found.tolist()] == amounts


def test_the_same_rows_give_the_same_bytes():
    lines = [row("payment", payment_id=str(key)) for key in range(50)]
    batch, body = changed("payment", lines)

    first, second = (transform(batch, FEEDS["payment"], body) for _ in range(2))

    assert first == second


def test_no_bank_account_number_reaches_the_file():
    batch, body = changed("payment", [row("payment", company_ac_number="67305075")])

    outcome = transform(batch, FEEDS["payment"], body)

    columns = parquet.read(FEEDS["payment"].star, outcome.parquet.body)
    assert not [name for name in columns if "ac_number" in name]
    assert 67305075 not in [int(value) for values in columns.values() if values.dtype.kind == "i" for value in values]


def test_a_replay_after_an_upgrade_that_writes_other_bytes_does_not_collide(monkeypatch):
    batch, body = changed("design", [row("design")])
    before = transform(batch, FEEDS["design"], body).parquet

    monkeypatch.setattr(parquet, "COMPRESSION", "GZIP")
    after = transform(batch, FEEDS["design"], body).parquet

    assert before.body != after.body
    assert before.key != after.key
