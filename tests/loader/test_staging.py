"""What COPY gets means what the arrays hold, and arrives unchanged."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.star import DimDesign, DimLocation, DimTransaction, FactPayment, FactSalesOrder, StarRow
from services.loader import staging
from services.loader.binary import CHUNK_BYTES, copy_binary
from services.loader.stage_table import create_stage, stage_table
from services.loader.warehouse import Warehouse
from shared.bookkeeping import POSITION, columns_of, listed
from shared.errors import CorruptObject
from shared.postgres import copy_in
from tests.loader.conftest import Star, load_all
from tests.loader.rows import LOCATION, PAYMENT, SALE, Made, at, changed, deleted

AWKWARD = [
    "O'Keefe",
    "Leannon, Predovic and Morar",
    "Svalbard & Jan Mayen Islands",
    "00123",
    "",
    " surrounded ",
    r"\N",
    "\\",
    "\\.",
    "tab\there",
    "line\nbreak",
    "carriage\r\nreturn",
    "back\\slash\\t",
    '"quoted"',
    "emoji 🛍️",
    "Ünïcödé ß",
    "\x01\x7f",
    "null",
]


def test_awkward_texts_arrive_unchanged(star: Star) -> None:
    rows = [
        {**LOCATION, "location_id": number, "address_line_1": text, "address_line_2": text, "district": None}
        for number, text in enumerate(AWKWARD, 1)
    ]

    load_all(star.warehouse(), changed(DimLocation, rows, at(1, 10)))

    found = star.rows("SELECT address_line_1, address_line_2, district FROM dim_location ORDER BY location_id")
    assert found == [[text, text, None] for text in AWKWARD]


def test_a_missing_text_is_null_and_an_empty_one_is_not(star: Star) -> None:
    rows = [{**LOCATION, "location_id": 1, "district": None}, {**LOCATION, "location_id": 2, "district": ""}]

    load_all(star.warehouse(), changed(DimLocation, rows, at(1, 10)))

    assert star.rows("SELECT district IS NULL FROM dim_location ORDER BY location_id") == [[True], [False]]


def test_a_missing_order_of_a_transaction_stays_missing(star: Star) -> None:
    rows = [
        {"transaction_id": 1, "transaction_type": "SALE", "sales_order_id": 5, "purchase_order_id": None},
        {"transaction_id": 2, "transaction_type": "PURCHASE", "sales_order_id": None, "purchase_order_id": 6},
    ]

    load_all(star.warehouse(), changed(DimTransaction, rows, at(1, 10)))

    found = star.rows("SELECT sales_order_id, purchase_order_id FROM dim_transaction ORDER BY transaction_id")
    assert found == [[5, None], [None, 6]]


texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
rows = st.fixed_dictionaries(
    {
        "created_date": st.dates(),
        "created_time": st.times(),
        "payment_amount": st.decimals(min_value=-(10**15), max_value=10**15, places=2),
        "paid": st.booleans(),
        "counterparty_id": st.integers(-(2**31), 2**31 - 1),
    }
)


@pytest.fixture(scope="session")
def common_warehouse(common_star: Star) -> Warehouse:
    return common_star.warehouse()


_keys = iter(range(5_000_000, 6_000_000))


@given(st.lists(st.tuples(texts, rows), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_every_value_of_every_type_arrives_unchanged(
    common_star: Star, common_warehouse: Warehouse, drawn: list[tuple[str, dict[str, Any]]]
) -> None:
    keys = [next(_keys) for _ in drawn]
    designs = [
        {"design_id": key, "design_name": text, "file_location": text[::-1], "file_name": "x"}
        for key, (text, _) in zip(keys, drawn, strict=True)
    ]
    payments = [{**PAYMENT, **row, "payment_id": key} for key, (_, row) in zip(keys, drawn, strict=True)]

    load_all(common_warehouse, changed(DimDesign, designs, at(1, 10)))
    load_all(common_warehouse, changed(FactPayment, payments, at(1, 10)))

    names = ", ".join(PAYMENT)
    bounds = {"first": keys[0], "last": keys[-1]}
    connection = common_star.connect()
    found = connection.run(
        f"SELECT {names} FROM fact_payment WHERE payment_id BETWEEN :first AND :last ORDER BY 1", **bounds
    )
    texts_found = connection.run(
        "SELECT design_name, file_location FROM dim_design WHERE design_id BETWEEN :first AND :last ORDER BY design_id",
        **bounds,
    )
    connection.close()
    assert found == [list(payment.values()) for payment in payments]
    assert texts_found == [[text, text[::-1]] for text, _ in drawn]


money = {
    "unit_price": st.integers(-(10**10) + 1, 10**10 - 1).map(lambda cents: Decimal(cents) / 100),
    "payment_amount": st.integers(-(2**63), 2**63 - 1).map(lambda cents: Decimal(cents) / 100),
}


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("table", "row", "column"), [(FactSalesOrder, SALE, "unit_price"), (FactPayment, PAYMENT, "payment_amount")]
)
@given(drawn=st.data())
@settings(max_examples=25, deadline=None)
def test_binary_rows_mean_what_the_same_rows_mean_as_text(
    common_star: Star, table: type[StarRow], row: dict[str, Any], column: str, drawn: st.DataObject
) -> None:
    """To the last digit of money and the last bit of the star hash."""
    values = drawn.draw(st.lists(st.tuples(rows, money[column]), min_size=1, max_size=4))
    sales = [{**row, **{name: some[name] for name in some if name in row}, column: value} for some, value in values]
    made = changed(table, sales, at(2, 2**62, 2**31 - 1), as_of=drawn.draw(st.datetimes(timezones=st.just(UTC))))
    parts = (table.columns(), made.batch.data, made.columns)
    names = listed([*columns_of(table), "_row_hash", "_deleted", *POSITION, "_seen_at"])

    with common_star.connect() as connection:
        connection.run(create_stage(table) + "BEGIN")
        found = []
        for form, chunks in (("binary", copy_binary(*parts)), ("text", staging.copy_text(*parts))):
            copy_in(connection, f"COPY {stage_table(table)} ({names}) FROM STDIN (FORMAT {form})", chunks)
            found.append(connection.run(f"SELECT s, _star_hash, CAST({column} AS text) FROM {stage_table(table)} s"))
            connection.run(f"DELETE FROM {stage_table(table)}")
        connection.run("ROLLBACK")

    assert found[0] == found[1]
    assert len(found[0]) == len(sales)


def test_binary_rows_of_more_than_a_chunk_arrive_whole(star: Star) -> None:
    rows = [{**SALE, "sales_order_id": number, "units_sold": number} for number in range(CHUNK_BYTES // 100)]

    load_all(star.warehouse(), changed(FactSalesOrder, rows, at(1, 10)))

    found = (
        "SELECT count(*), count(DISTINCT sales_order_id), bool_and(units_sold = sales_order_id) FROM fact_sales_order"
    )
    assert star.rows(found) == [[len(rows), len(rows), True]]


def test_a_page_larger_than_a_chunk_arrives_whole(star: Star, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**LOCATION, "location_id": number} for number in range(staging.CHUNK_ROWS + 1)]

    load_all(star.warehouse(), changed(DimLocation, rows, at(1, 10)))

    assert star.rows("SELECT count(*), max(location_id) FROM dim_location") == [[len(rows), staging.CHUNK_ROWS]]


@pytest.mark.parametrize("wrong", ["missing", "short"])
def test_an_object_without_the_columns_it_should_hold_is_corrupt(star: Star, wrong: str) -> None:
    made = changed(DimLocation, [LOCATION], at(1, 10))
    columns = dict(made.columns)
    columns["city"] = columns["city"][:0]
    if wrong == "missing":
        del columns["city"]

    with pytest.raises(CorruptObject, match=r"Expected 1 values in each column of processed/dim_location.*'city'"):
        load_all(star.warehouse(), Made(made.table, made.batch, columns))


def test_dates_years_away_gain_their_rows_with_english_names(star: Star) -> None:
    days = [date(1999, 12, 31), date(2026, 2, 29 - 1), date(2077, 3, 1), date(9999, 12, 31), date(1, 1, 1)]

    load_all(
        star.warehouse(),
        changed(
            FactPayment, [{**PAYMENT, "payment_id": n, "payment_date": day} for n, day in enumerate(days)], at(1, 10)
        ),
    )

    found = star.rows("SELECT * FROM dim_date ORDER BY date_id")
    expected = {*days, PAYMENT["created_date"]}
    assert found == [
        [
            day,
            day.year,
            day.month,
            day.day,
            day.isoweekday(),
            day.strftime("%A"),
            day.strftime("%B"),
            (day.month + 2) // 3,
        ]
        for day in sorted(expected)
    ]


def test_money_is_never_rounded_in_the_books(star: Star) -> None:
    amounts = [Decimal("0.00"), Decimal("-0.05"), Decimal("2.50"), Decimal("1234567890123456.78")]

    load_all(
        star.warehouse(),
        changed(
            FactPayment, [{**PAYMENT, "payment_id": n, "payment_amount": a} for n, a in enumerate(amounts)], at(1, 10)
        ),
    )

    found = star.rows("SELECT CAST(payment_amount AS text) FROM fact_payment ORDER BY payment_id")
    assert found == [[str(amount)] for amount in amounts]


def test_a_deletion_stages_its_key_alone(star: Star) -> None:
    load_all(star.warehouse(), deleted(FactPayment, [4], at(1, 10), as_of=datetime(2026, 1, 1, tzinfo=UTC)))

    assert star.rows("SELECT key, star_hash, row_hash, seen_at FROM _seen_payment") == [
        [4, None, None, datetime(2026, 1, 1, tzinfo=UTC)]
    ]
    assert star.rows("SELECT count(*) FROM dim_date") == [[0]]


def test_the_star_hash_of_a_stored_version_can_be_computed_again(star: Star) -> None:
    """A deep check compares what is stored with what was staged, by the same expression."""
    from shared.bookkeeping import star_hash

    rows = [{**PAYMENT, "payment_id": n, "created_time": time(9, 30, n)} for n in range(50)]

    load_all(star.warehouse(), changed(FactPayment, rows, at(1, 10)))

    same = star.rows(f"SELECT count(*) FROM fact_payment f WHERE f._star_hash = {star_hash(FactPayment, 'f')}")
    assert same == [[50]]
