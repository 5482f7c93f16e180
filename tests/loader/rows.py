"""Load batches as the transform would make them, from plain Python values; and reads of what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count
from typing import Any

import numpy as np
import pandas as pd

from contracts.feeds import FEEDS
from contracts.messages import ROW_HASH, LoadBatch, LoadBatchData, ObjectRef, Operation, Origin, Position
from contracts.star import Column, StarRow
from services.loader.staging import Load
from shared import parquet
from shared.objects import sha256
from shared.parquet import Array

EPOCH = date(1970, 1, 1)
AS_OF = datetime(2026, 11, 23, 12, 0, 0, 250000, tzinfo=UTC)
_pages = count()

SALE: dict[str, Any] = {
    "sales_order_id": 1,
    "created_date": date(2026, 11, 20),
    "created_time": time(9, 30, 0, 123000),
    "last_updated_date": date(2026, 11, 20),
    "last_updated_time": time(9, 30),
    "sales_staff_id": 7,
    "counterparty_id": 8,
    "units_sold": 1000,
    "unit_price": Decimal("2.50"),
    "currency_id": 2,
    "design_id": 3,
    "agreed_payment_date": date(2026, 11, 25),
    "agreed_delivery_date": date(2026, 11, 27),
    "agreed_delivery_location_id": 4,
}
STAFF: dict[str, Any] = {
    "staff_id": 7,
    "first_name": "Irving",
    "last_name": "O'Keefe",
    "department_name": "Sales",
    "location": "Leds",
    "email_address": "irving.o'keefe@terrifictotes.com",
}
LOCATION: dict[str, Any] = {
    "location_id": 4,
    "address_line_1": "1 High Street",
    "address_line_2": None,
    "district": None,
    "city": "Leeds",
    "postal_code": "01234",
    "country": "Bouvet Island (Bouvetoya)",
    "phone": "0730 783349",
}
PAYMENT: dict[str, Any] = {
    "payment_id": 1,
    "created_date": date(2026, 11, 20),
    "created_time": time(9, 30, 0, 123000),
    "last_updated_date": date(2026, 11, 20),
    "last_updated_time": time(9, 30),
    "transaction_id": 5,
    "counterparty_id": 8,
    "payment_amount": Decimal("12345678901.05"),
    "currency_id": 2,
    "payment_type_id": 1,
    "paid": False,
    "payment_date": date(2026, 11, 25),
}


def at(generation: int, revision: int, contract: int = 1) -> Position:
    return Position(generation=generation, revision=revision, contract=contract)


def array(column: Column, values: Sequence[Any]) -> Array:
    """The array that the transform holds for a column of plain values."""
    if column.python is date:
        return np.array(values, "datetime64[D]")
    if column.python is time:
        micros = [((v.hour * 60 + v.minute) * 60 + v.second) * 1_000_000 + v.microsecond for v in values]
        return np.array(micros, "int64")
    if column.python is Decimal:
        return np.array([int(value * 100) for value in values], "int64")
    if column.python is int:
        return pd.array(values, "Int32") if column.nullable else np.array(values, "int32")
    return np.array(values, "bool" if column.python is bool else "object")


@dataclass(frozen=True)
class Made:
    """A load batch with its columns."""

    table: type[StarRow]
    batch: LoadBatch
    columns: Mapping[str, Array] = field(repr=False)

    @property
    def load(self) -> Load:
        return Load(self.batch, lambda: self.columns)

    @property
    def body(self) -> bytes:
        """The Parquet that the transform would store."""
        if self.batch.data.operation is Operation.DELETED:
            return parquet.write_keys(self.table, np.asarray(self.columns[self.table.key]))
        return parquet.write(self.table, self.columns)

    def stored(self) -> "Made":
        """The same with the digest and size that its Parquet really has; without it, no time is spent on Parquet."""
        body = self.body
        ref = self.batch.data.object.model_copy(update={"sha256": sha256(body), "bytes": len(body)})
        return replace(self, batch=LoadBatch.of(self.batch.data.model_copy(update={"object": ref})))


def changed(table: type[StarRow], rows: Sequence[Mapping[str, Any]], position: Position, **options: Any) -> Made:
    """A load batch of rows as they look at a position."""
    columns = {column.name: array(column, [row[column.name] for row in rows]) for column in table.columns()}
    columns[ROW_HASH] = np.array([hash(tuple(row.values())) for row in rows], "int64")
    return _made(table, Operation.CHANGED, columns, len(rows), position, **options)


def deleted(table: type[StarRow], keys: Sequence[int], position: Position, **options: Any) -> Made:
    """A load batch of keys that were gone at a position."""
    return _made(table, Operation.DELETED, {table.key: np.array(keys, "int32")}, len(keys), position, **options)


def again(made: Made, **changes: Any) -> Made:
    """The same rows at the same position in another batch, as a second reader would send them."""
    data = made.batch.data.model_copy(update={"page": next(_pages), **changes})
    data = data.model_copy(update={"change_batch": f"{data.feed}/p{data.page}"})
    return replace(made, batch=LoadBatch.of(data))


def _made(
    table: type[StarRow],
    operation: Operation,
    columns: Mapping[str, Array],
    rows: int,
    position: Position,
    *,
    as_of: datetime = AS_OF,
    since: datetime | None = None,
    origin: Origin = Origin.POLL,
    time_zone: str = "UTC",
    quarantined: int = 0,
) -> Made:
    page = next(_pages)
    feed = next(feed.name for feed in FEEDS.values() if feed.star is table)
    key = f"{table.table}/date={as_of:%Y-%m-%d}/{page}.parquet"
    data = LoadBatchData(
        feed=feed,
        operation=operation,
        origin=origin,
        position=position,
        page=page,
        since=since,
        as_of=as_of,
        time_zone=time_zone,
        object=ObjectRef(bucket="processed", key=key, sha256="0" * 64, bytes=0, rows=rows),
        change_batch=f"{feed}/p{page}",
        star_table=table.table,
        quarantined=quarantined,
    )
    return Made(table, LoadBatch.of(data), columns)
