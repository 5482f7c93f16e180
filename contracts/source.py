"""Row contracts: what one row of each feed looks like in the archive.

One model a feed; its fields, in their order, are the columns the poller selects and the archive holds. A joined
feed carries the columns of its second table too, so that a star row never waits for another feed.
What a field means stands below it, once; the documents read it there, so that no import pays for it.
Invariant: validating a row with its model and validating its columns (contracts.columnar) give the same verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from contracts.fields import Amount, DateText, Flag, Int, Price, SecretInt, Text, Timestamp

Columns = Mapping[str, Sequence[Any]]
Rule = Callable[[Columns], list[bool]]
CreatedAt = Timestamp
"""When the row was made."""
LastUpdated = Timestamp
"""When the application last said that it changed the row; the row may change and this stay as it was."""


class Row(BaseModel):
    """One source row, field by field as text or None (SQL NULL)."""

    # Columns are validated, hardly ever a row: its validator is built when one is, and no start pays for it.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    rules: ClassVar[Mapping[str, Rule]] = {}
    """Cross-field rules: a sentence for the operator -> a function of whole columns, True where a row obeys."""

    @model_validator(mode="after")
    def _obeys_its_rules(self) -> Self:
        """Call each rule with columns of length 1, so that a row and a column share one definition."""
        columns = {name: [getattr(self, name)] for name in type(self).model_fields}
        for sentence, rule in self.rules.items():
            if not rule(columns)[0]:
                raise ValueError(sentence)
        return self


def _has_the_order_of_its_type(columns: Columns) -> list[bool]:
    """SALE points to a sales order only, PURCHASE to a purchase order only; another type to exactly one of them."""
    expected = {"SALE": (True, False), "PURCHASE": (False, True)}
    orders = _present(columns["sales_order_id"]), _present(columns["purchase_order_id"])
    found = zip(columns["transaction_type"], *orders, strict=True)
    return [(sales, purchase) == expected.get(kind, (sales, not sales)) for kind, sales, purchase in found]


def _present(column: Any) -> list[bool]:
    """Where a value is not NULL; an array that was parsed as a whole says it itself."""
    if isinstance(column, list):
        return [value is not None for value in column]
    return [not null for null in column.isna()]


class CurrencyRow(Row):
    """A row of `currency`."""

    currency_id: Int
    """Key of the currency."""
    currency_code: Text
    """Its code in ISO 4217, such as GBP."""
    created_at: CreatedAt
    last_updated: LastUpdated


class PaymentTypeRow(Row):
    """A row of `payment_type`."""

    payment_type_id: Int
    """Key of the type of payment."""
    payment_type_name: Text
    """Who pays whom what for: SALES_RECEIPT, SALES_REFUND, PURCHASE_PAYMENT or PURCHASE_REFUND."""
    created_at: CreatedAt
    last_updated: LastUpdated


class DepartmentRow(Row):
    """A row of `department`: archived only, the warehouse sees it through staff."""

    department_id: Int
    """Key of the department."""
    department_name: Text
    """The department's name."""
    location: Text | None
    """The town in which the department works, as the source spells it."""
    manager: Text | None
    """Who leads the department."""
    created_at: CreatedAt
    last_updated: LastUpdated


class StaffRow(Row):
    """A row of `staff` with its department's name and location."""

    staff_id: Int
    """Key of the member of staff."""
    first_name: Text
    """The person's first name."""
    last_name: Text
    """The person's last name."""
    department_id: Int
    """The department that the person works in."""
    email_address: Text
    """The person's e-mail address at work."""
    created_at: CreatedAt
    last_updated: LastUpdated
    department_name: Text | None
    location: Text | None


class AddressRow(Row):
    """A row of `address`."""

    address_id: Int
    """Key of the address."""
    address_line_1: Text
    """House and street."""
    address_line_2: Text | None
    """A second line, where the address has one."""
    district: Text | None
    """The district, where the address has one."""
    city: Text
    """Town or city."""
    postal_code: Text
    """Postal code: a text, which may begin with zeros."""
    country: Text
    """The country's English name."""
    phone: Text
    """Telephone number there: a text, which may begin with zeros."""
    created_at: CreatedAt
    last_updated: LastUpdated


class CounterpartyRow(Row):
    """A row of `counterparty` with its legal address, whose fields are null only where the address is missing."""

    counterparty_id: Int
    """Key of the counterparty: a company that buys from us or sells to us."""
    counterparty_legal_name: Text
    """The name under which the company is registered."""
    legal_address_id: Int
    """The address at which the company is registered."""
    commercial_contact: Text | None
    """Whom to ask there about orders and payments."""
    delivery_contact: Text | None
    """Whom to ask there about deliveries."""
    created_at: CreatedAt
    last_updated: LastUpdated
    address_line_1: Text | None
    address_line_2: Text | None
    district: Text | None
    city: Text | None
    postal_code: Text | None
    country: Text | None
    phone: Text | None


class DesignRow(Row):
    """A row of `design`."""

    design_id: Int
    """Key of the design."""
    created_at: CreatedAt
    design_name: Text
    """The design's name, which several designs may share."""
    file_location: Text
    """The directory that holds the design's file."""
    file_name: Text
    """The name of the design's file."""
    last_updated: LastUpdated


class SalesOrderRow(Row):
    """A row of `sales_order`."""

    sales_order_id: Int
    """Key of the sales order."""
    created_at: CreatedAt
    last_updated: LastUpdated
    design_id: Int
    """The design of the bags that were sold."""
    staff_id: Int
    """The member of staff who sold the bags."""
    counterparty_id: Int
    """The company that bought the bags."""
    units_sold: Int
    """How many bags were sold."""
    unit_price: Price
    """The price of one bag, in the order's currency."""
    currency_id: Int
    """The currency of the price."""
    agreed_delivery_date: DateText
    """The day for which delivery is agreed; it may lie years ahead."""
    agreed_payment_date: DateText
    """The day for which payment is agreed."""
    agreed_delivery_location_id: Int
    """The address to which the bags are to be delivered."""


class PurchaseOrderRow(Row):
    """A row of `purchase_order`."""

    purchase_order_id: Int
    """Key of the purchase order."""
    created_at: CreatedAt
    last_updated: LastUpdated
    staff_id: Int
    """The member of staff who ordered."""
    counterparty_id: Int
    """The company that supplies what was ordered."""
    item_code: Text
    """The code of what was ordered."""
    item_quantity: Int
    """How many pieces were ordered."""
    item_unit_price: Price
    """The price of one piece, in the order's currency."""
    currency_id: Int
    """The currency of the price."""
    agreed_delivery_date: DateText
    """The day for which delivery is agreed; it may lie years ahead."""
    agreed_payment_date: DateText
    """The day for which payment is agreed."""
    agreed_delivery_location_id: Int
    """The address to which the pieces are to be delivered."""


class TransactionRow(Row):
    """A row of `transaction`, which belongs to exactly one order."""

    rules: ClassVar[Mapping[str, Rule]] = {
        "a SALE must name its sales order alone and a PURCHASE its purchase order alone": _has_the_order_of_its_type
    }

    transaction_id: Int
    """Key of the transaction."""
    transaction_type: Text
    """SALE or PURCHASE."""
    sales_order_id: Int | None
    """The sales order that the transaction is about, if it is a sale."""
    purchase_order_id: Int | None
    """The purchase order that the transaction is about, if it is a purchase."""
    created_at: CreatedAt
    last_updated: LastUpdated


class PaymentRow(Row):
    """A row of `payment`; its two account numbers never leave the archive."""

    payment_id: Int
    """Key of the payment."""
    created_at: CreatedAt
    last_updated: LastUpdated
    transaction_id: Int
    """The transaction that is paid for."""
    counterparty_id: Int
    """The company that pays or is paid."""
    payment_amount: Amount
    """What is paid: the units of the order times their price, in the payment's currency."""
    currency_id: Int
    """The currency of the amount."""
    payment_type_id: Int
    """The type of the payment."""
    paid: Flag
    """Whether it has been paid."""
    payment_date: DateText
    """The day on which it is to be paid."""
    company_ac_number: SecretInt
    """The number of our bank account."""
    counterparty_ac_number: SecretInt
    """The number of the counterparty's bank account."""
