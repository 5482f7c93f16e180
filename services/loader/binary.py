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
EPOCH = np.datetime64("2000-01-01")
"""From which Postgres counts days and microseconds."""
_TYPES: dict[type, Any] = {int: ">i4", date: ">i4", time: ">i8", bool: "u1"}
_BASE = 10_000
"""Of numeric's digits."""
_SEEN_AT = "_seen_at"
STAR_HASH = "_star_hash"
_OURS = {
    ROW_HASH: ">i8",
    "_deleted": "u1",
    "_generation": ">i4",
    "_revision": ">i8",
    "_contract": ">i4",
    STAR_HASH: ">i8",
    _SEEN_AT: ">i8",
}
STAGED = (ROW_HASH, "_deleted", *POSITION, _SEEN_AT)
"""What a staged row carries behind its star columns; the stage itself has the star hash computed."""
VERSION = (ROW_HASH, *POSITION, STAR_HASH, _SEEN_AT)
"""What a version carries behind them."""


def fits(columns: Sequence[Column]) -> bool:
    """Whether each value of such a row has a fixed width."""
    return all(not column.nullable and (column.python in _TYPES or column.python is Decimal) for column in columns)


def copy_binary(
    present: Sequence[Column], data: LoadBatchData, columns: Mapping[str, Array], ours: Sequence[str] = STAGED
) -> Iterator[bytes]:
    """The rows of a load batch that changes, some thousand a chunk, with `ours` behind the star columns."""
    fields = [(column.name, _type(column, np.asarray(columns[column.name]))) for column in present]
    fields += [(name, _OURS[name]) for name in ours]
    hashes = [name for name in ours if name in columns]
    rows = max(1, min(data.object.rows, CHUNK_BYTES // _record(fields).itemsize))
    chunk = _blank(fields, rows, data)
    yield _HEADER
    for start in range(0, data.object.rows, rows):
        part = chunk[: data.object.rows - start]
        for column in present:
            _fill(part[column.name], column, np.asarray(columns[column.name][start : start + rows]))
        for name in hashes:
            part[name] = columns[name][start : start + rows]
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
        if np.dtype(kind).names:
            places = chunk[name]["digits"].shape[1]
            chunk[name]["count"], chunk[name]["weight"], chunk[name]["scale"] = places, places - 2, 2
    for name, value in _equal_for_all(data).items():
        if name in chunk.dtype.names:
            chunk[name] = value
    return chunk


def _equal_for_all(data: LoadBatchData) -> dict[str, int]:
    """What each row of a load batch says alike."""
    position = data.position
    clock = np.datetime64(data.as_of.replace(tzinfo=None), "us") - EPOCH
    places = zip(POSITION, (position.generation, position.revision, position.contract), strict=True)
    return {**dict(places), _SEEN_AT: int(clock.astype("int64"))}


def _type(column: Column, values: npt.NDArray[Any]) -> Any:
    if column.python is not Decimal:
        return _TYPES[column.python]
    return np.dtype(
        [(name, ">i2") for name in ("count", "weight", "sign", "scale")] + [("digits", ">i2", places_of(values))]
    )


def places_of(hundredths: npt.NDArray[Any]) -> int:
    """How many digits of base 10,000 the greatest of them needs, the one behind the point included."""
    greatest = max(-int(hundredths.min(initial=0)), int(hundredths.max(initial=0)))
    places = 2
    while greatest >= 100 * _BASE ** (places - 1):
        places += 1
    return places


def digits_of(hundredths: npt.NDArray[Any], places: int) -> Iterator[npt.NDArray[np.uint64]]:
    """Their digits of base 10,000, without their sign, the last place first: that one is behind the point."""
    rest, behind = _divided(np.abs(hundredths).astype("uint64"), 100)
    yield behind * np.uint64(100)
    for _ in range(places - 1):
        rest, digits = _divided(rest, _BASE)
        yield digits


def _divided(numbers: npt.NDArray[np.uint64], by: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Quotients and remainders, in half the time that divmod takes."""
    quotients = numbers // np.uint64(by)
    return quotients, numbers - quotients * np.uint64(by)


def _fill(field: npt.NDArray[Any], column: Column, values: npt.NDArray[Any]) -> None:
    """Write a column's values where they lie in the records."""
    if column.python is Decimal:
        _fill_numeric(field, values)
    elif column.python is date:
        field[:] = (values.astype("datetime64[D]") - EPOCH).astype("int64")
    else:
        field[:] = values


def _fill_numeric(field: npt.NDArray[Any], hundredths: npt.NDArray[Any]) -> None:
    """Hundredths as numeric: digits of base 10,000, the last behind the point; Postgres strips zeros before them."""
    places = field["digits"].shape[1]
    field["sign"] = np.where(hundredths < 0, 0x4000, 0)
    for place, digits in zip(range(places - 1, -1, -1), digits_of(hundredths, places), strict=True):
        field["digits"][:, place] = digits
