"""Star contracts: the predefined tables of the warehouse, from which DDL, COPY columns and Parquet schema derive.

One model a table. A field's annotation carries its SQL type and the dimension it refers to; None in its type makes
it nullable. Invariant: names, order and types are the client's; our own columns come after them, with a leading
underscore, and stand in no model here.
"""

from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Sql:
    """The column's type in the warehouse."""

    type: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Beside the type as JSON Schema knows it."""
        return {**handler(schema), "x-sql": self.type}


@dataclass(frozen=True)
class References:
    """The dimension whose key this column holds."""

    table: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Beside the column's type."""
        return {**handler(schema), "x-references": self.table}


class Kind(StrEnum):
    """A dimension keeps the latest state of a row, a fact every version of it."""

    DIMENSION = "dimension"
    FACT = "fact"


Int = Annotated[int, Sql("int")]
Text = Annotated[str, Sql("varchar")]
Date = Annotated[date, Sql("date")]
DateKey = Annotated[date, Sql("date"), References("dim_date")]
Time = Annotated[time, Sql("time")]
Price = Annotated[Decimal, Sql("numeric(10, 2)")]
Amount = Annotated[Decimal, Sql("numeric")]
Flag = Annotated[bool, Sql("boolean")]
StaffKey = Annotated[int, Sql("int"), References("dim_staff")]
CounterpartyKey = Annotated[int, Sql("int"), References("dim_counterparty")]
CurrencyKey = Annotated[int, Sql("int"), References("dim_currency")]
DesignKey = Annotated[int, Sql("int"), References("dim_design")]
LocationKey = Annotated[int, Sql("int"), References("dim_location")]
TransactionKey = Annotated[int, Sql("int"), References("dim_transaction")]
PaymentTypeKey = Annotated[int, Sql("int"), References("dim_payment_type")]


@dataclass(frozen=True)
class Column:
    """One column of a star table: its name, Python type, SQL type, nullability and the dimension it refers to."""

    name: str
    python: type
    sql: str
    nullable: bool
    references: str | None


class StarRow(BaseModel):
    """One row of a star table."""

    # A description of a table: its validator is built when a row is validated, and no start pays for it.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    table: ClassVar[str]
    key: ClassVar[str]
    """The column that identifies the source row; a dimension's primary key."""
    record_id: ClassVar[str | None] = None
    """A fact's own serial primary key, made by the warehouse; None for a dimension."""
    added: ClassVar[tuple[str, ...]] = ()
    """The columns that came after the table was made, oldest first: while they are NULL, no row has changed by them."""

    @classmethod
    def kind(cls) -> Kind:
        """Whether the table keeps the latest state or every version."""
        return Kind.DIMENSION if cls.record_id is None else Kind.FACT

    @classmethod
    def columns(cls) -> tuple[Column, ...]:
        """The predefined columns in their order, without a fact's record id."""
        return _columns(cls)


@cache
def _columns(model: type[StarRow]) -> tuple[Column, ...]:
    return tuple(_column(name, field) for name, field in model.model_fields.items())


def _column(name: str, field: FieldInfo) -> Column:
    """Read the markers, which sit inside the union where the field is nullable."""
    parts = get_args(field.annotation)
    nullable = NoneType in parts
    annotated = next((part for part in parts if part is not NoneType), None) if nullable else None
    python: Any = get_args(annotated)[0] if annotated is not None else field.annotation
    markers = annotated.__metadata__ if annotated is not None else field.metadata
    sql = next(marker.type for marker in markers if isinstance(marker, Sql))
    target = next((marker.table for marker in markers if isinstance(marker, References)), None)
    return Column(name, python, sql, nullable, target)


class DimDate(StarRow):
    """A calendar date; rows are made by the loader, for every date a batch needs."""

    table = "dim_date"
    key = "date_id"

    date_id: Date
    """The date itself."""
    year: Int
    """Its year."""
    month: Int
    """Its month, 1 to 12."""
    day: Int
    """Its day of the month, 1 to 31."""
    day_of_week: Int
    """Its day of the week as ISO 8601 counts: 1 is Monday, 7 is Sunday."""
    day_name: Text
    """English name of the day of the week."""
    month_name: Text
    """English name of the month."""
    quarter: Int
    """Its quarter of the year, 1 to 4."""


class DimStaff(StarRow):
    """Staff joined with their department."""

    table = "dim_staff"
    key = "staff_id"

    staff_id: Int
    first_name: Text
    last_name: Text
    department_name: Text
    location: Text
    email_address: Text


class DimLocation(StarRow):
    """An address, as a place of delivery."""

    table = "dim_location"
    key = "location_id"

    location_id: Int
    address_line_1: Text
    address_line_2: Text | None
    district: Text | None
    city: Text
    postal_code: Text
    country: Text
    phone: Text


class DimCurrency(StarRow):
    """A currency with its ISO 4217 name."""

    table = "dim_currency"
    key = "currency_id"

    currency_id: Int
    currency_code: Text
    currency_name: Text
    """Its English name in ISO 4217, 'Unknown' where the standard does not list the code."""


class DimDesign(StarRow):
    """A design of a tote bag."""

    table = "dim_design"
    key = "design_id"

    design_id: Int
    design_name: Text
    file_location: Text
    file_name: Text


class DimCounterparty(StarRow):
    """A counterparty joined with its legal address."""

    table = "dim_counterparty"
    key = "counterparty_id"

    counterparty_id: Int
    counterparty_legal_name: Text
    counterparty_legal_address_line_1: Text
    counterparty_legal_address_line_2: Text | None
    counterparty_legal_district: Text | None
    counterparty_legal_city: Text
    counterparty_legal_postal_code: Text
    counterparty_legal_country: Text
    counterparty_legal_phone_number: Text


class DimPaymentType(StarRow):
    """A type of payment."""

    table = "dim_payment_type"
    key = "payment_type_id"

    payment_type_id: Int
    payment_type_name: Text


class DimTransaction(StarRow):
    """A transaction; its order ids are no references, because facts are versioned."""

    table = "dim_transaction"
    key = "transaction_id"

    transaction_id: Int
    transaction_type: Text
    sales_order_id: Int | None
    purchase_order_id: Int | None


class FactSalesOrder(StarRow):
    """One version of a sales order."""

    table = "fact_sales_order"
    key = "sales_order_id"
    record_id = "sales_record_id"

    sales_order_id: Int
    created_date: DateKey
    created_time: Time
    last_updated_date: DateKey
    last_updated_time: Time
    sales_staff_id: StaffKey
    counterparty_id: CounterpartyKey
    units_sold: Int
    unit_price: Price
    currency_id: CurrencyKey
    design_id: DesignKey
    agreed_payment_date: DateKey
    agreed_delivery_date: DateKey
    agreed_delivery_location_id: LocationKey


class FactPurchaseOrder(StarRow):
    """One version of a purchase order."""

    table = "fact_purchase_order"
    key = "purchase_order_id"
    record_id = "purchase_record_id"

    purchase_order_id: Int
    created_date: DateKey
    created_time: Time
    last_updated_date: DateKey
    last_updated_time: Time
    staff_id: StaffKey
    counterparty_id: CounterpartyKey
    item_code: Text
    item_quantity: Int
    item_unit_price: Amount
    currency_id: CurrencyKey
    agreed_delivery_date: DateKey
    agreed_payment_date: DateKey
    agreed_delivery_location_id: LocationKey


class FactPayment(StarRow):
    """One version of a payment."""

    table = "fact_payment"
    key = "payment_id"
    record_id = "payment_record_id"

    payment_id: Int
    created_date: DateKey
    created_time: Time
    last_updated_date: DateKey
    last_updated_time: Time
    transaction_id: TransactionKey
    counterparty_id: CounterpartyKey
    payment_amount: Amount
    currency_id: CurrencyKey
    payment_type_id: PaymentTypeKey
    paid: Flag
    payment_date: DateKey


STAR_TABLES: tuple[type[StarRow], ...] = (
    DimDate,
    DimStaff,
    DimLocation,
    DimCurrency,
    DimDesign,
    DimCounterparty,
    DimPaymentType,
    DimTransaction,
    FactSalesOrder,
    FactPurchaseOrder,
    FactPayment,
)
"""Dimensions first: an order in which they can be created, and in which keys are locked."""
