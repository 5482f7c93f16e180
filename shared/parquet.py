"""Typed Parquet of star rows, in memory, through fastparquet's own API; both ways, and nothing is rounded.

Invariant: what `read` gives equals what `write` took, value by value; the file's own types are those of the warehouse
(INT32, BOOLEAN, VARCHAR, DATE, TIME, DECIMAL). The same columns always give the same bytes, so that a second delivery
stores the object it stored before. A file of a former contract reads as one of today's where columns went and only
nullable ones came, which are NULL; all else that differs is refused. Files of one table are also put together to larger
ones (`merge`), whose rows say where each came from, because the name of the small file said it.

A column in memory is one array: int -> np.int32 (nullable: pandas Int32), bool -> np.bool_, text -> objects of str or
None, date -> datetime64[D], time -> int64 microseconds since midnight, money -> int64 hundredths; the row hash int64.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache, partial
from io import BytesIO
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from fastparquet import ParquetFile, parquet_thrift, writer
from fastparquet.core import read_col

from contracts.messages import ROW_HASH
from contracts.star import Column, StarRow
from shared.errors import CorruptObject

Array: TypeAlias = npt.NDArray[Any] | pd.arrays.IntegerArray

COMPRESSION = "SNAPPY"
"""Read by every Parquet reader; a page is small, so speed counts for more than the last tenth of its size."""
_DIGITS = {"numeric(10, 2)": 10}
_TYPES = {
    "bool": parquet_thrift.Type.BOOLEAN,
    "int32": parquet_thrift.Type.INT32,
    "Int32": parquet_thrift.Type.INT32,
    "int64": parquet_thrift.Type.INT64,
    "object": parquet_thrift.Type.BYTE_ARRAY,
}
"""Storage type -> Parquet's."""
_MOST_DIGITS = 18
"""What an int64 of hundredths holds in full; the warehouse's bare `numeric` has no limit of its own."""
_SHOWN = 3
"""Differences that the message of an error names."""
ROW_GROUP_ROWS = 50_000
"""Of a merged file, at least: enough that a reader works on vectors, and some 60 MiB of a table with much text."""


@dataclass(frozen=True)
class Kind:
    """How values lie in a file: Parquet's type, what it stands for, digits of a DECIMAL, whether one may be NULL."""

    type: int
    mark: int | None
    precision: int | None
    nullable: bool

    def __str__(self) -> str:
        """As an operator reads it: `INT32 DATE`, `BYTE_ARRAY UTF8 NULL`."""
        mark = parquet_thrift.ConvertedType._VALUES_TO_NAMES.get(self.mark)
        digits = None if self.precision is None else f"of {self.precision} digits"
        said = (parquet_thrift.Type._VALUES_TO_NAMES[self.type], mark, digits, "NULL" if self.nullable else None)
        return " ".join(word for word in said if word is not None)


@dataclass(frozen=True)
class Stored:
    """How one column lies in the file: array type in memory, storage type, Parquet's mark, digits of a DECIMAL."""

    name: str
    memory: str
    storage: str
    nullable: bool = False
    mark: int | None = None
    precision: int | None = None

    @property
    def kind(self) -> Kind:
        """What the file's schema says of it."""
        text = parquet_thrift.ConvertedType.UTF8 if self.storage == "object" else None
        return Kind(_TYPES[self.storage], self.mark if text is None else text, self.precision, self.nullable)

    def series(self, array: Array) -> pd.Series:
        """The array as fastparquet takes it; pandas' own guesses about text are kept out."""
        raw = array.astype(self.memory).view("int64") if self.memory == "datetime64[D]" else array
        return pd.Series(pd.array(raw, "Int32") if self.storage == "Int32" else raw, dtype=self.storage, copy=False)

    def empty(self, rows: int) -> Array:
        """An array of the storage type that a column chunk is read into."""
        if self.storage == "Int32":
            return pd.arrays.IntegerArray(np.zeros(rows, "int32"), np.zeros(rows, "bool"))
        return np.empty(rows, self.storage)

    def nulls(self, rows: int) -> Array:
        """What a nullable column holds where the file is of before it came."""
        if self.storage == "Int32":
            return pd.arrays.IntegerArray(np.zeros(rows, "int32"), np.ones(rows, "bool"))
        return np.full(rows, None, self.storage)

    def loaded(self, array: Array) -> Array:
        """The array as the pipeline holds it."""
        return array.astype("int64").view("datetime64[D]") if self.memory == "datetime64[D]" else array


@dataclass(frozen=True)
class Provenance:
    """Where the rows of a small file came from: their change batch, its position, its snapshot's source clock (UTC)."""

    batch: str
    generation: int
    revision: int
    contract: int
    """The contract under which the rows were archived."""
    as_of: datetime


@dataclass(frozen=True)
class Merged:
    """A file of many small ones and the number of its rows."""

    body: bytes
    rows: int


def write(table: type[StarRow], columns: Mapping[str, Array]) -> bytes:
    """A Parquet file of a star table's columns and their row hashes.

    Raises KeyError where a column is missing, ValueError where one holds None but may not.
    """
    return _file(_stored(table), columns)


def read(table: type[StarRow], body: bytes) -> dict[str, Array]:
    """The columns of a file that `write` made, as today's contract has them: what was before them reads as NULL.

    Raises CorruptObject where it is cut short, another table's, or of a contract too far from today's.
    `body` must have passed its digest (ObjectStore.get): fastparquet's native code trusts what it decodes.
    """
    return _columns(_stored(table), body, table.table)


def write_keys(table: type[StarRow], keys: npt.NDArray[np.int32]) -> bytes:
    """A Parquet file of the keys of deleted rows, under the star table's name for its key."""
    return _file(_stored_key(table), {table.key: keys})


def read_keys(table: type[StarRow], body: bytes) -> npt.NDArray[np.int32]:
    """The keys of a file that `write_keys` made. Raises CorruptObject like `read`, and asks the same of `body`."""
    return cast(npt.NDArray[np.int32], _columns(_stored_key(table), body, table.table)[table.key])


def merge(table: type[StarRow], parts: Iterable[tuple[Provenance, dict[str, Array]]], *, deleted: bool) -> Merged:
    """One Parquet file of what `read` or, of deletions, `read_keys` gave, each row with its provenance, in that order.

    `parts` is taken one by one and never held whole: a row group is written when it has ROW_GROUP_ROWS rows.
    """
    stored = (*(_stored_key(table) if deleted else _stored(table)), *_PROVENANCE)
    groups = _in_groups({**columns, **_said(origin, columns[table.key])} for origin, columns in parts)
    metadata, file = _metadata(stored), BytesIO()
    frames = map(partial(_frame_of_group, stored), groups)  # a loop's variable would hold a group on and on
    writer.write_simple(file, frames, metadata, compression=COMPRESSION, stats=False)
    return Merged(file.getvalue(), int(metadata.num_rows))


@cache
def _stored(table: type[StarRow]) -> tuple[Stored, ...]:
    return (*(_stored_column(column) for column in table.columns()), Stored(ROW_HASH, "int64", "int64"))


@cache
def _stored_key(table: type[StarRow]) -> tuple[Stored, ...]:
    return (Stored(table.key, "int32", "int32"),)


def _stored_column(column: Column) -> Stored:
    """Derive a column's storage from its contract."""
    kinds = parquet_thrift.ConvertedType
    if column.python is date:
        return Stored(column.name, "datetime64[D]", "int32", mark=kinds.DATE)
    if column.python is time:
        return Stored(column.name, "int64", "int64", mark=kinds.TIME_MICROS)
    if column.python is Decimal:
        digits = _DIGITS.get(column.sql, _MOST_DIGITS)
        return Stored(column.name, "int64", "int64", mark=kinds.DECIMAL, precision=digits)
    if column.python is int:
        storage = "Int32" if column.nullable else "int32"
        return Stored(column.name, storage, storage, column.nullable)
    memory = "bool" if column.python is bool else "object"
    return Stored(column.name, memory, memory, column.nullable)


_PROVENANCE = (
    Stored("_batch", "object", "object"),
    Stored("_generation", "int32", "int32"),
    Stored("_revision", "int64", "int64"),
    Stored("_contract", "int32", "int32"),
    Stored("_as_of", "int64", "int64", mark=parquet_thrift.ConvertedType.TIMESTAMP_MICROS),
)


def _said(origin: Provenance, keys: Array) -> dict[str, Array]:
    """The provenance of a small file as columns, one value for all its rows."""
    clock = np.datetime64(origin.as_of.replace(tzinfo=None), "us").astype("int64")
    values = (origin.batch, origin.generation, origin.revision, origin.contract, clock)
    pairs = zip(_PROVENANCE, values, strict=True)
    return {column.name: np.full(len(keys), value, column.storage) for column, value in pairs}


def _in_groups(parts: Iterable[dict[str, Array]]) -> Iterator[list[dict[str, Array]]]:
    """Parts of together ROW_GROUP_ROWS rows or more; the last ones may have fewer."""
    group: list[dict[str, Array]] = []
    rows = 0
    for part in parts:
        group.append(part)
        rows += len(next(iter(part.values())))
        if rows >= ROW_GROUP_ROWS:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _frame_of_group(stored: tuple[Stored, ...], group: Sequence[Mapping[str, Array]]) -> pd.DataFrame:
    """The rows of all parts, one behind the other."""
    return _frame(stored, {column.name: _concatenated([part[column.name] for part in group]) for column in stored})


def _concatenated(arrays: list[Array]) -> Array:
    if isinstance(arrays[0], np.ndarray):
        return np.concatenate(arrays)
    return cast(Array, pd.concat([pd.Series(array, copy=False) for array in arrays]).array)


def _file(stored: tuple[Stored, ...], columns: Mapping[str, Array]) -> bytes:
    frame, file = _frame(stored, columns), BytesIO()
    writer.write_simple(file, frame, _metadata(stored), compression=COMPRESSION, stats=False)
    return file.getvalue()


def _frame(stored: tuple[Stored, ...], columns: Mapping[str, Array]) -> pd.DataFrame:
    return pd.DataFrame({column.name: column.series(columns[column.name]) for column in stored}, copy=False)


def _metadata(stored: tuple[Stored, ...]) -> Any:
    """The footer of a file that has no rows yet; the writer adds them."""
    metadata = _footer(stored).copy()
    metadata.row_groups = []
    return metadata


@cache
def _footer(stored: tuple[Stored, ...]) -> Any:
    """What is the same in every file of a table, made once: it takes a quarter of the time of a page of few rows."""
    nullable = [column.name for column in stored if column.nullable]
    frame = _frame(stored, {column.name: column.empty(0) for column in stored})
    metadata = writer.make_metadata(frame, has_nulls=nullable, object_encoding="utf8")
    metadata.key_value_metadata = []  # pandas' notes would change the bytes with each of its versions
    for element, column in zip(metadata.schema[1:], stored, strict=True):
        _mark(element, column)
    return metadata


def _mark(element: Any, column: Stored) -> None:
    """Say in the schema what an integer means."""
    if column.mark is not None:
        element.converted_type = column.mark
    if column.precision is not None:
        element.precision, element.scale = column.precision, 2


def _columns(stored: tuple[Stored, ...], body: bytes, table: str) -> dict[str, Array]:
    try:
        file = BytesIO(body)
        parquet = ParquetFile(file, verify=True)
        _expect(stored, parquet, table)
        return _read_columns(stored, parquet, file)
    except CorruptObject:
        raise
    except Exception as exc:  # a damaged file fails anywhere inside fastparquet, in any way
        raise CorruptObject(f"Expected a Parquet file of {table}, found one that cannot be read: {exc!r}.") from exc


def _read_columns(stored: tuple[Stored, ...], parquet: ParquetFile, file: BytesIO) -> dict[str, Array]:
    """Each column by its name; of one that the file has not, NULL."""
    rows = sum(group.num_rows for group in parquet.row_groups)
    places = {element.name: place for place, element in enumerate(parquet._schema[1:])}
    arrays = {each.name: each.empty(rows) if each.name in places else each.nulls(rows) for each in stored}
    start = 0
    for group in parquet.row_groups:
        for name in arrays.keys() & places.keys():
            part = arrays[name][start : start + group.num_rows]
            read_col(group.columns[places[name]], parquet.schema, file, selfmade=True, assign=part)
        start += group.num_rows
    return {column.name: column.loaded(arrays[column.name]) for column in stored}


def _expect(stored: tuple[Stored, ...], parquet: ParquetFile, table: str) -> None:
    """Hold the schema to the contract, then clear the marks: fastparquet would make floats and wrong dates of them."""
    elements = parquet._schema[1:]
    differs = _differences(stored, {element.name: _kind(element) for element in elements})
    if differs:
        raise CorruptObject(
            f"Expected a Parquet file of {table}, found one where {', '.join(differs[:_SHOWN])}: if an earlier release "
            "wrote it, `totes replay-archive` has its change batch transformed anew."
        )
    for element in elements:
        text = element.converted_type == parquet_thrift.ConvertedType.UTF8
        element.converted_type = element.converted_type if text else None


def _differences(stored: tuple[Stored, ...], found: Mapping[str, Kind]) -> list[str]:
    """Why a file cannot be read as such columns, in words. Rows are never read as the keys of deleted ones."""
    wanted = {column.name: column.kind for column in stored}
    missing = [f"{name} is missing" for name, kind in wanted.items() if name not in found and not kind.nullable]
    others = [
        f"{name} is {found[name]} and not {kind}" for name, kind in wanted.items() if found.get(name, kind) != kind
    ]
    rows = ["rows are and not their keys alone"] if ROW_HASH in found and ROW_HASH not in wanted else []
    return missing + others + rows


def _kind(element: Any) -> Kind:
    return Kind(element.type, element.converted_type, element.precision, element.repetition_type == 1)
