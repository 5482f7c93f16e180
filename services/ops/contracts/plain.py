"""Star rows as a person reads them: JSON, one row a line, with dates, times and money as text. Pure.

Invariant: different rows never look alike, whether they come from a Parquet file or from the warehouse.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np

from contracts.messages import ROW_HASH
from contracts.star import Column, StarRow
from shared.parquet import Array

PlainRow = Mapping[str, Any]


def star_rows(table: type[StarRow], columns: Mapping[str, Array]) -> list[PlainRow]:
    """The rows that `shared.parquet.read` gave, with their row hashes."""
    plain = {column.name: _plain(column, columns[column.name]) for column in table.columns()}
    return _rows({**plain, ROW_HASH: columns[ROW_HASH].tolist()})


def keys(table: type[StarRow], found: Array) -> list[PlainRow]:
    """The keys of deleted rows."""
    return _rows({table.key: found.tolist()})


def value(found: Any) -> Any:
    """A value that the warehouse gave."""
    if isinstance(found, Decimal):
        return f"{found:.2f}"
    if isinstance(found, time):
        return found.isoformat("microseconds")
    return found.isoformat() if isinstance(found, date) else found


def written(rows: Iterable[PlainRow]) -> bytes:
    """As a file holds them."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def read(body: bytes) -> list[PlainRow]:
    """What `written` wrote."""
    return [json.loads(line) for line in body.decode().split("\n")[:-1]]


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[PlainRow]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(column: Column, array: Array) -> list[Any]:
    if column.python is date:
        return [str(each) for each in np.datetime_as_string(array).tolist()]
    if column.python is time:
        moments = np.asarray(array, "int64").astype("datetime64[us]").tolist()
        return [value(moment.time()) for moment in moments]
    if column.python is Decimal:
        return [value(Decimal(hundredths).scaleb(-2)) for hundredths in array.tolist()]
    return [each if isinstance(each, str | int) else None for each in array.tolist()]
