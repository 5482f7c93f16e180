"""What the warehouse must hold, computed by SQL straight from the source tables; shares no code with the pipeline.

Each star table is a pair of SELECTs that give the same text for the same truth: one on the source, one on the
warehouse. Money is compared without trailing zeros, times to the microsecond.
"""

from pg8000.native import Connection, identifier

CURRENCY_NAMES = {"GBP": "Pound Sterling", "USD": "US Dollar", "EUR": "Euro"}
"""ISO 4217."""

_NAMES = " ".join(f"WHEN '{code}' THEN '{name}'" for code, name in CURRENCY_NAMES.items())
_TIMES = "created_at::date, created_at::time, last_updated::date, last_updated::time"  # as the facts split them

SOURCE = {
    "dim_staff": "SELECT staff_id, first_name, last_name, department_name, coalesce(location, 'Unknown'), email_address "
    "FROM staff JOIN department USING (department_id)",
    "dim_location": "SELECT address_id, address_line_1, address_line_2, district, city, postal_code, country, phone "
    "FROM address",
    "dim_currency": f"SELECT currency_id, currency_code, CASE currency_code {_NAMES} END FROM currency",
    "dim_design": "SELECT design_id, design_name, file_location, file_name FROM design",
    "dim_counterparty": "SELECT counterparty_id, counterparty_legal_name, address_line_1, address_line_2, district, city, "
    "postal_code, country, phone FROM counterparty JOIN address ON address_id = legal_address_id",
    "dim_payment_type": "SELECT payment_type_id, payment_type_name FROM payment_type",
    "dim_transaction": 'SELECT transaction_id, transaction_type, sales_order_id, purchase_order_id FROM "transaction"',
    "fact_sales_order": f"SELECT sales_order_id, {_TIMES}, staff_id, counterparty_id, units_sold, trim_scale(unit_price), "
    "currency_id, design_id, agreed_payment_date::date, agreed_delivery_date::date, agreed_delivery_location_id "
    "FROM sales_order",
    "fact_purchase_order": f"SELECT purchase_order_id, {_TIMES}, staff_id, counterparty_id, item_code, item_quantity, "
    "trim_scale(item_unit_price), currency_id, agreed_delivery_date::date, agreed_payment_date::date, "
    "agreed_delivery_location_id FROM purchase_order",
    "fact_payment": f"SELECT payment_id, {_TIMES}, transaction_id, counterparty_id, trim_scale(payment_amount), "
    "currency_id, payment_type_id, paid, payment_date::date FROM payment",
}

WAREHOUSE = {
    "dim_staff": "SELECT staff_id, first_name, last_name, department_name, location, email_address FROM dim_staff",
    "dim_location": "SELECT location_id, address_line_1, address_line_2, district, city, postal_code, country, phone "
    "FROM dim_location",
    "dim_currency": "SELECT currency_id, currency_code, currency_name FROM dim_currency",
    "dim_design": "SELECT design_id, design_name, file_location, file_name FROM dim_design",
    "dim_counterparty": "SELECT counterparty_id, counterparty_legal_name, counterparty_legal_address_line_1, "
    "counterparty_legal_address_line_2, counterparty_legal_district, counterparty_legal_city, "
    "counterparty_legal_postal_code, counterparty_legal_country, counterparty_legal_phone_number FROM dim_counterparty",
    "dim_payment_type": "SELECT payment_type_id, payment_type_name FROM dim_payment_type",
    "dim_transaction": "SELECT transaction_id, transaction_type, sales_order_id, purchase_order_id FROM dim_transaction",
    "fact_sales_order": "SELECT sales_order_id, created_date, created_time, last_updated_date, last_updated_time, "
    "sales_staff_id, counterparty_id, units_sold, trim_scale(unit_price), currency_id, design_id, agreed_payment_date, "
    "agreed_delivery_date, agreed_delivery_location_id FROM {rows}",
    "fact_purchase_order": "SELECT purchase_order_id, created_date, created_time, last_updated_date, last_updated_time, "
    "staff_id, counterparty_id, item_code, item_quantity, trim_scale(item_unit_price), currency_id, "
    "agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id FROM {rows}",
    "fact_payment": "SELECT payment_id, created_date, created_time, last_updated_date, last_updated_time, "
    "transaction_id, counterparty_id, trim_scale(payment_amount), currency_id, payment_type_id, paid, payment_date "
    "FROM {rows}",
}
WAREHOUSE["dim_date"] = "SELECT date_id, year, month, day, day_of_week, day_name, month_name, quarter FROM dim_date"
VIEWS = {
    "fact_sales_order": "current_sales_order",
    "fact_purchase_order": "current_purchase_order",
    "fact_payment": "current_payment",
}

DATES = (
    "SELECT d, extract(year FROM d)::int, extract(month FROM d)::int, extract(day FROM d)::int, "
    "extract(isodow FROM d)::int, trim(to_char(d, 'Day')), trim(to_char(d, 'Month')), extract(quarter FROM d)::int "
    "FROM (SELECT created_at::date FROM sales_order UNION SELECT last_updated::date FROM sales_order "
    "UNION SELECT agreed_payment_date::date FROM sales_order UNION SELECT agreed_delivery_date::date FROM sales_order "
    "UNION SELECT created_at::date FROM purchase_order UNION SELECT last_updated::date FROM purchase_order "
    "UNION SELECT agreed_payment_date::date FROM purchase_order UNION SELECT agreed_delivery_date::date FROM purchase_order "
    "UNION SELECT created_at::date FROM payment UNION SELECT last_updated::date FROM payment "
    "UNION SELECT payment_date::date FROM payment) AS needed (d)"
)

Row = tuple[str, ...]


def expected(source: Connection, table: str) -> list[Row]:
    """The rows a star table must hold, as text, in order."""
    return _rows(source, _wanted(table))


def found(warehouse: Connection, schema: str, table: str, *, versions: bool = False) -> list[Row]:
    """The rows it holds: of a fact the current ones, or all versions."""
    warehouse.run(f"SET search_path = {identifier(schema)}")
    return _rows(warehouse, _held(table, versions=versions))


def versions(warehouse: Connection, schema: str, fact: str) -> list[tuple[int, str]]:
    """Of every version its key and its text: less to fetch than `found`, where there are many."""
    warehouse.run(f"SET search_path = {identifier(schema)}")
    key = identifier(f"{fact.removeprefix('fact_')}_id")
    return [
        (key, text) for key, text in warehouse.run(f"SELECT x.{key}, x::text FROM ({_held(fact, versions=True)}) x")
    ]


def agrees(source: Connection, warehouse: Connection, schema: str, table: str) -> bool:
    """Whether both are equal, by a digest that each server computes."""
    warehouse.run(f"SET search_path = {identifier(schema)}")
    found = warehouse.run(_DIGEST.format(select=_held(table)))
    return bool(source.run(_DIGEST.format(select=_wanted(table))) == found)


def _wanted(table: str) -> str:
    return DATES if table == "dim_date" else SOURCE[table]


def _held(table: str, *, versions: bool = False) -> str:
    return WAREHOUSE[table].format(rows=table if versions else VIEWS.get(table, table))


def _rows(connection: Connection, select: str) -> list[Row]:
    return sorted(tuple(row[0]) for row in connection.run(_LINES.format(select=select)))


_LINES = (
    "SELECT (SELECT array_agg(coalesce(value, '<null>')) FROM json_each_text(row_to_json(x))) AS line "
    "FROM ({select}) AS x"
)
"""Each row as an array of texts; row_to_json renders dates, times and numerics the same on every version."""
_DIGEST = 'SELECT count(*), md5(string_agg(x::text, chr(10) ORDER BY x::text COLLATE "C")) FROM ({select}) AS x'
"""Of each row as a record's text, a tenth of what an array costs: both sides have the same types in the same order."""
