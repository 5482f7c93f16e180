"""Real totesys rows, read from beside the checkout where they are provided; tests on them skip elsewhere."""

import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from pg8000.native import Connection, identifier

FOLDER = Path(os.environ.get("TOTES_REAL_ROWS", Path(__file__).parents[3] / "shared" / "data"))
needed = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="real totesys rows are not beside this checkout (TOTES_REAL_ROWS)"
)

PARENTS_FIRST = (
    "currency",
    "payment_type",
    "department",
    "staff",
    "address",
    "counterparty",
    "design",
    "sales_order",
    "purchase_order",
    "transaction",
    "payment",
)
SALES_RECEIPT, PURCHASE_PAYMENT = 1, 3
Rows = Sequence[Mapping[str, Any]]


def dump() -> dict[str, Rows]:
    """Ten tables as of May 2024, and the payments that follow from them; orders lack a few transactions."""
    names = [name for name in PARENTS_FIRST if name != "payment"]
    tables: dict[str, Rows] = {name: _read(FOLDER / "2024-05" / f"{name}.json.gz") for name in names}
    orders = {("SALE", row["sales_order_id"]): row for row in tables["sales_order"]}
    orders |= {("PURCHASE", row["purchase_order_id"]): row for row in tables["purchase_order"]}
    tables["payment"] = [_payment(row, orders[_order_of(row)]) for row in tables["transaction"]]
    return tables


def increments() -> Iterator[tuple[str, list[tuple[str, Rows]]]]:
    """The extracts of August 2024 in their order: moment, and (table, rows) parents first."""
    files = sorted((FOLDER / "increments").glob("*.json.gz"), key=_moment)
    for moment, group in groupby(files, key=_moment):
        extracts = [entry for path in group for entry in _read(path).items()]
        yield moment, sorted(extracts, key=lambda entry: PARENTS_FIRST.index(entry[0]))


def missing_parents(increment_rows: dict[str, Rows]) -> dict[str, Rows]:
    """What the increments refer to and neither they nor the dump hold: derived, so that foreign keys hold.

    An order of one unit at the payment's amount keeps the rule amount = units x price.
    """
    present = {name: {row[f"{name}_id"] for row in rows} for name, rows in increment_rows.items()}
    known = {name: {row[f"{name}_id"] for row in rows} for name, rows in dump().items()}
    orphans = {
        row["transaction_id"]: row
        for row in increment_rows["payment"]
        if row["transaction_id"] not in present["transaction"] | known["transaction"]
    }
    transactions = [_derived_transaction(row) for row in orphans.values()]
    by_transaction = {row["transaction_id"]: row for row in transactions}
    sales = [_derived_sale(row) for key, row in orphans.items() if by_transaction[key]["sales_order_id"]]
    purchases = [_derived_purchase(row) for key, row in orphans.items() if by_transaction[key]["purchase_order_id"]]
    sales_ids = known["sales_order"] | present["sales_order"]
    for row in increment_rows["transaction"]:
        if row["sales_order_id"] and row["sales_order_id"] not in sales_ids:
            sales.append(_derived_order_of(row, "sales_order"))
        known_purchases = known["purchase_order"] | present["purchase_order"]
        if row["purchase_order_id"] and row["purchase_order_id"] not in known_purchases:
            purchases.append(_derived_order_of(row, "purchase_order"))
    designs = {row["design_id"] for row in increment_rows["sales_order"]} - known["design"] - present["design"]
    return {
        "design": [_derived_design(key) for key in sorted(designs)],
        "sales_order": sales,
        "purchase_order": purchases,
        "transaction": transactions,
    }


def unpaid_first_versions(increment_rows: dict[str, Rows]) -> Rows:
    """Payments that the increments show only as paid, as they were before the job."""
    unpaid = {row["payment_id"] for row in increment_rows["payment"] if not row["paid"]}
    paid = [row for row in increment_rows["payment"] if row["paid"] and row["payment_id"] not in unpaid]
    return [{**row, "paid": False, "last_updated": row["created_at"]} for row in paid]


def upsert(connection: Connection, table: str, rows: Rows) -> None:
    """Write rows as the application would: the last one of a key wins."""
    columns = list(rows[0])
    names = ", ".join(identifier(name) for name in columns)
    changed = ", ".join(f"{identifier(name)} = EXCLUDED.{identifier(name)}" for name in columns)
    connection.run(
        f"INSERT INTO {identifier(table)} ({names}) "
        f"SELECT {names} FROM json_populate_recordset(NULL::{identifier(table)}, CAST(:rows AS json)) "
        f"ON CONFLICT ({identifier(table + '_id')}) DO UPDATE SET {changed}",
        rows=json.dumps(list(rows), default=str),
    )


def _read(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal)


def _moment(path: Path) -> str:
    return path.name.removesuffix(".json.gz")[-len("2024_08_16_17-09") :]


def _order_of(transaction: Mapping[str, Any]) -> tuple[str, int]:
    kind = transaction["transaction_type"]
    return kind, transaction["sales_order_id" if kind == "SALE" else "purchase_order_id"]


def _payment(transaction: Mapping[str, Any], order: Mapping[str, Any]) -> dict[str, Any]:
    sale = transaction["transaction_type"] == "SALE"
    units, price = ("units_sold", "unit_price") if sale else ("item_quantity", "item_unit_price")
    return {
        "payment_id": transaction["transaction_id"],
        "created_at": transaction["created_at"],
        "last_updated": transaction["last_updated"],
        "transaction_id": transaction["transaction_id"],
        "counterparty_id": order["counterparty_id"],
        "payment_amount": order[units] * Decimal(order[price]),
        "currency_id": order["currency_id"],
        "payment_type_id": SALES_RECEIPT if sale else PURCHASE_PAYMENT,
        "paid": False,
        "payment_date": order["agreed_payment_date"],
        "company_ac_number": 10_000_000 + transaction["transaction_id"],
        "counterparty_ac_number": 20_000_000 + transaction["transaction_id"],
    }


def _derived_transaction(payment: Mapping[str, Any]) -> dict[str, Any]:
    sale = payment["payment_type_id"] == SALES_RECEIPT
    order = 1_000_000 + payment["transaction_id"]
    return {
        "transaction_id": payment["transaction_id"],
        "transaction_type": "SALE" if sale else "PURCHASE",
        "sales_order_id": order if sale else None,
        "purchase_order_id": None if sale else order,
        "created_at": payment["created_at"],
        "last_updated": payment["created_at"],
    }


def _derived_sale(payment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sales_order_id": 1_000_000 + payment["transaction_id"],
        "created_at": payment["created_at"],
        "last_updated": payment["created_at"],
        "design_id": 8,
        "staff_id": 1,
        "counterparty_id": payment["counterparty_id"],
        "units_sold": 1,
        "unit_price": payment["payment_amount"],
        "currency_id": payment["currency_id"],
        "agreed_delivery_date": payment["payment_date"],
        "agreed_payment_date": payment["payment_date"],
        "agreed_delivery_location_id": 1,
    }


def _derived_purchase(payment: Mapping[str, Any]) -> dict[str, Any]:
    sale = _derived_sale(payment)
    kept = {
        name: sale[name] for name in sale if name not in ("sales_order_id", "design_id", "units_sold", "unit_price")
    }
    return {
        "purchase_order_id": sale["sales_order_id"],
        "item_code": "DERIVED",
        "item_quantity": 1,
        "item_unit_price": payment["payment_amount"],
        **kept,
    }


def _derived_order_of(transaction: Mapping[str, Any], table: str) -> dict[str, Any]:
    payment = {
        **transaction,
        "transaction_id": 0,
        "counterparty_id": 1,
        "payment_amount": Decimal("2.50"),
        "currency_id": 1,
        "payment_date": transaction["created_at"][:10],
    }
    derived = _derived_sale(payment) if table == "sales_order" else _derived_purchase(payment)
    return {**derived, f"{table}_id": transaction[f"{table}_id"]}


def _derived_design(key: int) -> dict[str, Any]:
    moment = "2024-06-01 09:00:00"
    return {
        "design_id": key,
        "created_at": moment,
        "design_name": "Derived",
        "file_location": "/usr",
        "file_name": f"derived-{key}.json",
        "last_updated": moment,
    }
