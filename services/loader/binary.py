"""Rows in COPY's binary format, built column by column in one array of records: no Python object per value.

Invariant: what the warehouse receives equals what the text format would bring (a property test holds both together);
money goes as numeric, so that the star hash is of the value that is stored. Only columns of fixed width fit, which
all but one fact have; whatever holds text or NULL is staged as text. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.messages import ROW_HASH, LoadBatchData
from contracts.star import Column
from shared.bookkeeping import POSITION
from shared.parquet import Array

CHUNK_BYTES = 256 * 1024
"""Larger messages gain nothing, and memory stays bounded."""
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
"""Signature, no flags, no extension."""
_TRAILER = b"\xff\xff"
_EPOCH = np.datetime64("2000-01-01")
"""From which Postgres counts days and microseconds."""
_TYPES: dict[type, Any] = {int: ">i4", date: ">i4", time: ">i8", bool: "u1"}
_BASE = 10_000
"""Of numeric's digits."""
_TAIL = [(ROW_HASH, ">i8"), ("_deleted", "u1"), ("_generation", ">i4"), ("_revision", ">i8"), ("_contract", ">i4")]
_SEEN_AT = "_seen_at"


def fits(columns: Sequence[Column]) -> bool:
    """Whether each value of such a row has a fixed width."""
    return all(not column.nullable and (column.python in _TYPES or column.python is Decimal) for column in columns)


def copy_binary(present: Sequence[Column], data: LoadBatchData, columns: Mapping[str, Array]) -> Iterator[bytes]:
    """The rows of a load batch that changes, some thousand a chunk."""
    fields = [(column.name, _type(column, np.asarray(columns[column.name]))) for column in present] + [
        *_TAIL,
        (_SEEN_AT, ">i8"),
    ]
    rows = max(1, min(data.object.rows, CHUNK_BYTES // _record(fields).itemsize))
    chunk = _blank(fields, rows, data)
    yield _HEADER
    for start in range(0, data.object.rows, rows):
        part = chunk[: data.object.rows - start]
        for column in present:
            _fill(part[column.name], column, np.asarray(columns[column.name][start : start + rows]))
        part[ROW_HASH] = columns[ROW_HASH][start : start + rows]
        yield part.tobytes()
    yield _TRAILER


def _record(fields: Sequence[tuple[str, Any]]) -> np.dtype[Any]:
    """A row: the number of its fields, and each behind its length."""
    return np.dtype(
        [("", ">i2"), *(part for name, kind in fields for part in ((f"{name} length", ">i4"), (name, kind)))]
    )


def _blank(fields: Sequence[tuple[str, Any]], rows: int, data: LoadBatchData) -> npt.NDArray[Any]:
    """Rows of which everything is filled in that is equal for all."""
    chunk = np.zeros(rows, _record(fields))
    chunk["f0"] = len(fields)
    for name, kind in fields:
        chunk[f"{name} length"] = np.dtype(kind).itemsize
    position = data.position
    for name, value in zip(POSITION, (position.generation, position.revision, position.contract), strict=True):
        chunk[name] = value
    clock = np.datetime64(data.as_of.replace(tzinfo=None), "us") - _EPOCH
    chunk[_SEEN_AT] = clock.astype("int64")
    return chunk


def _type(column: Column, values: npt.NDArray[Any]) -> Any:
    if column.python is not Decimal:
        return _TYPES[column.python]
    return np.dtype(
        [(name, ">i2") for name in ("count", "weight", "sign", "scale")] + [("digits", ">i2", _digits(values))]
    )


def _digits(hundredths: npt.NDArray[Any]) -> int:
    """How many digits the greatest of them needs, the one behind the point included."""
    greatest = max(-int(hundredths.min(initial=0)), int(hundredths.max(initial=0)))
    digits = 2
    while greatest >= 100 * _BASE ** (digits - 1):
        digits += 1
    return digits


def _fill(field: npt.NDArray[Any], column: Column, values: npt.NDArray[Any]) -> None:
    """Write a column's values where they lie in the records."""
    if column.python is Decimal:
        _fill_numeric(field, values)
    elif column.python is date:
        field[:] = (values.astype("datetime64[D]") - _EPOCH).astype("int64")
    else:
        field[:] = values


def _fill_numeric(field: npt.NDArray[Any], hundredths: npt.NDArray[Any]) -> None:
    """Hundredths as numeric: digits of base 10,000, the last behind the point; Postgres strips zeros before them."""
    digits = field["digits"].shape[1]
    field["count"], field["weight"], field["scale"] = digits, digits - 2, 2
    field["sign"] = np.where(hundredths < 0, 0x4000, 0)
    rest, behind = np.divmod(np.abs(hundredths).astype("uint64"), 100)
    field["digits"][:, -1] = behind * 100
    for place in range(digits - 2, -1, -1):
        rest, field["digits"][:, place] = np.divmod(rest, _BASE)
