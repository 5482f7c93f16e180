r"""COPY's text format: out of its gzip, and a column's values out of their escapes. Needs no numpy. Pure.

Invariant: NULL, an empty text and a literal \N are three values; a cut object or an unknown escape is refused.
Format: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
"""

import re

from isal import isal_zlib

from shared.errors import CorruptObject

Column = list[str | None]

MAX_TEXT_BYTES = 32 * 2**20
"""Of one decompressed object: four times the longest page of shared.archive, and still within 256 MiB of a function."""
_GZIP = 31
"""zlib's window bits for a gzip wrapper; igzip (isal) undoes it in a third of zlib's time."""
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_MEANING = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


def decompress(body: bytes, where: str) -> bytes:
    """Undo gzip, at most MAX_TEXT_BYTES of it. Raises CorruptObject."""
    stream = isal_zlib.decompressobj(_GZIP)
    try:
        text = stream.decompress(body, MAX_TEXT_BYTES)
    except isal_zlib.error as exc:  # type: ignore[misc]  # its stub has an instance for the class
        raise CorruptObject(f"Expected gzip in {where}, found {exc}.") from exc
    if stream.unconsumed_tail:
        raise CorruptObject(f"Expected at most {MAX_TEXT_BYTES} bytes of text in {where}: set a smaller page_rows.")
    if not stream.eof or stream.unused_data:
        raise CorruptObject(f"Expected one whole gzip member in {where}, found one cut short or followed by more.")
    return text


def unescape(values: list[str]) -> Column:
    """The values of one column. Raises KeyError for an escape that COPY never writes."""
    return [
        value if "\\" not in value else None if value == r"\N" else _ESCAPE.sub(_meaning, value) for value in values
    ]


def _meaning(escape: re.Match[str]) -> str:
    return _MEANING[escape[1]]
