r"""Decode an archive object: gzip around COPY's text format, column by column.

Invariant: the values are exactly those of the source (NULL, an empty text and a literal \N are three values), or the
object is refused: a cut, an odd number of fields or an unknown escape raises CorruptObject, never a shifted column.
Format: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
"""

import re
import zlib
from collections.abc import Sequence

from shared.errors import CorruptObject

Column = list[str | None]

MAX_TEXT_BYTES = 32 * 2**20
"""Of one decompressed object: 20 times a usual page of 10,000 rows, and still within a function's 256 MiB."""
_GZIP = 31
"""zlib's window bits for a gzip wrapper."""
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_MEANING = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_NOT_SEPARATORS = bytes(set(range(256)) - set(b"\t\n"))


def decode(body: bytes, names: Sequence[str], rows: int, where: str) -> dict[str, Column]:
    """The columns of an object that should hold `rows` rows of the columns `names`; `where` names it in errors.

    Raises CorruptObject.
    """
    text = decompress(body, where)
    separators = text.translate(None, delete=_NOT_SEPARATORS)
    if separators != (b"\t" * (len(names) - 1) + b"\n") * rows:
        raise CorruptObject(
            f"Expected {rows} rows of {len(names)} columns in {where}, "
            f"found {separators.count(10)} lines with {len(separators)} fields."
        )
    try:
        fields = text.decode().replace("\n", "\t").split("\t")
        return {name: unescape(fields[place : -1 : len(names)]) for place, name in enumerate(names)}
    except (UnicodeDecodeError, KeyError) as exc:
        raise CorruptObject(f"Expected COPY text in UTF-8 in {where}, found {exc}.") from exc


def decompress(body: bytes, where: str) -> bytes:
    """Undo gzip, at most MAX_TEXT_BYTES of it. Raises CorruptObject."""
    stream = zlib.decompressobj(_GZIP)
    try:
        text = stream.decompress(body, MAX_TEXT_BYTES)
    except zlib.error as exc:
        raise CorruptObject(f"Expected gzip in {where}, found {exc}.") from exc
    if stream.unconsumed_tail:
        raise CorruptObject(f"Expected at most {MAX_TEXT_BYTES} bytes of text in {where}: set a smaller page_rows.")
    if not stream.eof or stream.unused_data:
        raise CorruptObject(f"Expected one whole gzip member in {where}, found one cut short or followed by more.")
    return text


def unescape(values: list[str]) -> Column:
    """The values of one column. Raises KeyError for an escape that COPY never writes."""
    if "\\" not in "".join(values):  # most columns: no NULL, nothing escaped, and no Python for each row
        return list(values)
    return [
        value if "\\" not in value else None if value == r"\N" else _ESCAPE.sub(_meaning, value) for value in values
    ]


def _meaning(escape: re.Match[str]) -> str:
    return _MEANING[escape[1]]
