"""The history totesys starts with, table by table. Pure: random numbers and a day in, rows out.

Invariant: parents come before children, and no more than ORDERS_PER_BATCH orders are in memory at a time, whatever
the size of the seed. Equal random numbers and an equal day give equal rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from services.local.simulator import names
from services.local.simulator.names import pick
from services.local.simulator.terms import Terms, between, delivery_date, draw_terms
from services.local.simulator.working_time import DAY_SECONDS, OPENS, weekday_after, working_time

ORDERS_PER_BATCH = 2_000
"""About 256 KiB of COPY text a table, and a few MiB of Python."""
ORDERS_PER_DAY = 31
LONGEST_HISTORY_DAYS = 985
"""Weekdays the real source has lived; a larger seed has more orders a day, not a longer past."""
ORDERS_PER_DESIGN = 34
FIRST_DESIGNS = 12
ADDRESSES, LINES_2, WITHOUT_DISTRICT = 30, 10, 14
STAFF, COUNTERPARTIES = 20, 20
TIE_SHARE = 0.01
"""Of orders: created in the same millisecond as the one before."""
INVERSION_SHARE = 22 / 15_815
"""Of orders: created before the one with the next lower id."""
MOVED_DELIVERY_SHARE = 143 / 8_379 / 4
"""Of orders: delivery date moved by a silent update, one of the four columns those change, to long after created_at."""
PAYMENT_JOB_AT = time(7, 55, 11)


class Currency(NamedTuple):
    """A row of `currency`."""

    currency_id: int
    currency_code: str
    created_at: datetime
    last_updated: datetime


class PaymentType(NamedTuple):
    """A row of `payment_type`."""

    payment_type_id: int
    payment_type_name: str
    created_at: datetime
    last_updated: datetime


class Department(NamedTuple):
    """A row of `department`."""

    department_id: int
    department_name: str
    location: str | None
    manager: str
    created_at: datetime
    last_updated: datetime


class Staff(NamedTuple):
    """A row of `staff`."""

    staff_id: int
    first_name: str
    last_name: str
    department_id: int
    email_address: str
    created_at: datetime
    last_updated: datetime


class Address(NamedTuple):
    """A row of `address`."""

    address_id: int
    address_line_1: str
    address_line_2: str | None
    district: str | None
    city: str
    postal_code: str
    country: str
    phone: str
    created_at: datetime
    last_updated: datetime


class Counterparty(NamedTuple):
    """A row of `counterparty`."""

    counterparty_id: int
    counterparty_legal_name: str
    legal_address_id: int
    commercial_contact: str
    delivery_contact: str
    created_at: datetime
    last_updated: datetime


class Design(NamedTuple):
    """A row of `design`."""

    design_id: int
    created_at: datetime
    design_name: str
    file_location: str
    file_name: str
    last_updated: datetime


class SalesOrder(NamedTuple):
    """A row of `sales_order`."""

    sales_order_id: int
    created_at: datetime
    last_updated: datetime
    design_id: int
    staff_id: int
    counterparty_id: int
    units_sold: int
    unit_price: Decimal
    currency_id: int
    agreed_delivery_date: date
    agreed_payment_date: date
    agreed_delivery_location_id: int


class PurchaseOrder(NamedTuple):
    """A row of `purchase_order`."""

    purchase_order_id: int
    created_at: datetime
    last_updated: datetime
    staff_id: int
    counterparty_id: int
    item_code: str
    item_quantity: int
    item_unit_price: Decimal
    currency_id: int
    agreed_delivery_date: date
    agreed_payment_date: date
    agreed_delivery_location_id: int


class Transaction(NamedTuple):
    """A row of `transaction`."""

    transaction_id: int
    transaction_type: str
    sales_order_id: int | None
    purchase_order_id: int | None
    created_at: datetime
    last_updated: datetime


class Payment(NamedTuple):
    """A row of `payment`."""

    payment_id: int
    created_at: datetime
    last_updated: datetime
    transaction_id: int
    counterparty_id: int
    payment_amount: Decimal
    currency_id: int
    payment_type_id: int
    paid: bool
    payment_date: date
    company_ac_number: int
    counterparty_ac_number: int


SeedRow = (
    Currency
    | PaymentType
    | Department
    | Staff
    | Address
    | Counterparty
    | Design
    | SalesOrder
    | PurchaseOrder
    | Transaction
    | Payment
)


@dataclass(frozen=True)
class Batch:
    """Rows of one table, all of one row class, for one COPY."""

    table: str
    rows: Sequence[SeedRow]


@dataclass(frozen=True)
class History:
    """How long the seed's past is: so many weekdays up to, not including, `today`, with so many orders and designs."""

    today: date
    start: datetime
    orders: int
    days: int
    designs: int

    @classmethod
    def before(cls, today: date, orders: int) -> "History":
        """The past that holds so many orders at the real source's rhythm."""
        days = min(max(orders // ORDERS_PER_DAY, 1), LONGEST_HISTORY_DAYS)
        start = datetime.combine(weekday_after(today, -days), OPENS)
        return cls(today, start, orders, days, FIRST_DESIGNS + orders // ORDERS_PER_DESIGN)

    def moment(self, share: float) -> datetime:
        """The working moment after this share of the past, in whole milliseconds."""
        found = working_time(self.start, share * self.days * DAY_SECONDS)
        return found.replace(microsecond=found.microsecond // 1000 * 1000)


def seed_batches(random: Random, history: History) -> Iterator[Batch]:
    """All rows of the seed, parents first; ids count from 1 without gaps."""
    founded = history.start - timedelta(minutes=25)
    yield from _reference(random, founded)
    yield Batch("design", _designs(random, history, founded))
    yield from _orders(random, history)


def _reference(random: Random, at: datetime) -> Iterator[Batch]:
    """The tables that hardly ever change, all created in one moment."""
    yield Batch("currency", [Currency(n, code, at, at) for n, code in enumerate(names.CURRENCIES, 1)])
    yield Batch("payment_type", [PaymentType(n, name, at, at) for n, name in enumerate(names.PAYMENT_TYPES, 1)])
    departments = enumerate(names.DEPARTMENTS, 1)
    yield Batch("department", [Department(n, *it, names.person(random), at, at) for n, it in departments])
    yield Batch("staff", [_staff(random, n, at) for n in range(1, STAFF + 1)])
    yield Batch("address", _addresses(random, at))
    yield Batch("counterparty", [_counterparty(random, n, at) for n in range(1, COUNTERPARTIES + 1)])


def _staff(random: Random, number: int, at: datetime) -> Staff:
    """One member of staff; the lists of names are as long as the staff, so that no two share an e-mail address."""
    first, last = names.FIRST_NAMES[number - 1], names.LAST_NAMES[number - 1]
    department = between(random, 1, len(names.DEPARTMENTS))
    return Staff(number, first, last, department, names.mail_address(first, last), at, at)


def _addresses(random: Random, at: datetime) -> list[Address]:
    """Addresses with exactly the observed number of nulls."""
    lines_2: list[str | None] = [pick(random, names.UNITS) for _ in range(LINES_2)] + [None] * (ADDRESSES - LINES_2)
    named = ADDRESSES - WITHOUT_DISTRICT
    districts: list[str | None] = [pick(random, names.DISTRICTS) for _ in range(named)] + [None] * WITHOUT_DISTRICT
    random.shuffle(lines_2)
    random.shuffle(districts)
    return [_address(random, n, lines_2[n - 1], districts[n - 1], at) for n in range(1, ADDRESSES + 1)]


def _address(random: Random, number: int, line_2: str | None, district: str | None, at: datetime) -> Address:
    """One address; shapes of postal code and telephone number go by its number, so that each occurs."""
    return Address(
        address_id=number,
        address_line_1=names.street(random),
        address_line_2=line_2,
        district=district,
        city=pick(random, names.CITIES),
        postal_code=names.shaped(random, names.POSTAL_SHAPES[number % len(names.POSTAL_SHAPES)]),
        country=names.COUNTRIES[number % len(names.COUNTRIES)],
        phone=names.shaped(random, names.PHONE_SHAPES[number % len(names.PHONE_SHAPES)]),
        created_at=at,
        last_updated=at,
    )


def _counterparty(random: Random, number: int, at: datetime) -> Counterparty:
    """One counterparty at any of the addresses."""
    address = between(random, 1, ADDRESSES)
    contacts = names.person(random), names.person(random)
    return Counterparty(number, names.company(random, number), address, *contacts, at, at)


def _designs(random: Random, history: History, founded: datetime) -> list[Design]:
    """The first designs at the start, the others spread over the past."""
    made = []
    for number in range(1, history.designs + 1):
        at = founded if number <= FIRST_DESIGNS else history.moment((number - 1) / history.designs)
        name = pick(random, names.DESIGNS)
        file = names.file_name(random, name, at.date().isoformat())
        made.append(Design(number, at, name, pick(random, names.FOLDERS), file, at))
    return made


class _Numbers:
    """The last id given to each kind of order."""

    def __init__(self) -> None:
        self.sales_order = 0
        self.purchase_order = 0


def _orders(random: Random, history: History) -> Iterator[Batch]:
    """Orders with their transactions and payments, ORDERS_PER_BATCH at a time."""
    numbers, created = _Numbers(), history.start
    for first in range(1, history.orders + 1, ORDERS_PER_BATCH):
        orders: list[SalesOrder | PurchaseOrder] = []
        transactions, payments = [], []
        for number in range(first, min(first + ORDERS_PER_BATCH, history.orders + 1)):
            created = _created_at(random, history, number, created)
            terms = draw_terms(random, created.date())
            order = _order(random, history, numbers, number, terms, created)
            transactions.append(_transaction(number, order))
            payments.append(_payment(number, terms, order, history.today))
            orders.append(order)
        yield Batch("sales_order", [order for order in orders if isinstance(order, SalesOrder)])
        yield Batch("purchase_order", [order for order in orders if isinstance(order, PurchaseOrder)])
        yield Batch("transaction", transactions)
        yield Batch("payment", payments)


def _created_at(random: Random, history: History, number: int, previous: datetime) -> datetime:
    """When an order was created: evenly over the past, now and then together with or before the one before it."""
    chance = random.random()
    if number > 1 and chance < TIE_SHARE:
        return previous
    if number > 1 and chance < TIE_SHARE + INVERSION_SHARE:
        return previous - timedelta(milliseconds=between(random, 1, 3000))
    return history.moment((number - 1 + random.random()) / history.orders)


def _order(
    random: Random, history: History, numbers: _Numbers, number: int, terms: Terms, at: datetime
) -> SalesOrder | PurchaseOrder:
    """The order's own row."""
    if terms.item_code is None:
        numbers.sales_order += 1
        return SalesOrder(
            sales_order_id=numbers.sales_order,
            created_at=at,
            last_updated=at,
            design_id=between(random, 1, max(FIRST_DESIGNS, history.designs * (number - 2) // history.orders)),
            staff_id=between(random, 1, STAFF),
            counterparty_id=between(random, 1, COUNTERPARTIES),
            units_sold=terms.quantity,
            unit_price=terms.price,
            currency_id=between(random, 1, len(names.CURRENCIES)),
            agreed_delivery_date=_delivery_date(random, history, number, terms),
            agreed_payment_date=terms.agreed_payment_date,
            agreed_delivery_location_id=between(random, 1, ADDRESSES),
        )
    numbers.purchase_order += 1
    return PurchaseOrder(
        purchase_order_id=numbers.purchase_order,
        created_at=at,
        last_updated=at,
        staff_id=between(random, 1, STAFF),
        counterparty_id=between(random, 1, COUNTERPARTIES),
        item_code=terms.item_code,
        item_quantity=terms.quantity,
        item_unit_price=terms.price,
        currency_id=between(random, 1, len(names.CURRENCIES)),
        agreed_delivery_date=_delivery_date(random, history, number, terms),
        agreed_payment_date=terms.agreed_payment_date,
        agreed_delivery_location_id=between(random, 1, ADDRESSES),
    )


def _delivery_date(random: Random, history: History, number: int, terms: Terms) -> date:
    """As agreed at first, or moved at any later time: shortly after that time, which may be years after created_at."""
    if random.random() >= MOVED_DELIVERY_SHARE:
        return terms.agreed_delivery_date
    moved_at = history.moment((number + random.random() * (history.orders - number)) / history.orders)
    return delivery_date(random, moved_at.date())


def _transaction(number: int, order: SalesOrder | PurchaseOrder) -> Transaction:
    """The one transaction of an order."""
    at = order.created_at
    if isinstance(order, SalesOrder):
        return Transaction(number, "SALE", order.sales_order_id, None, at, at)
    return Transaction(number, "PURCHASE", None, order.purchase_order_id, at, at)


def _payment(number: int, terms: Terms, order: SalesOrder | PurchaseOrder, today: date) -> Payment:
    """The one payment of an order, paid if its morning job has run."""
    due = terms.agreed_payment_date
    paid = due < today and weekday_after(due, 0) == due
    kind = "SALES_RECEIPT" if terms.is_sale else "PURCHASE_PAYMENT"
    return Payment(
        payment_id=number,
        created_at=order.created_at,
        last_updated=_payment_job(due) if paid else order.created_at,
        transaction_id=number,
        counterparty_id=order.counterparty_id,
        payment_amount=terms.amount,
        currency_id=order.currency_id,
        payment_type_id=1 + names.PAYMENT_TYPES.index(kind),
        paid=paid,
        payment_date=due,
        company_ac_number=terms.company_ac_number,
        counterparty_ac_number=terms.counterparty_ac_number,
    )


def _payment_job(day: date) -> datetime:
    """The one moment of that day's payment job; its milliseconds differ from day to day."""
    milliseconds = day.toordinal() * 37 % 1000
    return datetime.combine(day, PAYMENT_JOB_AT) + timedelta(milliseconds=milliseconds)
