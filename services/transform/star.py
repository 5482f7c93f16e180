"""Star rows from source rows: one pure function a star table, from parsed columns to column arrays.

Invariant: a value arrives as it was read. Timestamps are split into date and time of day to the microsecond, money
becomes whole hundredths and never a binary float, NULL stays NULL except where the star schema knows none: there it
becomes 'Unknown'. Equal columns give equal arrays, so a second delivery builds the same rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from contracts import star
from shared.parquet import Array

Values: TypeAlias = Sequence[Any] | Array
"""A parsed column: Python values, or the array that services.transform.vector made of them."""
Rows = Mapping[str, Values]
"""The parsed columns of a feed (contracts.columnar.Validated.columns)."""
Columns = dict[str, Array]
"""The arrays of a star table, by column (shared.parquet says which type each has)."""
Builder = Callable[[Rows], Columns]

UNKNOWN = "Unknown"
"""Stands where no NULL may: for NULL, for a joined row that is missing, for a currency code ISO 4217 does not list."""
_EPOCH = date(1970, 1, 1).toordinal()


def dim_currency(rows: Rows) -> Columns:
    """The name is the one ISO 4217 gives the code."""
    return {
        "currency_id": integers(rows["currency_id"]),
        "currency_code": texts(rows["currency_code"]),
        "currency_name": texts(currency_name(code) for code in rows["currency_code"]),
    }


def dim_payment_type(rows: Rows) -> Columns:
    """As it is."""
    return {
        "payment_type_id": integers(rows["payment_type_id"]),
        "payment_type_name": texts(rows["payment_type_name"]),
    }


def dim_staff(rows: Rows) -> Columns:
    """The department's name and location beside the person."""
    return {
        "staff_id": integers(rows["staff_id"]),
        "first_name": texts(rows["first_name"]),
        "last_name": texts(rows["last_name"]),
        "department_name": known_texts(rows["department_name"]),
        "location": known_texts(rows["location"]),
        "email_address": texts(rows["email_address"]),
    }


def dim_location(rows: Rows) -> Columns:
    """An address under the name the facts know it by."""
    same = ("address_line_1", "address_line_2", "district", "city", "postal_code", "country", "phone")
    return {"location_id": integers(rows["address_id"]), **{name: texts(rows[name]) for name in same}}


def dim_counterparty(rows: Rows) -> Columns:
    """The legal address beside the name; its line 2 and district may rightly be NULL."""
    return {
        "counterparty_id": integers(rows["counterparty_id"]),
        "counterparty_legal_name": texts(rows["counterparty_legal_name"]),
        "counterparty_legal_address_line_1": known_texts(rows["address_line_1"]),
        "counterparty_legal_address_line_2": texts(rows["address_line_2"]),
        "counterparty_legal_district": texts(rows["district"]),
        "counterparty_legal_city": known_texts(rows["city"]),
        "counterparty_legal_postal_code": known_texts(rows["postal_code"]),
        "counterparty_legal_country": known_texts(rows["country"]),
        "counterparty_legal_phone_number": known_texts(rows["phone"]),
    }


def dim_design(rows: Rows) -> Columns:
    """As it is."""
    same = ("design_name", "file_location", "file_name")
    return {"design_id": integers(rows["design_id"]), **{name: texts(rows[name]) for name in same}}


def dim_transaction(rows: Rows) -> Columns:
    """As it is: NULL stays NULL for the order that a transaction has not."""
    return {
        "transaction_id": integers(rows["transaction_id"]),
        "transaction_type": texts(rows["transaction_type"]),
        "sales_order_id": integers_or_null(rows["sales_order_id"]),
        "purchase_order_id": integers_or_null(rows["purchase_order_id"]),
    }


def fact_sales_order(rows: Rows) -> Columns:
    """The seller is named sales_staff_id here, and staff_id in purchases."""
    return {
        "sales_order_id": integers(rows["sales_order_id"]),
        **moments(rows),
        "sales_staff_id": integers(rows["staff_id"]),
        "counterparty_id": integers(rows["counterparty_id"]),
        "units_sold": integers(rows["units_sold"]),
        "unit_price": hundredths(rows["unit_price"]),
        "currency_id": integers(rows["currency_id"]),
        "design_id": integers(rows["design_id"]),
        "agreed_payment_date": dates(rows["agreed_payment_date"]),
        "agreed_delivery_date": dates(rows["agreed_delivery_date"]),
        "agreed_delivery_location_id": integers(rows["agreed_delivery_location_id"]),
    }


def fact_purchase_order(rows: Rows) -> Columns:
    """Delivery before payment: the predefined order of columns differs from that of sales."""
    return {
        "purchase_order_id": integers(rows["purchase_order_id"]),
        **moments(rows),
        "staff_id": integers(rows["staff_id"]),
        "counterparty_id": integers(rows["counterparty_id"]),
        "item_code": texts(rows["item_code"]),
        "item_quantity": integers(rows["item_quantity"]),
        "item_unit_price": hundredths(rows["item_unit_price"]),
        "currency_id": integers(rows["currency_id"]),
        "agreed_delivery_date": dates(rows["agreed_delivery_date"]),
        "agreed_payment_date": dates(rows["agreed_payment_date"]),
        "agreed_delivery_location_id": integers(rows["agreed_delivery_location_id"]),
    }


def fact_payment(rows: Rows) -> Columns:
    """The two account numbers stay behind."""
    return {
        "payment_id": integers(rows["payment_id"]),
        **moments(rows),
        "transaction_id": integers(rows["transaction_id"]),
        "counterparty_id": integers(rows["counterparty_id"]),
        "payment_amount": hundredths(rows["payment_amount"]),
        "currency_id": integers(rows["currency_id"]),
        "payment_type_id": integers(rows["payment_type_id"]),
        "paid": flags(rows["paid"]),
        "payment_date": dates(rows["payment_date"]),
    }


BUILDERS: Mapping[str, Builder] = {
    star.DimCurrency.table: dim_currency,
    star.DimPaymentType.table: dim_payment_type,
    star.DimStaff.table: dim_staff,
    star.DimLocation.table: dim_location,
    star.DimCounterparty.table: dim_counterparty,
    star.DimDesign.table: dim_design,
    star.DimTransaction.table: dim_transaction,
    star.FactSalesOrder.table: fact_sales_order,
    star.FactPurchaseOrder.table: fact_purchase_order,
    star.FactPayment.table: fact_payment,
}
"""Star table -> the function that builds it. dim_date is no feed's: the loader makes its rows."""


def moments(rows: Rows) -> Columns:
    """When a fact's source row was made and last touched, each as a date and a time of day."""
    created_date, created_time = split(rows["created_at"])
    updated_date, updated_time = split(rows["last_updated"])
    return {
        "created_date": created_date,
        "created_time": created_time,
        "last_updated_date": updated_date,
        "last_updated_time": updated_time,
    }


def split(timestamps: Values) -> tuple[Array, Array]:
    """Dates, and microseconds since midnight."""
    moments = timestamps if isinstance(timestamps, np.ndarray) else _moments(timestamps)
    days = moments.astype("datetime64[D]")
    return days, (moments - days).astype("int64")


def dates(values: Values) -> Array:
    """Calendar dates."""
    return values if isinstance(values, np.ndarray) else _days(values)


def integers(values: Values) -> Array:
    """Postgres ints."""
    return np.asarray(values, "int32")


def integers_or_null(values: Values) -> Array:
    """Postgres ints that may be NULL: they stay ints."""
    if isinstance(values, pd.arrays.IntegerArray):
        return values
    missing = np.array([value is None for value in values], "bool")
    return pd.arrays.IntegerArray(np.array([value or 0 for value in values], "int32"), missing)


def flags(values: Values) -> Array:
    """Booleans."""
    return np.asarray(values, "bool")


def hundredths(values: Values) -> Array:
    """Money with at most two decimals, as a whole number of hundredths; an array holds them already."""
    return values if isinstance(values, np.ndarray) else np.array([int(value * 100) for value in values], "int64")


def texts(values: Iterable[str | None]) -> Array:
    """Texts, with None for NULL."""
    return np.array(list(values), "object")


def known_texts(values: Iterable[str | None]) -> Array:
    """Texts, with 'Unknown' for NULL; an empty text stays empty."""
    return texts(UNKNOWN if value is None else value for value in values)


@lru_cache(maxsize=1024)  # there are fewer than 200 codes; a source full of nonsense costs no memory
def currency_name(code: str) -> str:
    """The ISO 4217 name of a code, 'Unknown' where the standard lists none (a withdrawn code such as DEM, a typo)."""
    from pycountry import currencies

    found = currencies.get(alpha_3=code)
    return UNKNOWN if found is None else str(found.name)


def _days(values: Sequence[date]) -> Array:
    """Counting days is 20 times as fast as letting numpy convert each object."""
    return (np.array([value.toordinal() for value in values], "int64") - _EPOCH).view("datetime64[D]")


def _moments(values: Sequence[datetime]) -> Array:
    """Days and the time of day, counted for the same reason."""
    clock = [((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000 + at.microsecond for at in values]
    return _days(values).astype("datetime64[us]") + np.array(clock, "timedelta64[us]")
