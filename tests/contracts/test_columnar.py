"""Validating columns and validating rows are one contract."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.columnar import MASK, RULE, family, is_secret, nullable, validate
from contracts.feeds import FEEDS
from contracts.fields import Family
from contracts.source import CounterpartyRow, PaymentRow, Row, SalesOrderRow, TransactionRow
from tests.contracts.rows import rows

FEEDS_BY_NAME = pytest.mark.parametrize("model", [feed.row for feed in FEEDS.values()], ids=list(FEEDS))


def verdict_of_the_row_model(model: type[Row], row: dict[str, str | None]) -> tuple[str, str] | Row:
    """The parsed row, or the first offending field and the class of its reason."""
    try:
        return model.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        return (str(first["loc"][0]), first["type"]) if first["loc"] else ("", RULE)


@FEEDS_BY_NAME
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_columns_and_rows_get_the_same_verdict(model, data):
    drawn = data.draw(rows(model))

    validated = validate(model, {name: [row[name] for row in drawn] for name in model.model_fields})

    expected = [verdict_of_the_row_model(model, row) for row in drawn]
    passed = {number: row for number, row in enumerate(expected) if isinstance(row, Row)}
    assert list(validated.rows) == list(passed)
    assert {(failure.row, failure.field, failure.reason_class) for failure in validated.failures} == {
        (number, *reason) for number, reason in enumerate(expected) if not isinstance(reason, Row)
    }
    for name, column in validated.columns.items():
        assert column == [getattr(row, name) for row in passed.values()]


def order(**changes):
    valid = {
        "sales_order_id": "1", "created_at": "2024-01-01 10:00:00.123", "last_updated": "2024-01-01 10:00:00",
        "design_id": "2", "staff_id": "3", "counterparty_id": "4", "units_sold": "5", "unit_price": "2.50",
        "currency_id": "6", "agreed_delivery_date": "2024-01-02", "agreed_payment_date": "2024-01-03",
        "agreed_delivery_location_id": "7",
    }  # fmt: skip
    return {**valid, **changes}


def columns_of(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_an_empty_object_is_valid():
    validated = validate(SalesOrderRow, {name: [] for name in SalesOrderRow.model_fields})

    assert len(validated.rows) == 0
    assert validated.failures == ()


def test_a_failure_says_which_row_which_field_and_which_value():
    drawn = [order(), order(unit_price="2.505"), order(units_sold="1_000", unit_price="x"), order()]

    validated = validate(SalesOrderRow, columns_of(drawn))

    assert list(validated.rows) == [0, 3]
    assert [(failure.row, failure.field, failure.value) for failure in validated.failures] == [
        (1, "unit_price", "2.505"),
        (2, "units_sold", "1_000"),
    ]


def test_a_missing_column_is_no_row_s_fault():
    columns = columns_of([order()])
    del columns["units_sold"]

    with pytest.raises(KeyError):
        validate(SalesOrderRow, columns)


def payment(**changes):
    valid = {
        "payment_id": "1", "created_at": "2024-01-01 10:00:00", "last_updated": "2024-01-01 10:00:00",
        "transaction_id": "1", "counterparty_id": "1", "payment_amount": "12.50", "currency_id": "1",
        "payment_type_id": "1", "paid": "false", "payment_date": "2024-01-01", "company_ac_number": "67305075",
        "counterparty_ac_number": "31622269",
    }  # fmt: skip
    return {**valid, **changes}


@pytest.mark.parametrize("field", ["company_ac_number", "counterparty_ac_number"])
def test_a_bank_account_number_is_never_shown(field):
    validated = validate(PaymentRow, columns_of([payment(**{field: "67305075x"})]))

    assert [(failure.field, failure.value) for failure in validated.failures] == [(field, MASK)]
    assert "67305075" not in repr(validated.failures)
    assert is_secret(PaymentRow, field)


def test_a_secret_that_is_null_is_shown_as_null():
    validated = validate(PaymentRow, columns_of([payment(company_ac_number=None)]))

    assert [failure.value for failure in validated.failures] == [None]


@pytest.mark.parametrize(
    ("kind", "sales", "purchase", "obeys"),
    [
        ("SALE", "1", None, True),
        ("SALE", None, "1", False),
        ("SALE", "1", "1", False),
        ("SALE", None, None, False),
        ("PURCHASE", None, "1", True),
        ("PURCHASE", "1", None, False),
        ("REFUND", "1", None, True),
        ("REFUND", None, "1", True),
        ("REFUND", "1", "1", False),
        ("REFUND", None, None, False),
    ],
)
def test_a_transaction_has_the_one_order_of_its_type(kind, sales, purchase, obeys):
    row = {
        "transaction_id": "1", "transaction_type": kind, "sales_order_id": sales, "purchase_order_id": purchase,
        "created_at": "2024-01-01 10:00:00", "last_updated": "2024-01-01 10:00:00",
    }  # fmt: skip

    validated = validate(TransactionRow, columns_of([row]))

    assert [failure.reason_class for failure in validated.failures] == ([] if obeys else [RULE])


def test_families_and_nullability_are_read_from_the_contract():
    assert family(SalesOrderRow, "agreed_delivery_date") is Family.TEXT
    assert family(SalesOrderRow, "created_at") is Family.TIMESTAMP
    assert family(CounterpartyRow, "address_line_1") is Family.TEXT
    assert nullable(CounterpartyRow, "address_line_1")
    assert not nullable(CounterpartyRow, "counterparty_legal_name")
