"""Row hashes made here out of a page's texts are those that the source gives the same rows, to the last bit."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.transform import row_hash
from services.transform.archive import decode
from services.transform.row_hash import row_hashes
from shared.archive import _compressed
from shared.totesys import sql
from tests.conftest import Server

Row = tuple[str | None, ...]
EDGES = [None, "", "\\N", "\t", "\n", "a\\b", "é", "漢字" * 9, *("x" * length for length in (4, 8, 11, 12, 13, 24, 30))]
texts = st.one_of(
    st.sampled_from(EDGES), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
)
ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\b": r"\b", "\f": r"\f", "\v": r"\v"})


def copied(rows: list[Row]) -> bytes:
    """An archive object as the poller makes it of what COPY writes."""
    lines = ("\t".join(r"\N" if text is None else text.translate(ESCAPED) for text in row) + "\n" for row in rows)
    return _compressed([line.encode() for line in lines], 1)


def found(rows: list[Row]) -> list[int]:
    """What is made of an object of these rows."""
    names = [f"column{number}" for number in range(len(rows[0]))]
    return row_hashes([*decode(copied(rows), names, len(rows), "an object").values()]).tolist()


def hashed(session: Any, rows: list[Row]) -> list[int]:
    """What Postgres says of them."""
    arrays = {f"column{number}": list(column) for number, column in enumerate(zip(*rows, strict=True))}
    given_as = ", ".join(f"CAST(:{name} AS text[])" for name in arrays)
    query = (
        f"SELECT hash_record_extended(ROW({', '.join(arrays)}), 0) FROM unnest({given_as}) AS r ({', '.join(arrays)})"
    )
    return [row_hash for (row_hash,) in session.run(query, **arrays)]


@pytest.fixture(scope="session")
def session(server: Server) -> Any:
    with server.connect() as connection:
        yield connection


@given(width=st.integers(1, 4), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_texts_hash_as_in_postgres(session: Any, width: int, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(*[texts] * width), min_size=1, max_size=12))

    assert found(rows) == hashed(session, rows)


@given(st.lists(texts, min_size=1, max_size=9))
@example([*EDGES])
@settings(max_examples=30, deadline=None)
def test_rows_hash_alike_in_whatever_blocks_they_come(session: Any, drawn: list[str | None]) -> None:
    rows: list[Row] = [(text, f"row {number}") for number, text in enumerate(drawn)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(row_hash, "_BLOCK_ROWS", 2)

        assert found(rows) == hashed(session, rows)


def test_a_text_much_longer_than_its_neighbours_hashes_too(session: Any) -> None:
    rows: list[Row] = [("short", "1"), ("x" * 5_000, "2"), (None, "3")]

    assert found(rows) == hashed(session, rows)


def test_what_a_source_is_asked_before_is_what_it_gives_and_what_is_made_here() -> None:
    assert found([sql.PROBED]) == [sql.PROBED_HASH]
