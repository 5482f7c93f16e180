"""Parse whole columns of numbers, dates, timestamps and flags from the bytes they lie in, without a Python object each.

The unit is the word: eight characters read at once as a 64-bit integer, the first one in its lowest byte, of every row
of the column at a time. Invariant: a column is parsed here only where every field of it is written in the one plain way
of its contract's type and is in range, and then to the values that pydantic would give. Of any other column nothing is
said (None): pydantic alone decides which values are refused, and why.

A column becomes one array: integers int32 (pandas Int32 where NULL may be), money int64 hundredths, flags bool,
timestamps datetime64[us], dates datetime64[D].
"""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts import fields
from contracts.columnar import Adapter, TextColumn, adapters
from contracts.source import Row
from services.transform.archive import Fields, Places
from shared.parquet import Array

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Parser = Callable[[Fields], Array]

_WORD = 8
_FULL = np.uint64(2**64 - 1)
_ZEROS = np.uint64(int.from_bytes(b"0" * _WORD, "little"))
_TRUE, _FALSE = (int.from_bytes(flag, "little") for flag in (b"true", b"false"))
_MINUS, _POINT, _SPACE, _ZERO = b"-. 0"
_MOST_DIGITS = 19
"""Of an int64; the few such numbers that do not fit one come out negative."""
_LONGEST_FRACTION = 6
_PIECE_ROWS = 16_384
"""Parsed at a time, so that a dozen arrays of words stay near the processor and their memory serves the next piece."""
_HOURS, _MINUTES, _MONTHS = 24, 60, 12


class _NotPlainError(ValueError):
    """A field may be written in another way, or be out of range, or be wrong."""


def at_once(adapter: Adapter, column: TextColumn) -> Array | None:
    """The values of a column that its adapter would pass as a whole, None where that is not certain."""
    parser = _parser_of(adapter)
    return None if parser is None else parsed(parser, column)


def parsed(parser: Parser, column: TextColumn) -> Array | None:
    """What the parser makes of a column, None where not every field is plain."""
    if not isinstance(column, Fields) or not len(column):
        return None
    try:
        return _together([parser(piece) for piece in column.pieces(_PIECE_ROWS)])
    except _NotPlainError:
        return None


def _together(parts: list[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else pd.concat(map(pd.Series, parts)).array


class _Known(Row):
    """A field of each type that is parsed here. A type with one constraint more or less has another schema."""

    integer: fields.Int
    secret: fields.SecretInt
    nullable: fields.Int | None
    price: fields.Price
    amount: fields.Amount
    flag: fields.Flag
    timestamp: fields.Timestamp
    date: fields.DateText


@cache
def _parser_of(adapter: Adapter) -> Parser | None:
    parsers: dict[str, Parser] = {
        "integer": integers,
        "secret": integers,
        "nullable": integers_or_null,
        "price": partial(hundredths, most_digits=8),
        "amount": partial(hundredths, most_digits=16),
        "flag": flags,
        "timestamp": timestamps,
        "date": dates,
    }
    known = adapters(_Known).items()
    return next((parsers[name] for name, each in known if each.core_schema == adapter.core_schema), None)


def integers(column: Fields) -> Array:
    """Postgres ints."""
    wide = wide_integers(column)
    found = wide.astype("int32")
    _hold(wide == found)
    return found


def integers_or_null(column: Fields) -> Array:
    """Postgres ints that may be NULL."""
    null = np.zeros(len(column), "bool") if column.null is None else column.null
    found = np.zeros(len(column), "int32")
    found[~null] = integers(Fields(column.text, column.start[~null], column.end[~null]))
    return pd.arrays.IntegerArray(found, null)


def wide_integers(column: Fields) -> Numbers:
    """Postgres bigints, without the least one; no zero stands before a number."""
    negative, start, first = _signed(column)
    _hold((first != _ZERO) | ((column.end - start == 1) & ~negative))
    return _negated(_whole(column, start, column.end), negative)


def hundredths(column: Fields, most_digits: int) -> Numbers:
    """Money of up to so many whole digits, with two decimals, as hundredths."""
    negative, start, _ = _signed(column)
    point = column.end - 3
    _hold((_letters(column, point) == _POINT) & (point - start <= most_digits))
    cents = _whole(column, point + 1, column.end)
    return _negated(_whole(column, start, point) * 100 + cents, negative)


def flags(column: Fields) -> Array:
    """'true' and 'false', told apart as words."""
    length = column.end - column.start
    _hold((length == len("true")) | (length == len("false")))
    words = _words(column, column.start) & (_FULL >> _bits(_WORD - length))
    true: Array = words == _TRUE
    _hold(np.where(length == len("true"), true, words == _FALSE))
    return true


def dates(column: Fields) -> Array:
    """yyyy-mm-dd."""
    _hold(column.end - column.start == len("yyyy-mm-dd"))
    return _days(column).view("datetime64[D]")


def timestamps(column: Fields) -> Array:
    """yyyy-mm-dd hh:mm:ss, with a fraction of up to six digits or with none."""
    fraction = column.end - column.start - 20
    _hold((_letters(column, column.start + 10) == _SPACE) & ((fraction == -1) | (fraction > 0)))
    hours, minutes, seconds = _pairs(column, column.start + 11, b"00:00:00")
    _hold((hours < _HOURS) & (minutes < _MINUTES) & (seconds < _MINUTES))
    clock = ((hours * _MINUTES + minutes) * _MINUTES + seconds) * 1_000_000 + _microseconds(column, fraction)
    return (_days(column) * 86_400_000_000 + clock).view("datetime64[us]")


def _days(column: Fields) -> Numbers:
    """Days from 1970 to the date that a field begins with, by way of a table of the first day of every month."""
    century, _, _ = _pairs(column, column.start, b"0000-00-")
    year, month, day = _pairs(column, column.start + 2, b"00-00-00")
    place = (century * 100 + year) * _MONTHS + month - 13
    _hold((place >= 0) & (month >= 1) & (month <= _MONTHS) & (day >= 1))
    days: Numbers = _first_days()[place] + day - 1
    _hold(days < _first_days()[place + 1])
    return days


@cache
def _first_days() -> Numbers:
    """Days from 1970 to the first of each month, from January of year 1 to the first one that no `date` can hold."""
    months = np.arange(-1969 * _MONTHS, (10_000 - 1970) * _MONTHS + 1).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype("int64")


def _microseconds(column: Fields, length: Places) -> Numbers:
    """The fractions: their first six digits, zeros where they have fewer. `length` is -1 where there is none."""
    if not (length > 0).any():
        return np.zeros(len(column), "int64")
    words = _words(column, column.start + 19)
    _hold((length <= _LONGEST_FRACTION) & ((words & np.uint64(0xFF) == _POINT) | (length < 0)))
    return _eight_digits(_values(words >> np.uint64(8), _FULL >> _bits(_WORD - length.clip(0)))) // 100


def _signed(column: Fields) -> tuple[npt.NDArray[np.bool_], Places, npt.NDArray[np.uint8]]:
    """Which fields have a minus, where their digits begin, and the first of these."""
    first = _letters(column, column.start)
    negative = first == _MINUS
    if not negative.any():
        return negative, column.start, first
    start = column.start + negative
    return negative, start, _letters(column, start)


def _negated(found: Numbers, negative: npt.NDArray[np.bool_]) -> Numbers:
    return np.where(negative, -found, found) if negative.any() else found


def _whole(column: Fields, start: Places, end: Places) -> Numbers:
    """Numbers of digits alone, word by word from their ends; in a word that begins before them, zeros stand there."""
    length = end - start
    longest = int(length.max(initial=0))
    _hold((length > 0) & (length <= _MOST_DIGITS))
    found = np.zeros(len(column), "int64")
    for place in range(0, longest, _WORD):
        within = _FULL << _bits((place + _WORD - length).clip(0, _WORD))
        digits = _eight_digits(_values(_words(column, end - place - _WORD), within))
        found = found + digits * 10**place if place else digits
    _hold(found >= 0)
    return found


def _eight_digits(digits: Words) -> Numbers:
    """Words of digits as numbers: neighbours become pairs, pairs fours, fours eights, in three multiplications."""
    pairs = (digits * 10 + (digits >> 8)) & 0x00FF00FF00FF00FF
    fours = (pairs * 100 + (pairs >> 16)) & 0x0000FFFF0000FFFF
    return ((fours * 10_000 + (fours >> 32)) & 0xFFFFFFFF).view("int64")


def _pairs(column: Fields, start: Places, like: bytes) -> tuple[Numbers, Numbers, Numbers]:
    """The three numbers of two digits that stand at the first, fourth and seventh character of words written `like`."""
    digits = _digits(_words(column, start), like)
    pairs = (digits * 10 + (digits >> 8)).view("int64")
    return pairs & 0xFF, pairs >> 24 & 0xFF, pairs >> 48 & 0xFF


def _values(words: Words, within: Words) -> Words:
    """The digits' values in a part of each word, zeros around it."""
    found: Words = (words ^ _ZEROS) & within
    _hold((found | found + 0x0606060606060606) & 0xF0F0F0F0F0F0F0F0 == 0)
    return found


def _digits(words: Words, like: bytes) -> Words:
    """The digits of words that are all written `like`, where 0 is any digit and another character itself.

    Of an XOR with `like` a digit leaves its value, which 6 more do not bring to 16, and the right character nothing.
    """
    found: Words = words ^ np.uint64(int.from_bytes(like, "little"))
    room = np.uint64(int.from_bytes(bytes(6 if letter == _ZERO else 15 for letter in like), "little"))
    _hold((found | found + room) & 0xF0F0F0F0F0F0F0F0 == 0)
    return found


def _words(column: Fields, start: Places) -> Words:
    """Eight bytes from each place on. The text's margin makes every place near a field readable."""
    return np.ndarray(len(column.text) - _WORD + 1, "<u8", column.text, strides=(1,))[start]


def _letters(column: Fields, place: Places) -> npt.NDArray[np.uint8]:
    return np.frombuffer(column.text, np.uint8)[place]


def _bits(letters: Places) -> Words:
    return (letters * 8).view("uint64")


def _hold(plain: npt.NDArray[np.bool_]) -> None:
    if not plain.all():
        raise _NotPlainError
