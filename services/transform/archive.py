r"""Decode an archive object: gzip around COPY's text format, column by column, each left where it lies in the text.

Invariant: the values are exactly those of the source (NULL, an empty text and a literal \N are three values), or the
object is refused: a cut, an odd number of fields or an unknown escape raises CorruptObject, never a shifted column.
Format: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.columnar import TextColumn
from services.transform.copy_text import Column, decompress, unescape
from shared.errors import CorruptObject

Places = npt.NDArray[np.int64]
"""Offsets in a text, one a row."""

_TAB, _NEWLINE, _BACKSLASH, _NULL = b"\t\n\\N"
_PIECE_BYTES = 256 * 1024
"""Looked through at a time: what is made of a piece stays in the processor's cache, and its memory serves the next."""
MARGIN = b" " * 32
"""Before and behind a text, so that whole words can be read beside any field of it (services.transform.vector)."""


@dataclass(frozen=True, eq=False)
class Fields(Sequence[str | None]):
    """A column where it lies: a text with a MARGIN around it, and where in it each field begins and ends.

    No field is escaped. As a sequence it is its texts, None for NULL, made when first asked for: most never are.
    """

    text: bytes
    start: Places
    end: Places
    null: npt.NDArray[np.bool_] | None = None
    """Where a field is NULL; None where none is."""

    @cached_property
    def texts(self) -> Column:
        """The fields one by one."""
        found: Column = [*self.written]
        for row in () if self.null is None else np.flatnonzero(self.null):
            found[row] = None
        return found

    @property
    def written(self) -> list[str]:
        """The fields as COPY wrote them."""
        places = zip(self.start.tolist(), self.end.tolist(), strict=True)
        if self.text.isascii():  # then a place in bytes is one in characters, and slicing is cheaper than decoding
            text = self.text.decode("ascii")
            return [text[start:end] for start, end in places]
        return [self.text[start:end].decode() for start, end in places]

    def pieces(self, rows: int) -> Iterator["Fields"]:
        """The column in pieces of so many rows, the last one shorter."""
        for start in range(0, len(self), rows):
            piece = slice(start, start + rows)
            null = None if self.null is None else self.null[piece]
            yield Fields(self.text, self.start[piece], self.end[piece], null)

    def __getitem__(self, row: Any) -> Any:
        """The text of a row, or those of a slice."""
        return self.texts[row]

    def __iter__(self) -> Iterator[str | None]:
        """The texts."""
        return iter(self.texts)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.start)


def decode(body: bytes, names: Sequence[str], rows: int, where: str) -> dict[str, TextColumn]:
    """The columns of an object that should hold `rows` rows of the columns `names`; `where` names it in errors.

    Raises CorruptObject.
    """
    text = b"".join((MARGIN, decompress(body, where), MARGIN))
    ends = _ends(text, len(names), rows, where)
    by_column = ends.reshape(rows, len(names)).T.copy()
    starts = [_starts_of_lines(by_column[-1]), *(each + 1 for each in by_column[:-1])]
    columns = {name: Fields(text, *place) for name, *place in zip(names, starts, by_column, strict=True)}
    backslashes = _backslashes(text, ends, len(names))
    try:
        _ = text.isascii() or text.decode()
        return {name: _read(column, found) for (name, column), found in zip(columns.items(), backslashes, strict=True)}
    except (UnicodeDecodeError, KeyError) as exc:
        raise CorruptObject(f"Expected COPY text in UTF-8 in {where}, found {exc}.") from exc


def _ends(text: bytes, width: int, rows: int, where: str) -> Places:
    """Where each field ends, all of a line before those of the next. Raises CorruptObject."""
    letters = np.frombuffer(text, np.uint8)
    ends, newlines = _tabs_and_newlines(letters), text.count(_NEWLINE)
    whole = len(text) == 2 * len(MARGIN) or text[-len(MARGIN) - 1] == _NEWLINE
    regular = len(ends) == rows * width and newlines == rows
    if not whole or not regular or not (letters[ends[width - 1 :: width]] == _NEWLINE).all():
        raise CorruptObject(
            f"Expected {rows} rows of {width} columns in {where}, "
            f"found {newlines} lines with {len(ends)} fields{'' if whole else ' and a piece of one more'}."
        )
    return ends


def _tabs_and_newlines(letters: npt.NDArray[np.uint8]) -> Places:
    """Where they stand."""
    found = []
    for start in range(0, len(letters), _PIECE_BYTES):
        piece = letters[start : start + _PIECE_BYTES]
        found.append(np.flatnonzero(piece - _TAB <= _NEWLINE - _TAB) + start)  # a byte below a tab wraps around
    return np.concatenate(found)


def _starts_of_lines(ends: Places) -> Places:
    starts = np.roll(ends, 1) + 1
    starts[:1] = len(MARGIN)
    return starts


def _backslashes(text: bytes, ends: Places, width: int) -> Sequence[int]:
    """How many there are in each column."""
    if b"\\" not in text:
        return [0] * width
    found = np.flatnonzero(np.frombuffer(text, np.uint8) == _BACKSLASH)
    return list(np.bincount(np.searchsorted(ends, found) % width, minlength=width))


def _read(column: Fields, backslashes: int) -> TextColumn:
    """The column with its NULLs known; as texts where it has escapes too, which are the rest of its backslashes."""
    if not backslashes:
        return column
    letters = np.frombuffer(column.text, np.uint8)
    null = (letters[column.start] == _BACKSLASH) & (letters[column.start + 1] == _NULL)
    null &= column.end - column.start == len(r"\N")
    return replace(column, null=null) if null.sum() == backslashes else unescape(column.written)
