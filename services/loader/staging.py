"""Bring the rows of a load batch into a temporary table by COPY, where the warehouse computes their star hash.

Invariant: what COPY gets means, value by value, what the arrays hold: NULL is not '', a tab is not a separator.
A stage is empty at the start of each transaction (ON COMMIT DELETE ROWS), so a second delivery stages the same again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.messages import ROW_HASH, LoadBatch, LoadBatchData, Operation
from contracts.star import Column, StarRow
from services.loader import binary
from services.loader.stage_table import stage_table
from shared.bookkeeping import listed
from shared.errors import CorruptObject
from shared.parquet import Array
from shared.postgres import Connection, copy_in, identifier

CHUNK_ROWS = 2_000
"""About 256 KiB of a fact's rows: larger chunks gain nothing, and memory stays bounded."""
NULL = r"\N"
DENSE = 8
"""Up to this many times as wide as there are values, a field of ticks is less work than sorting."""


@dataclass(frozen=True)
class Load:
    """A load batch, and what reads the columns of its object when they are staged, so that objects wait small.

    The columns are the star columns and the row hash, or the key alone where the batch deletes.
    """

    batch: LoadBatch
    read: Callable[[], Mapping[str, Array]]

    def opened(self) -> "Load":
        """The same with its columns in memory, for whoever needs them more than once."""
        columns = self.read()
        return replace(self, read=lambda: columns)


@dataclass(frozen=True)
class Staged:
    """What lies in the stage: the keys of each load batch, and by dimension the keys that its rows refer to.

    A dimension's keys are distinct and ascending: int32, or days as datetime64[D].
    """

    pages: tuple[npt.NDArray[np.int32], ...]
    members: Mapping[str, npt.NDArray[Any]]

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(map(len, self.pages))

    @cached_property
    def ascending(self) -> bool:
        """Each key is greater than the one before it."""
        keys = np.concatenate(self.pages)
        return bool((keys[1:] > keys[:-1]).all())

    @property
    def once(self) -> bool:
        """No key lies there twice."""
        return self.ascending or len(np.unique(np.concatenate(self.pages))) == self.rows

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The lowest and the highest key of each load batch that has rows."""
        return [(int(keys.min()), int(keys.max())) for keys in self.pages if len(keys)]


def together(staged: Sequence[Staged]) -> Staged:
    """What several load batches of one star table brought."""
    pages = tuple(page for one in staged for page in one.pages)
    names = {name for one in staged for name in one.members}
    members = {
        name: distinct(np.concatenate([one.members[name] for one in staged if name in one.members])) for name in names
    }
    return Staged(pages, members)


def stage(connection: Connection, table: type[StarRow], load: Load) -> Staged:
    """COPY one load batch into its stage. Raises CorruptObject where columns do not fit."""
    data, columns = load.batch.data, load.read()
    present = expect(table, data, columns)
    target = f"{stage_table(table)} ({listed([*(identifier(column.name) for column in present), *binary.STAGED])})"
    if data.operation is Operation.CHANGED and binary.fits(present):
        copy_in(connection, f"COPY {target} FROM STDIN (FORMAT binary)", binary.copy_binary(present, data, columns))
    else:
        copy_in(connection, f"COPY {target} FROM STDIN", copy_text(present, data, columns))
    return _told(table, present, columns)


def look(table: type[StarRow], load: Load) -> Staged:
    """What would lie in the stage. Raises CorruptObject where columns do not fit."""
    columns = load.read()
    return _told(table, expect(table, load.batch.data, columns), columns)


def _told(table: type[StarRow], present: Sequence[Column], columns: Mapping[str, Array]) -> Staged:
    return Staged((np.asarray(columns[table.key], "int32"),), _members(present, columns))


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values, each once and in their order; dense ones are ticked off, which takes a tenth of sorting them."""
    if not len(values):
        return values
    numbers = values.astype("int64")
    low, width = numbers.min(), int(numbers.max() - numbers.min()) + 1
    if width > DENSE * len(values):
        return np.unique(values)
    there = np.zeros(width, "bool")
    there[numbers - low] = True
    found: npt.NDArray[Any] = (np.flatnonzero(there) + low).astype(values.dtype)
    return found


def _members(present: Sequence[Column], columns: Mapping[str, Array]) -> dict[str, npt.NDArray[Any]]:
    """By dimension, the keys that some column refers to."""
    referring: dict[str, list[npt.NDArray[Any]]] = {}
    for column in present:
        if column.references is not None:
            referring.setdefault(column.references, []).append(distinct(np.asarray(columns[column.name])))
    return {name: distinct(np.concatenate(keys)) for name, keys in referring.items()}


def copy_text(present: Sequence[Column], data: LoadBatchData, columns: Mapping[str, Array]) -> Iterator[bytes]:
    """The rows in COPY's text format, some thousand a chunk."""
    rows, deleted, position = data.object.rows, data.operation is Operation.DELETED, data.position
    constants = ("t" if deleted else "f", position.generation, position.revision, position.contract)
    end = "\t".join(["", *map(str, constants), data.as_of.isoformat()]) + "\n"
    for start in range(0, rows, CHUNK_ROWS):
        part = slice(start, min(start + CHUNK_ROWS, rows))
        texts = [as_text(column, columns[column.name][part]) for column in present]
        texts.append([NULL] * (part.stop - start) if deleted else _numbers(columns[ROW_HASH][part]))
        yield (end.join(map("\t".join, zip(*texts, strict=True))) + end).encode()


def as_text(column: Column, array: Array) -> list[str]:
    """One column's values as COPY reads them."""
    if column.python is str:
        return [_escaped(value) for value in array.tolist()]
    if column.python is date:
        return list(np.datetime_as_string(array).tolist())
    if column.python is time:
        moments = np.datetime_as_string(np.asarray(array, "int64").astype("datetime64[us]"))
        return [moment[11:] for moment in moments.tolist()]
    if column.python is Decimal:
        return [f"{hundredths}e-2" for hundredths in array.tolist()]
    if column.python is bool:
        return ["t" if value else "f" for value in array.tolist()]
    return _numbers(array) if not column.nullable else _nullable_numbers(array)


def _numbers(array: Array) -> list[str]:
    return list(map(str, array.tolist()))


def _nullable_numbers(array: Array) -> list[str]:
    """A masked integer array's values: `tolist` gives pandas.NA where it is null."""
    return [str(value) if isinstance(value, int) else NULL for value in array.tolist()]


def _escaped(value: str | None) -> str:
    """Text as COPY reads it; the backslash first, so that a text that looks like COPY's NULL stays a text."""
    if value is None:
        return NULL
    if value.isalnum():
        return value
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def expect(table: type[StarRow], data: LoadBatchData, columns: Mapping[str, Array]) -> list[Column]:
    """The star columns the object must hold, each with as many values as the message says."""
    changed = data.operation is Operation.CHANGED
    present = [column for column in table.columns() if changed or column.name == table.key]
    needed = [column.name for column in present] + [ROW_HASH] * changed
    found = {name: len(columns[name]) if name in columns else None for name in needed}
    wrong = {name: rows for name, rows in found.items() if rows != data.object.rows}
    if wrong:
        raise CorruptObject(
            f"Expected {data.object.rows} values in each column of {data.object.bucket}/{data.object.key}, "
            f"found {wrong}."
        )
    return present
