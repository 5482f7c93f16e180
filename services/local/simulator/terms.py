"""What an order is about: quantity, price, dates, accounts. Pure: random numbers and a date in, values out.

Invariant: amount = quantity x price, exactly; money is made of whole pence and never meets a binary float.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from string import ascii_uppercase, digits

from services.local.simulator.names import pick

SALES_SHARE = 22 / 31
"""Of 31 orders on a real weekday 22 are sales, the others purchases."""
ACCOUNTS = (10_000_000, 99_999_999)
"""Bank account numbers have eight digits."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one order; `item_code` is that of a purchase, None for a sale."""

    quantity: int
    price: Decimal
    item_code: str | None
    agreed_delivery_date: date
    agreed_payment_date: date
    company_ac_number: int
    counterparty_ac_number: int

    @property
    def amount(self) -> Decimal:
        """What its payment is over."""
        return self.quantity * self.price

    @property
    def is_sale(self) -> bool:
        """A sale or a purchase."""
        return self.item_code is None


def draw_terms(random: Random, day: date) -> Terms:
    """The terms of an order placed on that day."""
    sale = random.random() < SALES_SHARE
    quantity, pence = ((1000, 100_000), (200, 400)) if sale else ((1, 999), (332, 99_907))
    return Terms(
        quantity=between(random, *quantity),
        price=Decimal(between(random, *pence)).scaleb(-2),
        item_code=None if sale else "".join(pick(random, ascii_uppercase + digits) for _ in range(7)),
        agreed_delivery_date=delivery_date(random, day),
        agreed_payment_date=day + timedelta(days=between(random, 1, 6)),
        company_ac_number=between(random, *ACCOUNTS),
        counterparty_ac_number=between(random, *ACCOUNTS),
    )


def delivery_date(random: Random, day: date) -> date:
    """A date shortly after the day on which it is agreed."""
    return day + timedelta(days=between(random, 1, 7))


def between(random: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included; three times as fast as `randint`."""
    return low + int(random.random() * (high - low + 1))
