"""What happens in the source, and what the dashboards must then show: SQL on totesys, written by hand.

Nothing here reads the warehouse. What history shows and the source has forgotten is what these changes did.
"""

from dataclasses import dataclass

from pg8000.native import Connection

CURRENCY = "GBP"
"""What the dashboards' filter says until somebody chooses another."""
SILENT = (
    "UPDATE sales_order SET agreed_delivery_date = '2031-01-02' WHERE sales_order_id % 40 = 7",
    "UPDATE sales_order SET staff_id = 1 + staff_id % 20 WHERE sales_order_id % 50 = 9",
    "UPDATE purchase_order SET item_code = 'TOTEBAG' WHERE purchase_order_id % 30 = 4",
)
"""As the real source does: last_updated does not move."""
DELETED = "sales_order_id % 90 = 11"


@dataclass(frozen=True)
class Changed:
    """How many orders in CURRENCY were changed after their creation, and how many are gone."""

    changed: int
    deleted: int


def change(source: Connection) -> Changed:
    """Change orders and delete some, with what hangs on them. No order is met twice."""
    before = _contents(source)
    for statement in SILENT:
        source.run(statement)
    after = _contents(source)
    gone = source.run(f"SELECT sales_order_id FROM sales_order WHERE {DELETED}")
    mine = _one(
        source,
        f"SELECT count(*) FROM sales_order JOIN currency USING (currency_id) WHERE currency_code = :code AND {DELETED}",
    )
    for [order] in gone or []:
        its = "transaction_id IN (SELECT transaction_id FROM transaction WHERE sales_order_id = :o)"
        source.run(f"DELETE FROM payment WHERE {its}", o=order)
        source.run("DELETE FROM transaction WHERE sales_order_id = :o", o=order)
        source.run("DELETE FROM sales_order WHERE sales_order_id = :o", o=order)
    return Changed(changed=sum(before[key] != after[key] for key in before), deleted=mine)


def _contents(source: Connection) -> dict[tuple[str, int], str]:
    """Every order in CURRENCY as text."""
    rows = []
    for kind in ("sales_order", "purchase_order"):
        sql = f"SELECT '{kind}', {kind}_id, t::text FROM {kind} t JOIN currency USING (currency_id)"
        rows += source.run(f"{sql} WHERE currency_code = :code", code=CURRENCY) or []
    return {(kind, key): text for kind, key, text in rows}


def sell(source: Connection) -> None:
    """One more sales order in CURRENCY, of 12,345 bags at 2.50, today."""
    source.run(
        "INSERT INTO sales_order (design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id,"
        " agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)"
        " SELECT 1, 1, 1, 12345, 2.50, currency_id, '2031-01-02', '2031-01-02', 1"
        " FROM currency WHERE currency_code = :code",
        code=CURRENCY,
    )


MONEY, WHOLE, TENTH = "{:,.2f}", "{:,.0f}", "{:,.1f}"
_SALES = "FROM sales_order JOIN currency USING (currency_id) WHERE currency_code = :code"
_PURCHASES = "FROM purchase_order JOIN currency USING (currency_id) WHERE currency_code = :code"
_PAYMENTS = (
    "SELECT coalesce(sum(p.payment_amount), 0) FROM payment p"
    " JOIN currency c ON c.currency_id = p.currency_id JOIN payment_type t ON t.payment_type_id = p.payment_type_id"
    " WHERE c.currency_code = :code AND t.payment_type_name = '{kind}' AND "
)
_STATUS = {
    "paid": "p.paid",
    "never": "NOT p.paid AND extract(isodow FROM p.payment_date::date) > 5",
    "overdue": "NOT p.paid AND extract(isodow FROM p.payment_date::date) < 6 AND p.payment_date::date < current_date",
    "due": "NOT p.paid AND extract(isodow FROM p.payment_date::date) < 6 AND p.payment_date::date >= current_date",
}


def _payments(kind: str, status: str) -> str:
    return _PAYMENTS.format(kind=kind) + _STATUS[status]


HEADLINES = {
    "sales": {
        "Revenue": (MONEY, f"SELECT sum(units_sold * unit_price) {_SALES}"),
        "Sales orders": (WHOLE, f"SELECT count(*) {_SALES}"),
        "Units sold": (WHOLE, f"SELECT sum(units_sold) {_SALES}"),
        "Days to delivery": (TENTH, f"SELECT avg(agreed_delivery_date::date - sales_order.created_at::date) {_SALES}"),
    },
    "purchases": {
        "Spend": (MONEY, f"SELECT sum(item_quantity * item_unit_price) {_PURCHASES}"),
        "Purchase orders": (WHOLE, f"SELECT count(*) {_PURCHASES}"),
        "Items bought": (WHOLE, f"SELECT sum(item_quantity) {_PURCHASES}"),
        "Days to delivery": (
            TENTH,
            f"SELECT avg(agreed_delivery_date::date - purchase_order.created_at::date) {_PURCHASES}",
        ),
    },
    "payments": {
        "Received": (MONEY, _payments("SALES_RECEIPT", "paid")),
        "To receive, due": (MONEY, _payments("SALES_RECEIPT", "due")),
        "To receive, overdue": (MONEY, _payments("SALES_RECEIPT", "overdue")),
        "To receive, never": (MONEY, _payments("SALES_RECEIPT", "never")),
        "Paid out": (MONEY, _payments("PURCHASE_PAYMENT", "paid")),
        "To pay, due": (MONEY, _payments("PURCHASE_PAYMENT", "due")),
        "To pay, overdue": (MONEY, _payments("PURCHASE_PAYMENT", "overdue")),
        "To pay, never": (MONEY, _payments("PURCHASE_PAYMENT", "never")),
        "Open payments, all currencies": (WHOLE, "SELECT count(*) FROM payment WHERE NOT paid AND :code <> ''"),
    },
}
"""Dashboard -> title of a headline figure -> how it is written, and what it must be."""
CURRENCIES = {
    "sales": "SELECT currency_code, count(*), sum(units_sold), sum(units_sold * unit_price)"
    " FROM sales_order JOIN currency USING (currency_id) GROUP BY 1",
    "purchases": "SELECT currency_code, count(*), sum(item_quantity), sum(item_quantity * item_unit_price)"
    " FROM purchase_order JOIN currency USING (currency_id) GROUP BY 1",
}
"""Dashboard -> the rows of its table of currencies."""


def expected(source: Connection, slug: str) -> dict[str, str]:
    """Title -> figure, as they must be on that dashboard now."""
    return {title: form.format(_one(source, sql)) for title, (form, sql) in HEADLINES.get(slug, {}).items()}


def expected_currencies(source: Connection, slug: str) -> set[tuple[str, ...]]:
    """The rows of the table of currencies."""
    return {
        (code, WHOLE.format(orders), WHOLE.format(pieces), MONEY.format(money))
        for code, orders, pieces, money in source.run(CURRENCIES[slug]) or []
    }


def orders_in(source: Connection) -> int:
    """Orders of both kinds in CURRENCY that the source holds."""
    return sum(int(_one(source, f"SELECT count(*) {each}")) for each in (_SALES, _PURCHASES))


def _one(source: Connection, sql: str) -> object:
    named = {"code": CURRENCY} if ":code" in sql else {}
    [[value]] = source.run(sql, **named) or [[None]]
    return value
