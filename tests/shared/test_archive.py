"""Pages out of rows that come in pieces: the pieces leave no trace."""

import gzip
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.feeds import FEEDS
from shared.archive import Page, Pages, PageSize

FEED = FEEDS["currency"]
ROWS = [b"%d\tGBP\t2026-01-01 00:00:00\t2026-01-01 00:00:00\t%d\n" % (key, key * -7) for key in range(1, 30)]


def paged(
    pieces: list[list[bytes]], held: frozenset[int], size: PageSize, looked_at: frozenset[int] = frozenset()
) -> tuple[list[Page], Pages]:
    """The pages of rows that came so, and what made them; all hashes of a piece that begins so are `looked_at`."""
    found: list[Page] = []

    def held_of(keys: Sequence[int], hashes: Sequence[int]) -> frozenset[int]:
        if keys[0] in looked_at:
            assert list(hashes) == [key * -7 for key in keys]
        return held.intersection(keys)

    pages = Pages(FEED, found.append, held=held_of, size=size, compression_level=1)
    for piece in pieces:
        pages.writelines(piece)
    rest = pages.rest()
    return (found if rest is None else [*found, rest]), pages


def cut(rows: list[bytes], at: set[int]) -> list[list[bytes]]:
    """Rows in pieces that begin at these places."""
    places = sorted({0, len(rows), *at})
    return [rows[start:end] for start, end in pairwise(places)]


def filled(keys: list[int], size: PageSize) -> list[list[int]]:
    """The keys of each page, key after key: a new page where the row would be one too many or its text too long."""
    found: list[list[int]] = []
    room = 0
    for key in keys:
        if not found or len(found[-1]) == size.rows or len(ROWS[key - 1]) > room:
            found.append([])
            room = size.text_bytes
        found[-1].append(key)
        room -= len(ROWS[key - 1])
    return found


@given(
    count=st.integers(0, len(ROWS)),
    at=st.sets(st.integers(0, len(ROWS))),
    held=st.frozensets(st.integers(1, len(ROWS))),
    size=st.builds(PageSize, st.integers(1, 12), st.integers(1, 400)),
    looked_at=st.frozensets(st.integers(1, len(ROWS))),
)
def test_pages_are_the_same_in_whatever_pieces_rows_come_and_whoever_looks_at_them(
    count: int, at: set[int], held: frozenset[int], size: PageSize, looked_at: frozenset[int]
):
    rows = ROWS[:count]
    found, pages = paged(cut(rows, {place for place in at if place <= count}), held, size, looked_at)

    assert found == paged([[row] for row in rows], held, size)[0]
    kept = [key for key in range(1, count + 1) if key not in held]
    assert [list(page.hashes) for page in found] == filled(kept, size)
    assert b"".join(gzip.decompress(page.body) for page in found) == b"".join(ROWS[key - 1] for key in kept)
    assert all(page.hashes == {key: key * -7 for key in page.hashes} for page in found)
    assert [page.last_key for page in found] == [list(page.hashes)[-1] for page in found]
    assert pages.rows_read == count


def test_what_need_not_be_sent_may_be_told_by_any_key_or_hash_of_some_rows():
    asked: list[object] = []

    def held(keys: Sequence[int], hashes: Sequence[int]) -> frozenset[int]:
        asked.extend((keys[0], keys[1:3], keys[-1], list(hashes), len(keys)))
        return frozenset()

    Pages(FEED, asked.append, held=held, size=PageSize(9), compression_level=1).writelines(ROWS[3:8])

    assert asked == [4, [5, 6], 8, [-28, -35, -42, -49, -56], 5]


def test_a_full_page_waits_for_a_row_that_must_be_sent():
    emitted: list[Page] = []
    pages = Pages(FEED, emitted.append, held=lambda keys, _: {3} & set(keys), size=PageSize(2), compression_level=1)

    pages.writelines(ROWS[:3])
    assert (emitted, pages.last_key) == ([], 3)
    pages.writelines(ROWS[3:4])

    assert [list(page.hashes) for page in emitted] == [[1, 2]]


@given(
    count=st.integers(0, len(ROWS)),
    at=st.sets(st.integers(0, len(ROWS))),
    size=st.builds(PageSize, st.integers(1, 12), st.integers(1, 400)),
)
def test_pages_of_rows_without_hashes_hold_every_row_and_nothing_is_read_out_of_it(
    count: int, at: set[int], size: PageSize
):
    found: list[Page] = []
    pages = Pages(FEED, found.append, held=None, size=size, compression_level=1)
    for piece in cut(ROWS[:count], {place for place in at if place <= count}):
        pages.writelines(piece)
    rest = pages.rest()
    found += [] if rest is None else [rest]

    keys = filled(list(range(1, count + 1)), size)
    assert [(page.rows, page.last_key) for page in found] == [(len(each), each[-1]) for each in keys]
    assert b"".join(gzip.decompress(page.body) for page in found) == b"".join(ROWS[:count])
    assert {page.hashes for page in found} <= {None}
