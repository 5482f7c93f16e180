"""Row contracts: what one row of each feed looks like in the archive.

One model a feed; its fields, in their order, are the columns the poller selects and the archive holds. A joined
feed carries the columns of its second table too, so that a star row never waits for another feed.
Invariant: validating a row with its model and validating its columns (contracts.columnar) give the same verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from contracts.fields import Amount, DateText, Flag, Int, Price, SecretInt, Text, Timestamp

Columns = Mapping[str, Sequence[Any]]
Rule = Callable[[Columns], list[bool]]


class Row(BaseModel):
    """One source row, field by field as text or None (SQL NULL)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

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
    found = zip(columns["transaction_type"], columns["sales_order_id"], columns["purchase_order_id"], strict=True)
    return [
        (sales is not None, purchase is not None) == expected.get(kind, (sales is not None, sales is None))
        for kind, sales, purchase in found
    ]


class CurrencyRow(Row):
    """A row of `currency`."""

    currency_id: Int
    currency_code: Text
    created_at: Timestamp
    last_updated: Timestamp


class PaymentTypeRow(Row):
    """A row of `payment_type`."""

    payment_type_id: Int
    payment_type_name: Text
    created_at: Timestamp
    last_updated: Timestamp


class DepartmentRow(Row):
    """A row of `department`: archived only, the warehouse sees it through staff."""

    department_id: Int
    department_name: Text
    location: Text | None
    manager: Text | None
    created_at: Timestamp
    last_updated: Timestamp


class StaffRow(Row):
    """A row of `staff` with its department's name and location."""

    staff_id: Int
    first_name: Text
    last_name: Text
    department_id: Int
    email_address: Text
    created_at: Timestamp
    last_updated: Timestamp
    department_name: Text | None
    location: Text | None


class AddressRow(Row):
    """A row of `address`."""

    address_id: Int
    address_line_1: Text
    address_line_2: Text | None
    district: Text | None
    city: Text
    postal_code: Text
    country: Text
    phone: Text
    created_at: Timestamp
    last_updated: Timestamp


class CounterpartyRow(Row):
    """A row of `counterparty` with its legal address, whose fields are null only where the address is missing."""

    counterparty_id: Int
    counterparty_legal_name: Text
    legal_address_id: Int
    commercial_contact: Text | None
    delivery_contact: Text | None
    created_at: Timestamp
    last_updated: Timestamp
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
    created_at: Timestamp
    design_name: Text
    file_location: Text
    file_name: Text
    last_updated: Timestamp


class SalesOrderRow(Row):
    """A row of `sales_order`."""

    sales_order_id: Int
    created_at: Timestamp
    last_updated: Timestamp
    design_id: Int
    staff_id: Int
    counterparty_id: Int
    units_sold: Int
    unit_price: Price
    currency_id: Int
    agreed_delivery_date: DateText
    agreed_payment_date: DateText
    agreed_delivery_location_id: Int


class PurchaseOrderRow(Row):
    """A row of `purchase_order`."""

    purchase_order_id: Int
    created_at: Timestamp
    last_updated: Timestamp
    staff_id: Int
    counterparty_id: Int
    item_code: Text
    item_quantity: Int
    item_unit_price: Price
    currency_id: Int
    agreed_delivery_date: DateText
    agreed_payment_date: DateText
    agreed_delivery_location_id: Int


class TransactionRow(Row):
    """A row of `transaction`, which belongs to exactly one order."""

    rules: ClassVar[Mapping[str, Rule]] = {
        "a SALE must name its sales order alone and a PURCHASE its purchase order alone": _has_the_order_of_its_type
    }

    transaction_id: Int
    transaction_type: Text
    sales_order_id: Int | None
    purchase_order_id: Int | None
    created_at: Timestamp
    last_updated: Timestamp


class PaymentRow(Row):
    """A row of `payment`; its two account numbers never leave the archive."""

    payment_id: Int
    created_at: Timestamp
    last_updated: Timestamp
    transaction_id: Int
    counterparty_id: Int
    payment_amount: Amount
    currency_id: Int
    payment_type_id: Int
    paid: Flag
    payment_date: DateText
    company_ac_number: SecretInt
    counterparty_ac_number: SecretInt
