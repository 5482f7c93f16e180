"""A shop small enough to work out every answer by hand: what happened in it, in the order in which it was seen.

Each event is a snapshot: when it was read, of which row, and what was different; None is a deletion. A new row is made
at the first moment given for it, and read at once.

    live sales       units price      amount  seller  customer  design  made        goes to
      1 (changed)     1000  2.50 GBP   2,500   Ada     Fahey     b       Mon 5 Jan   Leeds
      2               2000  3.00 USD   6,000   Irving  Leannon   b       Sun 11 Jan  Oslo
      3 (to and fro)  1500  2.00 GBP   3,000   Ada     Fahey     a       Mon 12 Jan  Oslo
      4               3000  2.10 GBP   6,300   Irving  Leannon   steel   Mon 2 Feb   Oslo
      5 deleted       4000  3.50 EUR
      6 came back     1200  2.25 EUR   2,700   Tom     Fahey     steel   Wed 4 Feb   Oslo
    live purchases  pieces price      amount
      1 (changed)      100  4.00 USD     400   Tom     Leannon   ABC1234 Tue 6 Jan
      2                300  2.00 USD     600   Tom     Leannon   ABC1234 Tue 20 Jan
      3                 10 99.99 GBP  999.90   Tom     Fahey     XYZ9999 Wed 21 Jan
      4 deleted
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from contracts.star import (
    DimCounterparty,
    DimCurrency,
    DimDesign,
    DimLocation,
    DimPaymentType,
    DimStaff,
    DimTransaction,
    FactPayment,
    FactPurchaseOrder,
    FactSalesOrder,
    StarRow,
)
from tests.loader.conftest import Star, load_all
from tests.loader.rows import LOCATION, at, changed, deleted

Row = Mapping[str, Any]
Event = tuple[str, type[StarRow], int, Row | None]

GBP, USD, EUR = 1, 2, 3
IRVING, ADA, TOM = 1, 2, 3
BRONZE_A, BRONZE_B, STEEL, VELVET = 1, 2, 3, 4
LEEDS, OSLO = 1, 2
FAHEY, LEANNON = 1, 2
RECEIPT, PURCHASE = 1, 3

STAFF = ((IRVING, "Irving", "O'Keefe", "Sales"), (ADA, "Ada", "Byron", "Sales"), (TOM, "Tom", "Oak", "Purchasing"))
DESIGNS = (
    (BRONZE_A, "Bronze", "/a", "bronze-a.json"),
    (BRONZE_B, "Bronze", "/b", "bronze-b.json"),
    (STEEL, "Steel", "/a", "steel-a.json"),
    (VELVET, "Velvet", "/v", "velvet-a.json"),
)
COUNTERPARTIES = ((FAHEY, "Fahey & Sons", "United Kingdom"), (LEANNON, "Leannon, Predovic and Morar", "Norway"))
TRANSACTIONS = (
    (1, "SALE", 1, None),
    (2, "SALE", 2, None),
    (3, "SALE", 3, None),
    (4, "SALE", 4, None),
    (5, "PURCHASE", None, 1),
    (6, "PURCHASE", None, 2),
    (7, "PURCHASE", None, 3),
    (8, "SALE", 6, None),
)


def sale(**given: Any) -> Row:
    return {"agreed_payment_date": date(2026, 1, 9), **given}


def purchase(**given: Any) -> Row:
    return {"agreed_payment_date": date(2026, 1, 16), "agreed_delivery_location_id": LEEDS, "staff_id": TOM, **given}


SOLD_ONE = sale(
    sales_staff_id=IRVING,
    counterparty_id=FAHEY,
    units_sold=1000,
    unit_price=Decimal("2.50"),
    currency_id=GBP,
    design_id=BRONZE_A,
    agreed_delivery_date=date(2026, 1, 12),
    agreed_delivery_location_id=LEEDS,
)
SOLD_TWO = sale(
    sales_staff_id=IRVING,
    counterparty_id=LEANNON,
    units_sold=2000,
    unit_price=Decimal("3.00"),
    currency_id=USD,
    design_id=BRONZE_B,
    agreed_delivery_date=date(2026, 1, 18),
    agreed_delivery_location_id=OSLO,
)
SOLD_THREE = sale(
    sales_staff_id=ADA,
    counterparty_id=FAHEY,
    units_sold=1500,
    unit_price=Decimal("2.00"),
    currency_id=GBP,
    design_id=BRONZE_A,
    agreed_delivery_date=date(2026, 1, 19),
    agreed_delivery_location_id=OSLO,
)
SOLD_FOUR = sale(
    sales_staff_id=IRVING,
    counterparty_id=LEANNON,
    units_sold=3000,
    unit_price=Decimal("2.10"),
    currency_id=GBP,
    design_id=STEEL,
    agreed_delivery_date=date(2026, 2, 10),
    agreed_delivery_location_id=OSLO,
)
SOLD_FIVE = {**SOLD_FOUR, "units_sold": 4000, "unit_price": Decimal("3.50"), "currency_id": EUR}
SOLD_SIX = sale(
    sales_staff_id=TOM,
    counterparty_id=FAHEY,
    units_sold=1200,
    unit_price=Decimal("2.25"),
    currency_id=EUR,
    design_id=STEEL,
    agreed_delivery_date=date(2026, 2, 9),
    agreed_delivery_location_id=OSLO,
)
BOUGHT_ONE = purchase(
    counterparty_id=LEANNON,
    item_code="OLD0000",
    item_quantity=100,
    item_unit_price=Decimal("4.00"),
    currency_id=USD,
    agreed_delivery_date=date(2026, 1, 13),
)
BOUGHT_TWO = {
    **BOUGHT_ONE,
    "item_code": "ABC1234",
    "item_quantity": 300,
    "item_unit_price": Decimal("2.00"),
    "agreed_delivery_date": date(2026, 1, 27),
}
BOUGHT_THREE = purchase(
    counterparty_id=FAHEY,
    item_code="XYZ9999",
    item_quantity=10,
    item_unit_price=Decimal("99.99"),
    currency_id=GBP,
    agreed_delivery_date=date(2026, 1, 28),
)


def due(transaction: int, amount: str, currency: int, day: date, kind: int = RECEIPT, **given: Any) -> Row:
    """A payment; the customer or supplier is Leannon where dollars are paid, else Fahey."""
    return {
        "transaction_id": transaction,
        "counterparty_id": LEANNON if currency == USD else FAHEY,
        "payment_amount": Decimal(amount),
        "currency_id": currency,
        "payment_type_id": kind,
        "paid": False,
        "payment_date": day,
        **given,
    }


SALE, BUY, PAY = FactSalesOrder, FactPurchaseOrder, FactPayment
EVENTS: tuple[Event, ...] = (
    ("2026-01-05 09:00:00", SALE, 1, SOLD_ONE),
    ("2026-01-05 09:00:00", PAY, 1, due(1, "2500.00", GBP, date(2026, 1, 9))),  # a Friday
    ("2026-01-06 08:00:00", BUY, 1, BOUGHT_ONE),
    ("2026-01-06 08:00:00", PAY, 5, due(5, "400.00", USD, date(2026, 1, 18), PURCHASE)),  # a Sunday
    ("2026-01-07 08:00:00", BUY, 1, {"item_code": "ABC1234", "agreed_delivery_date": date(2026, 1, 10)}),
    ("2026-01-08 09:00:00", SALE, 1, {"design_id": BRONZE_B, "agreed_delivery_date": date(2026, 1, 14)}),
    ("2026-01-09 07:55:11", PAY, 1, {"paid": True}),
    ("2026-01-11 09:00:00", SALE, 2, SOLD_TWO),
    ("2026-01-11 09:00:00", PAY, 2, due(2, "6000.00", USD, date(2026, 1, 17))),  # a Saturday
    ("2026-01-12 10:00:00", SALE, 3, SOLD_THREE),
    ("2026-01-12 10:00:00", PAY, 3, due(3, "3000.00", GBP, date(2026, 1, 16))),  # a Friday that the job missed
    ("2026-01-13 10:00:00", SALE, 2, {"last_updated_date": date(2026, 1, 13)}),
    ("2026-01-14 10:00:00", SALE, 3, {"agreed_delivery_date": date(2026, 1, 21)}),
    ("2026-01-15 16:00:00", SALE, 3, {"agreed_delivery_date": date(2026, 1, 19)}),
    ("2026-01-20 08:00:00", BUY, 2, BOUGHT_TWO),
    ("2026-01-20 08:00:00", PAY, 6, due(6, "600.00", USD, date(2026, 1, 24), PURCHASE)),  # a Saturday
    ("2026-01-20 21:00:00", SALE, 1, {"sales_staff_id": ADA}),
    ("2026-01-21 08:00:00", BUY, 3, BOUGHT_THREE),
    ("2026-01-21 08:00:00", PAY, 7, due(7, "999.90", GBP, date(2026, 1, 26), PURCHASE)),  # a Monday
    ("2026-01-22 08:00:00", BUY, 4, BOUGHT_THREE),
    ("2026-01-23 08:00:00", BUY, 4, None),
    ("2026-01-26 12:00:00", PAY, 6, {"paid": True}),  # by hand
    ("2026-02-01 08:00:00", PAY, 7, None),
    ("2026-02-02 08:00:00", SALE, 4, SOLD_FOUR),
    ("2026-02-02 08:00:00", PAY, 4, due(4, "6300.00", GBP, date(2026, 2, 11))),  # a Wednesday
    ("2026-02-03 08:00:00", SALE, 5, SOLD_FIVE),
    ("2026-02-04 08:00:00", SALE, 6, SOLD_SIX),
    ("2026-02-04 08:00:00", PAY, 8, due(8, "2700.00", EUR, date(2026, 2, 14))),  # a Saturday to come
    ("2026-02-05 08:00:00", SALE, 6, None),
    ("2026-02-06 20:00:00", SALE, 6, {"agreed_delivery_date": date(2026, 2, 11)}),
    ("2026-02-10 08:00:00", SALE, 5, None),
)
NOW = datetime(2026, 2, 11, 12, tzinfo=UTC)
"""After all of it."""

KNOWN_FRESHNESS = """
DELETE FROM _load_batch;
DELETE FROM _complete;
DELETE FROM _feed WHERE feed NOT IN ('sales_order', 'payment');
UPDATE _feed SET last_loaded = '2026-02-11 11:59:59Z', rows_loaded = 42, quarantined = 1;
INSERT INTO _complete (feed, page, as_of, proven_at)
VALUES ('sales_order', 3, '2026-02-11 11:59:57.5Z', '2026-02-11 11:59:59Z');
INSERT INTO _load_batch (id, change_batch, feed, star_table, operation, origin, generation, revision, contract, page,
                         since, as_of, rows, quarantined, object_key, loaded_at)
SELECT 'b' || ms, 'c' || ms, 'sales_order', 'fact_sales_order', 'changed', 'poll', 1, ms, 1, ms, '2026-02-11 11:00:00Z',
       '2026-02-11 11:00:00Z', 1, 0, 'k', timestamptz '2026-02-11 11:00:00Z' + ms * interval '1 ms'
  FROM unnest(ARRAY[100, 200, 300]) ms
"""


def open_shop(star: Star) -> None:
    """Load all of it, as the loader does, and then set the books to known figures."""
    warehouse = star.warehouse()
    for table, rows in _dimensions():
        load_all(warehouse, changed(table, rows, at(1, 1), as_of=NOW))
    rows: dict[tuple[type[StarRow], int], dict[str, Any]] = {}
    for revision, (text, table, key, difference) in enumerate(EVENTS, 2):
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        if difference is None:
            made = deleted(table, [key], at(1, revision), as_of=moment)
        else:
            row = rows.setdefault((table, key), _made_at(moment, table, key))
            row.update(difference)
            made = changed(table, [row], at(1, revision), as_of=moment)
        load_all(warehouse, made)
    star.rows(KNOWN_FRESHNESS)


def _made_at(moment: datetime, table: type[StarRow], key: int) -> dict[str, Any]:
    day, clock = moment.date(), time(moment.hour, moment.minute, moment.second)
    times = {f"{what}_date": day for what in ("created", "last_updated")}
    return {table.key: key, **times, "created_time": clock, "last_updated_time": clock}


def _dimensions() -> list[tuple[type[StarRow], list[dict[str, Any]]]]:
    places = ((LEEDS, "1 High Street", "Leeds", "United Kingdom"), (OSLO, "9 Harbour Road", "Oslo", "Norway"))
    place = ("location_id", "address_line_1", "city", "country")
    address = {f"counterparty_legal_{name}": value for name, value in _ADDRESS.items()}
    parties = ("counterparty_id", "counterparty_legal_name", "counterparty_legal_country")
    return [
        (DimStaff, [_row(_STAFF, one, location="Leds", email_address="x@example.com") for one in STAFF]),
        (DimLocation, [{**LOCATION, **_row(place, one)} for one in places]),
        (DimCurrency, [_row(_CURRENCY, one) for one in ((GBP, "GBP", ""), (USD, "USD", ""), (EUR, "EUR", ""))]),
        (DimDesign, [_row(("design_id", "design_name", "file_location", "file_name"), one) for one in DESIGNS]),
        (DimCounterparty, [{**address, **_row(parties, one)} for one in COUNTERPARTIES]),
        (DimPaymentType, [_row(_KIND, one) for one in ((RECEIPT, "SALES_RECEIPT"), (PURCHASE, "PURCHASE_PAYMENT"))]),
        (DimTransaction, [_row(_TRANSACTION, one) for one in TRANSACTIONS]),
    ]


_STAFF = ("staff_id", "first_name", "last_name", "department_name")
_CURRENCY = ("currency_id", "currency_code", "currency_name")
_KIND = ("payment_type_id", "payment_type_name")
_TRANSACTION = ("transaction_id", "transaction_type", "sales_order_id", "purchase_order_id")
_ADDRESS = {
    "address_line_1": "1 Long Road",
    "address_line_2": None,
    "district": None,
    "city": "Anywhere",
    "postal_code": "01234",
    "phone_number": "0730 783349",
}


def _row(names: tuple[str, ...], values: tuple[Any, ...], **more: Any) -> dict[str, Any]:
    return {**dict(zip(names, values, strict=True)), **more}
