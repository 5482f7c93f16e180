"""Decide what happens next in totesys. Pure: random numbers and the calendar in, frozen events out.

Invariant: equal random numbers and equal moments give equal events. An event names an existing row by its place
between the lowest and the highest key (0 to 1), never by an id it would have to remember, so a plan fits any totesys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from math import isfinite
from random import Random

from services.local.simulator import names
from services.local.simulator.names import pick
from services.local.simulator.terms import Terms, delivery_date, draw_terms
from services.local.simulator.working_time import next_weekday, weekday_after
from shared.errors import ConfigurationError

ORDINARY_OPEN_SECONDS = 0.02
"""Longest an ordinary transaction stays open: enough to overlap with its neighbours at some hundred a second."""


class Kind(StrEnum):
    """What changes are counted by."""

    ORDER = "order"
    LATE_ORDER = "late_order"
    DESIGN = "design"
    PAYMENT_JOB = "payment_job"
    SILENT_UPDATE = "silent_update"
    AMENDMENT = "amendment"
    DELETION = "deletion"


@dataclass(frozen=True)
class Shares:
    """How often each event happens; the others are relative to one order.

    What was observed: 31 orders and one new design a weekday; per order 0.012 silent updates of a sales order, 0.011
    of a purchase order, 0.0075 of a design. Silent updates default to ten times that, so that a minute at five
    changes a second shows some. Late orders, amendments and deletions were hardly or never seen: their shares are ours.
    """

    design: float = 1 / 31
    silent_sales_order: float = 0.12
    silent_purchase_order: float = 0.11
    silent_design: float = 0.075
    late_order: float = 0.03
    """Orders whose transaction stays open while younger ones commit."""
    amendment: float = 0.03
    """Ordinary updates of an address, a department, a member of staff or a counterparty."""
    deletion: float = 0.02
    """Orders deleted with their transaction and payment."""
    tie: float = 0.02
    """Of orders: two in one transaction, hence with one created_at."""

    def __post_init__(self) -> None:
        """Raise ConfigurationError for a share that is none."""
        for name, share in vars(self).items():
            if not (isfinite(share) and share >= 0):
                raise ConfigurationError(f"Expected the share {name} to be 0 or more, found {share}.")


@dataclass(frozen=True)
class NewOrder:
    """An order with its transaction and its payment: three rows. Places name its parents."""

    terms: Terms
    design_place: float
    staff_place: float
    counterparty_place: float
    currency_place: float
    address_place: float


@dataclass(frozen=True)
class NewDesign:
    """A design."""

    design_name: str
    file_location: str
    file_name: str


@dataclass(frozen=True)
class PayDuePayments:
    """The morning job: pays what is due today, and what an order that committed late left of the weekday before."""

    day: date
    weekday_before: date


@dataclass(frozen=True)
class Update:
    """One column of the row at a place. A silent one leaves last_updated where it was.

    `value` is the new text (None: NULL), or the place of the parent row for a column that refers to one.
    """

    table: str
    column: str
    place: float
    value: str | float | None
    silent: bool


@dataclass(frozen=True)
class DeleteOrder:
    """The order whose payment is at a place, with its transaction and payment."""

    sale: bool
    place: float


_ROWS = {NewOrder: 3, DeleteOrder: 3, PayDuePayments: 0}
Event = NewOrder | NewDesign | PayDuePayments | Update | DeleteOrder


@dataclass(frozen=True)
class Planned:
    """Events of one transaction. It commits `open_seconds` after it began, and writes at its end or its beginning."""

    kind: Kind
    events: tuple[Event, ...]
    open_seconds: float
    writes_last: bool = False

    @property
    def rows(self) -> int:
        """How many rows it is expected to change; the payment job cannot know, and counts as none."""
        return sum(_ROWS.get(type(event), 1) for event in self.events)


class Plan:
    """Draws one planned transaction after the other. `paid_through`: the last day whose payment job has run."""

    def __init__(self, random: Random, shares: Shares, late_seconds: float, paid_through: date) -> None:
        self._random = random
        self._shares = shares
        self._late_seconds = late_seconds
        self._paid_through = weekday_after(paid_through, 0)
        self._draws = {
            self._new_orders: 1.0,
            self._late_order: shares.late_order,
            self._new_design: shares.design,
            self._silent_sales_order: shares.silent_sales_order,
            self._silent_purchase_order: shares.silent_purchase_order,
            self._silent_design: shares.silent_design,
            self._amendment: shares.amendment,
            self._deletion: shares.deletion,
        }

    def next(self, moment: datetime) -> Planned:
        """What happens at this moment of the calendar: first the payment job of each weekday that has begun."""
        if self._paid_through < moment.date():
            before, self._paid_through = self._paid_through, next_weekday(self._paid_through)
            return self._planned(Kind.PAYMENT_JOB, PayDuePayments(self._paid_through, before))
        (draw,) = self._random.choices(list(self._draws), list(self._draws.values()))
        return draw(moment.date())

    def _planned(self, kind: Kind, *events: Event) -> Planned:
        return Planned(kind, events, self._random.uniform(0, ORDINARY_OPEN_SECONDS))

    def _new_orders(self, day: date) -> Planned:
        count = 2 if self._random.random() < self._shares.tie else 1
        return self._planned(Kind.ORDER, *(self._order(day) for _ in range(count)))

    def _late_order(self, day: date) -> Planned:
        open_seconds = self._random.uniform(0.3, 1) * self._late_seconds
        writes_last = self._random.random() < 1 / 2
        return Planned(Kind.LATE_ORDER, (self._order(day),), open_seconds, writes_last)

    def _order(self, day: date) -> NewOrder:
        return NewOrder(draw_terms(self._random, day), *(self._random.random() for _ in range(5)))

    def _new_design(self, day: date) -> Planned:
        name = pick(self._random, names.DESIGNS)
        file = names.file_name(self._random, name, day.isoformat())
        return self._planned(Kind.DESIGN, NewDesign(name, pick(self._random, names.FOLDERS), file))

    def _silent_sales_order(self, day: date) -> Planned:
        column = pick(self._random, ("design_id", "staff_id", "agreed_delivery_date", "agreed_delivery_location_id"))
        return self._silent("sales_order", column, self._order_value(column, day))

    def _silent_purchase_order(self, day: date) -> Planned:
        column = pick(self._random, ("staff_id", "item_code", "agreed_delivery_date", "agreed_delivery_location_id"))
        return self._silent("purchase_order", column, self._order_value(column, day))

    def _silent_design(self, _day: date) -> Planned:
        return self._silent("design", "file_location", pick(self._random, names.FOLDERS))

    def _silent(self, table: str, column: str, value: str | float) -> Planned:
        update = Update(table, column, self._random.random(), value, silent=True)
        return self._planned(Kind.SILENT_UPDATE, update)

    def _order_value(self, column: str, day: date) -> str | float:
        """A new delivery date lies shortly after the day of the change, however old the order."""
        if column == "agreed_delivery_date":
            return delivery_date(self._random, day).isoformat()
        if column == "item_code":
            return names.shaped(self._random, "A##AA#A")
        return self._random.random()

    def _amendment(self, _day: date) -> Planned:
        table, column = pick(self._random, tuple(_AMENDED))
        place = self._random.random()
        if column == "location":
            # Department 4 keeps its spelling `Leds`: only the departments above it move.
            place = 1 / 2 + place / 2
        value = _AMENDED[table, column](self._random)
        return self._planned(Kind.AMENDMENT, Update(table, column, place, value, silent=False))

    def _deletion(self, _day: date) -> Planned:
        event = DeleteOrder(sale=self._random.random() < 1 / 2, place=self._random.random())
        return self._planned(Kind.DELETION, event)


_AMENDED: Mapping[tuple[str, str], Callable[[Random], str | float | None]] = {
    ("address", "address_line_1"): names.street,
    ("address", "address_line_2"): lambda random: pick(random, (*names.UNITS, None)),
    ("address", "postal_code"): lambda random: names.shaped(random, pick(random, names.POSTAL_SHAPES)),
    ("address", "phone"): lambda random: names.shaped(random, pick(random, names.PHONE_SHAPES)),
    ("department", "department_name"): lambda random: pick(random, names.DEPARTMENT_NAMES),
    ("department", "location"): lambda random: pick(random, (*names.CITIES, None)),
    ("department", "manager"): names.person,
    ("staff", "department_id"): Random.random,
    ("counterparty", "legal_address_id"): Random.random,
    ("counterparty", "commercial_contact"): names.person,
}
"""Columns that an ordinary update changes, with what draws the new value."""
