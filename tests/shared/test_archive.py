"""Pages out of rows that come in pieces: the pieces leave no trace."""

import gzip
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.feeds import FEEDS
from shared.archive import Page, Pages

FEED = FEEDS["currency"]
ROWS = [b"%d\tGBP\t2026-01-01 00:00:00\t2026-01-01 00:00:00\t%d\n" % (key, key * -7) for key in range(1, 30)]


def paged(pieces: list[list[bytes]], held: frozenset[int], page_rows: int) -> tuple[list[Page], Pages]:
    """The pages of rows that came so, and what made them."""
    found: list[Page] = []
    pages = Pages(
        FEED, found.append, held=lambda keys, _: held.intersection(keys), page_rows=page_rows, compression_level=1
    )
    for piece in pieces:
        pages.writelines(piece)
    rest = pages.rest()
    return (found if rest is None else [*found, rest]), pages


def cut(rows: list[bytes], at: set[int]) -> list[list[bytes]]:
    """Rows in pieces that begin at these places."""
    places = sorted({0, len(rows), *at})
    return [rows[start:end] for start, end in pairwise(places)]


@given(
    count=st.integers(0, len(ROWS)),
    at=st.sets(st.integers(0, len(ROWS))),
    held=st.frozensets(st.integers(1, len(ROWS))),
    page_rows=st.integers(1, 12),
)
def test_pages_are_the_same_in_whatever_pieces_rows_come(
    count: int, at: set[int], held: frozenset[int], page_rows: int
):
    rows = ROWS[:count]
    found, pages = paged(cut(rows, {place for place in at if place <= count}), held, page_rows)

    assert found == paged([[row] for row in rows], held, page_rows)[0]
    kept = [key for key in range(1, count + 1) if key not in held]
    assert [list(page.hashes) for page in found] == [
        kept[start : start + page_rows] for start in range(0, len(kept), page_rows)
    ]
    assert b"".join(gzip.decompress(page.body) for page in found) == b"".join(ROWS[key - 1] for key in kept)
    assert all(page.hashes == {key: key * -7 for key in page.hashes} for page in found)
    assert [page.last_key for page in found] == [list(page.hashes)[-1] for page in found]
    assert pages.rows_read == count


def test_a_full_page_waits_for_a_row_that_must_be_sent():
    emitted: list[Page] = []
    pages = Pages(FEED, emitted.append, held=lambda keys, _: {3} & set(keys), page_rows=2, compression_level=1)

    pages.writelines(ROWS[:3])
    assert (emitted, pages.last_key) == ([], 3)
    pages.writelines(ROWS[3:4])

    assert [list(page.hashes) for page in emitted] == [[1, 2]]
