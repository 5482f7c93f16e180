"""The star hash of rows, computed here as the warehouse computes it, for rows that reach a fact without a stage.

Invariant: to the last bit what `shared.bookkeeping.star_hash` gives in Postgres; a property test compares both, and
`probe` asks the warehouse at hand. That is `hash_record_extended`: 31 times the hash so far plus the next column's
extended hash, modulo 2**64, where columns are hashed by Bob Jenkins' lookup3. Postgres keeps these functions as they
are, because hash partitions depend on them. Only rows that `services.loader.binary.fits` have one here. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from contracts.star import StarRow
from services.loader.binary import EPOCH, digits_of, places_of
from shared.bookkeeping import columns_of, listed, star_hash
from shared.lookup3 import BITS, BLOCK_BYTES, FACTOR, Hashes, Words, final, initial, mixed
from shared.parquet import Array

Numbers: TypeAlias = npt.NDArray[np.int64]

BLOCK = 16_384
"""So many values at a time: what a step leaves is still in the processor's cache when the next one reads it."""
REPEATED = 2
"""Where there are so many values for each number of their range, each number is hashed once and looked up."""
_WORD_BYTES, _DIGIT_BYTES = 4, 2
_PROBED: Mapping[type, Sequence[tuple[str, Any]]] = {
    int: [(str(number), number) for number in (-(2**31), -1, 0, 2**31 - 1)],
    date: [(day, np.datetime64(day)) for day in ("0001-01-01", "1999-12-31", "2026-11-28", "9999-12-31")],
    time: [
        ("00:00:00", 0),
        ("01:11:34.967296", 2**32),
        ("09:30:00.25", 34_200_250_000),
        ("23:59:59.999999", 86_399_999_999),
    ],
    bool: [("f", False), ("t", True), ("t", True), ("f", False)],
    Decimal: [
        ("0.00", 0),
        ("-0.01", -1),
        ("1230000.00", 123_000_000),
        ("-12345678901234567.89", -1_234_567_890_123_456_789),
    ],
}
"""Values by type, as Postgres reads them and as an object holds them."""


@dataclass(frozen=True)
class _Column:
    """A column's numbers, and what to hash as Postgres would: each row's, or each that they may be from `low` on."""

    of: Callable[[Numbers, int], Hashes]
    numbers: npt.NDArray[Any]
    to_hash: npt.NDArray[Any]
    low: int | None = None

    def in_rows(self, rows: slice, hashes: Hashes) -> Hashes:
        """What was found for `to_hash`, row by row."""
        return hashes[rows] if self.low is None else hashes[self.numbers[rows] - self.low]


def star_hashes(table: type[StarRow], columns: Mapping[str, Array]) -> npt.NDArray[np.int64]:
    """The star hash of each row, from the columns as a load batch's object holds them."""
    read = {column.name: _read(column.python, np.asarray(columns[column.name])) for column in table.columns()}
    found = _record_hashes([read[name] for name in read if name not in table.added], 0)
    for seed, name in enumerate(table.added, start=1):
        found ^= _record_hashes([read[name]], seed)
    return found.view("int64")


@cache
def probe(table: type[StarRow]) -> tuple[str, int]:
    """SQL that has the warehouse hash some rows, and what it must answer, for their hashes here to be right."""
    columns = table.columns()
    rows = zip(*([text for text, _ in _PROBED[column.python]] for column in columns), strict=True)
    kinds = ["numeric" if column.python is Decimal else column.sql for column in columns]
    values = (listed(f"CAST('{text}' AS {kind})" for text, kind in zip(row, kinds, strict=True)) for row in rows)
    source = f"(VALUES {listed(f'({row})' for row in values)}) AS r ({listed(columns_of(table))})"
    arrays = {column.name: np.array([value for _, value in _PROBED[column.python]]) for column in columns}
    expected = np.bitwise_xor.reduce(star_hashes(table, arrays))
    return f"SELECT bit_xor({star_hash(table, 'r')}) FROM {source}", int(expected)


def _read(kind: type, values: npt.NDArray[Any]) -> _Column:
    """A column's numbers; where their range has few, each of those is hashed, and none twice."""
    numbers = values.astype("datetime64[D]", copy=False).view("int64") if kind is date else values
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    once = REPEATED * (high - low + 1) <= len(numbers)
    to_hash = low + np.arange(high - low + 1) if once else numbers
    if kind is date:
        to_hash = to_hash - EPOCH.astype("int64")
    return _Column(_of_money if kind is Decimal else _of_integers, numbers, to_hash, low if once else None)


def _record_hashes(columns: Sequence[_Column], seed: int) -> Hashes:
    """`hash_record_extended` of each row of the columns."""
    hashes = _column_hashes(columns, seed)
    found = np.zeros(len(columns[0].numbers), "uint64")
    for start in range(0, len(found), BLOCK):
        rows = slice(start, start + BLOCK)
        part = found[rows]
        for column, of_column in zip(columns, hashes, strict=True):
            part *= FACTOR
            part += column.in_rows(rows, of_column)
    return found


def _column_hashes(columns: Sequence[_Column], seed: int) -> list[Hashes]:
    """Of each column's `to_hash`; alike columns in one go, since a call takes as long as some thousand numbers."""
    found: dict[int, Hashes] = {}
    for of in {column.of for column in columns}:
        alike = {place: column.to_hash for place, column in enumerate(columns) if column.of is of}
        hashes = _in_blocks(of, np.concatenate(list(alike.values())), seed)
        ends = np.cumsum([len(part) for part in alike.values()])
        found.update(zip(alike, np.split(hashes, ends[:-1]), strict=True))
    return [found[place] for place in range(len(columns))]


def _in_blocks(of: Callable[[Numbers, int], Hashes], numbers: npt.NDArray[Any], seed: int) -> Hashes:
    found = np.empty(len(numbers), "uint64")
    for start in range(0, len(numbers), BLOCK):
        found[start : start + BLOCK] = of(numbers[start : start + BLOCK].astype("int64", copy=False), seed)
    return found


def _of_integers(numbers: Numbers, seed: int) -> Hashes:
    """Each as one word: the halves of 64 bits folded, so that a number hashes alike whatever its width."""
    folded = numbers ^ (numbers >> 32) ^ (numbers >> 63)
    a, b, c = initial(_WORD_BYTES, seed)
    return final(a + folded.astype("uint32"), b, c)


def _of_money(hundredths: Numbers, seed: int) -> Hashes:
    """Each by numeric's digits between the outer zeros and by the weight of the first; the sign does not count."""
    digits = np.array([*digits_of(hundredths, places_of(hundredths))], "uint32")[::-1]
    there = digits != 0
    first, last = there.argmax(axis=0), len(digits) - 1 - there[::-1].argmax(axis=0)
    lengths = np.where(there.any(axis=0), last - first + 1, 0)
    found = np.full(len(hundredths), (seed - 1) % 2**64, "uint64")
    for length in range(1, len(digits) + 1):
        rows = np.flatnonzero(lengths == length)
        if not len(rows):
            continue
        begin = first[rows]
        weight = (len(digits) - 2 - begin).astype("uint64")
        found[rows] = _of_digits([digits[begin + place, rows] for place in range(length)], seed) ^ weight
    return found


def _of_digits(digits: Sequence[Words], seed: int) -> Hashes:
    """Numbers of equally many digits, two a word; of a third word lookup3 keeps the lowest byte for the length."""
    size = _DIGIT_BYTES * len(digits)
    words = np.zeros((3, len(digits[0])), "uint32")
    for place, digit in enumerate(digits):
        words[place // 2] |= digit << BITS[16 * (place % 2)]
    a, b, c = initial(size, seed)
    if size == BLOCK_BYTES:
        return final(*mixed(a + words[0], b + words[1], c + words[2]))
    return final(a + words[0], b + words[1], c + (words[2] << BITS[8]))
