"""The row hash of rows that came without one, computed here out of their texts as the source computes it.

Invariant: to the last bit what `shared.totesys.sql` has the source compute, `hash_record_extended` over a row of texts:
a property test compares both. The poller reads rows without it only from a source that says that it hashes so
(`shared.totesys.sql.hashes_alike`). Pure.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from contracts.columnar import TextColumn
from services.transform.archive import MARGIN, Fields, Places
from shared.lookup3 import BITS, BLOCK_BYTES, FACTOR, Hashes, Words, final, initial_of, mixed

State = tuple[Words, Words, Words]
_BLOCK_ROWS = 16_384
"""So many at a time: what a step leaves is still in the processor's cache when the next one reads it."""
_WORD_BYTES = 4
_READ_BYTES, _READ = 16, "V16"
"""Read at once, as a thing of its own: one look at a place of any address costs as much for a word."""
_KEPT = np.array([[(1 << 8 * min(max(rest - at, 0), 4)) - 1 for at in (0, 4, 8, 12)] for rest in range(12)], "<u4")
"""Which bits of four words to keep where so many bytes are left."""


def row_hashes(columns: Sequence[TextColumn]) -> npt.NDArray[np.int64]:
    """The hash of each row of some columns; NULL counts as nothing."""
    found = np.zeros(len(columns[0]), "uint64")
    pieces = zip(*(_fields(column).pieces(_BLOCK_ROWS) for column in columns), strict=True)
    for number, piece in enumerate(pieces):
        part = found[number * _BLOCK_ROWS : (number + 1) * _BLOCK_ROWS]
        for column in piece:
            part *= FACTOR
            part += _of_texts(column)
    return found.view("int64")


def _fields(column: TextColumn) -> Fields:
    """The column where it lies; one with escapes was made texts, which are laid out without them."""
    if isinstance(column, Fields):
        return column
    texts = [(text or "").encode() for text in column]
    ends = np.cumsum([len(MARGIN), *map(len, texts)])
    null = np.array([text is None for text in column])
    return Fields(b"".join((MARGIN, *texts, MARGIN)), ends[:-1], ends[1:], null)


def _of_texts(column: Fields) -> Hashes:
    """Each text's extended hash."""
    length = column.end - column.start
    blocks = length // BLOCK_BYTES
    whole = blocks * BLOCK_BYTES
    a, b, c = (initial_of(length) for _ in range(3))
    for block in range(int(blocks.max(initial=0))):
        a, b, c = _with_block(column, block, blocks, (a, b, c))
    one, two, three = _words(column, column.start + whole, _KEPT.take(length - whole, axis=0))
    found = final(a + one, b + two, c + (three << BITS[8]))
    if column.null is not None:
        found[column.null] = 0
    return found


def _with_block(column: Fields, block: int, blocks: Places, state: State) -> State:
    """The state after the next whole block of those texts that have one."""
    there = blocks > block
    rows = slice(None) if there.all() else np.flatnonzero(there)
    words = _words(column, column.start[rows] + block * BLOCK_BYTES)
    after = mixed(*(part[rows] + word for part, word in zip(state, words, strict=True)))
    if isinstance(rows, slice):
        return after
    for part, kept in zip(after, state, strict=True):
        kept[rows] = part
    return state


def _words(column: Fields, place: Places, kept: Words | None = None) -> Words:
    """Three words from each place on; of the bytes that are not kept nothing is left."""
    found = np.ndarray(len(column.text) - _READ_BYTES + 1, _READ, column.text, strides=(1,))[place]
    words = found.view("<u4").reshape(-1, _READ_BYTES // _WORD_BYTES)
    return (words if kept is None else words & kept).T[: BLOCK_BYTES // _WORD_BYTES].copy()
