"""The simulator's SQL: the files beside this module, and what is derived from the table of feeds.

Invariant: no statement ever waits for a row that another open transaction of the simulator holds (rows are taken with
SKIP LOCKED, parents are only ever locked FOR KEY SHARE), so one thread may keep many transactions open.
"""

from functools import cache
from pathlib import Path

from contracts.feeds import FEEDS
from shared.postgres import identifier

PARENTS = {
    "design_id": "design",
    "staff_id": "staff",
    "department_id": "department",
    "legal_address_id": "address",
    "agreed_delivery_location_id": "address",
}
"""Columns that an update fills with the key of another table's row."""


@cache
def from_file(name: str) -> str:
    """The text of a .sql file beside this module."""
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")


@cache
def key_at(table: str, parameter: str) -> str:
    """An expression: the first key of a table at or after the place (0 to 1) that the parameter holds."""
    key = identifier(FEEDS[table].key)
    return f"(SELECT {key} FROM {identifier(table)} WHERE {_from_place(table, parameter)} ORDER BY {key} LIMIT 1)"


@cache
def update(table: str, column: str, *, silent: bool) -> str:
    """Change one column of the first free row at or after :place whose value differs from :value; its key."""
    key, name = identifier(FEEDS[table].key), identifier(column)
    value = key_at(PARENTS[column], "value") if column in PARENTS else "CAST(:value AS varchar)"
    moved = "" if silent else ", last_updated = current_timestamp"
    return (
        f"UPDATE {identifier(table)} SET {name} = {value}{moved} WHERE {key} = ("
        f"SELECT {key} FROM {identifier(table)}"
        f" WHERE {_from_place(table, 'place')} AND {name} IS DISTINCT FROM {value}"
        f" ORDER BY {key} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"
        f") RETURNING {key}"
    )


@cache
def new_order(*, sale: bool) -> str:
    """Insert an order with its transaction and its payment; their three keys."""
    columns = _SALES_COLUMNS if sale else _PURCHASE_COLUMNS
    order, kind, paid_as = _ORDER[sale]
    key = identifier(f"{order}_id")
    return f"""
WITH placed AS (
    INSERT INTO {identifier(order)} ({", ".join(map(identifier, columns))})
    VALUES ({", ".join(columns.values())})
    RETURNING {key}, counterparty_id, currency_id, agreed_payment_date
), traded AS (
    INSERT INTO transaction (transaction_type, {key}) SELECT '{kind}', {key} FROM placed
    RETURNING transaction_id
), billed AS (
    INSERT INTO payment (transaction_id, counterparty_id, payment_amount, currency_id, payment_type_id, paid,
                         payment_date, company_ac_number, counterparty_ac_number)
    SELECT transaction_id, counterparty_id, CAST(:amount AS numeric), currency_id,
           (SELECT payment_type_id FROM payment_type WHERE payment_type_name = '{paid_as}'), false,
           agreed_payment_date, CAST(:company_ac_number AS int), CAST(:counterparty_ac_number AS int)
    FROM placed, traded
    RETURNING payment_id
)
SELECT {key}, transaction_id, payment_id FROM placed, traded, billed"""


@cache
def lock_order(*, sale: bool) -> str:
    """Take the first free order at or after :place among the payments, whole; its three keys, or no row."""
    order = identifier(_ORDER[sale][0])
    key = identifier(f"{_ORDER[sale][0]}_id")
    return (
        f"SELECT {order}.{key}, transaction_id, payment_id FROM payment"
        f" JOIN transaction USING (transaction_id) JOIN {order} USING ({key})"
        f" WHERE {_from_place('payment', 'place')}"
        " ORDER BY payment_id LIMIT 1 FOR UPDATE SKIP LOCKED"
    )


@cache
def delete(table: str) -> str:
    """Delete the row with the key :key."""
    return f"DELETE FROM {identifier(table)} WHERE {identifier(FEEDS[table].key)} = :key"


@cache
def is_empty() -> str:
    """Whether no table holds a row."""
    return "SELECT NOT (" + " OR ".join(f"EXISTS (SELECT FROM {identifier(table)})" for table in FEEDS) + ")"


@cache
def copy_rows(table: str, columns: tuple[str, ...]) -> str:
    """COPY text rows into a table."""
    return f"COPY {identifier(table)} ({', '.join(map(identifier, columns))}) FROM STDIN"


def drop_constraint(table: str, name: str) -> str:
    """Drop a constraint, to be made again in the same transaction."""
    return f"ALTER TABLE {identifier(table)} DROP CONSTRAINT {identifier(name)}"


def add_constraint(table: str, name: str, definition: str) -> str:
    """Make a constraint again from the definition that the server gave, and check it."""
    return f"ALTER TABLE {identifier(table)} ADD CONSTRAINT {identifier(name)} {definition}"


@cache
def move_sequence(table: str) -> str:
    """Let the serial go on after the highest key."""
    key = FEEDS[table].key
    return (
        f"SELECT setval(pg_get_serial_sequence(:table, :key), max({identifier(key)})) FROM {identifier(table)}"
        f" HAVING count(*) > 0"
    )


def _from_place(table: str, parameter: str) -> str:
    """A condition on the key that an index serves."""
    name, key = identifier(table), identifier(FEEDS[table].key)
    span = f"max({key}) - min({key}) + 1"
    return f"{key} >= (SELECT min({key}) + CAST(floor(CAST(:{parameter} AS float8) * ({span})) AS int) FROM {name})"


_ORDER = {True: ("sales_order", "SALE", "SALES_RECEIPT"), False: ("purchase_order", "PURCHASE", "PURCHASE_PAYMENT")}
_COMMON_COLUMNS = {
    "staff_id": key_at("staff", "staff_place"),
    "counterparty_id": key_at("counterparty", "counterparty_place"),
    "currency_id": key_at("currency", "currency_place"),
    "agreed_delivery_date": ":agreed_delivery_date",
    "agreed_payment_date": ":agreed_payment_date",
    "agreed_delivery_location_id": key_at("address", "address_place"),
}
_SALES_COLUMNS = {
    "design_id": key_at("design", "design_place"),
    "units_sold": ":quantity",
    "unit_price": ":price",
    **_COMMON_COLUMNS,
}
_PURCHASE_COLUMNS = {
    "item_code": ":item_code",
    "item_quantity": ":quantity",
    "item_unit_price": ":price",
    **_COMMON_COLUMNS,
}
