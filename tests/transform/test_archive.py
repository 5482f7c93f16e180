"""COPY's text format is decoded exactly, or the object is refused."""

import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.transform.archive import decode
from services.transform.copy_text import MAX_TEXT_BYTES
from shared.errors import CorruptObject
from tests.transform.archived import copy_text

NAMES = ("a", "b", "c")
ALPHABET = st.characters(codec="utf-8", exclude_characters="\0")
VALUES = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "\\", r"\N", r"\\N", r"\.", "N", "\t", "\n", "\r\n", "\b\f\v", "👜", "O'Keefe", '"', "\u2028", "\x85"]
    ),
    st.text(ALPHABET, max_size=20),
)
TABLES = st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=10)


def packed(text):
    return gzip.compress(text, 1, mtime=0)


@settings(max_examples=200, deadline=None)
@given(TABLES)
def test_what_copy_wrote_is_read_back_to_the_letter(table):
    body = packed(copy_text(NAMES, [dict(zip(NAMES, line, strict=True)) for line in table]))

    columns = decode(body, NAMES, len(table), "here")

    assert list(zip(*columns.values(), strict=True)) == table


def test_a_text_of_any_length_is_read_back_to_the_letter():
    table = [(str(place), "x" * (place % 600), None if place % 5 else "\t\n") for place in range(3_000)]
    body = packed(copy_text(NAMES, [dict(zip(NAMES, line, strict=True)) for line in table]))

    columns = decode(body, NAMES, len(table), "here")

    assert list(zip(*columns.values(), strict=True)) == table


HOSTILE = [
    None, "", "NULL", r"\N", r"\\N", "\\", "\\\\", r"\.", r"\t", "\t", "\n", "\r", "\r\n", "\b", "\f", "\v", " ",
    "O'Keefe", '"', "a,b", "👜", "é", "\u2028", "\x85", "\x1f", "007",
]  # fmt: skip


def test_postgres_itself_writes_what_we_read(server):
    with server.connect() as connection:
        connection.run("CREATE TEMP TABLE said (number serial, words text)")
        for words in HOSTILE:
            connection.run("INSERT INTO said (words) VALUES (:words)", words=words)
        sink = io.BytesIO()
        connection.run("COPY (SELECT number::text, words FROM said ORDER BY said.number) TO STDOUT", stream=sink)

    columns = decode(packed(sink.getvalue()), ("number", "words"), len(HOSTILE), "here")

    assert columns["words"] == HOSTILE
    assert sink.getvalue() == copy_text(
        ("number", "words"), [{"number": str(place + 1), "words": words} for place, words in enumerate(HOSTILE)]
    )


def test_an_object_without_rows_has_empty_columns():
    columns = decode(packed(b""), NAMES, 0, "here")

    assert {name: list(column) for name, column in columns.items()} == {"a": [], "b": [], "c": []}


GOOD = b"1\t2\t3\n4\t5\t6\n"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (packed(b"1\t2\t3\n"), "1 lines"),
        (packed(GOOD * 2), "4 lines"),
        (packed(b"1\t2\n3\t4\t5\t6\n"), "2 lines"),
        (packed(b"1\n2\t3\n4\t5\t6\n"), "3 lines with 6 fields"),
        (packed(b"1\t2\t3\n4\t5\t6"), "1 lines"),
        (packed(b""), "0 lines"),
        (packed(GOOD + b"7"), "2 lines with 6 fields and a piece of one more"),
        (packed(b"1\t2\t\xff\n4\t5\t6\n"), "UTF-8"),
        (packed(b"1\t2\t\\x\n4\t5\t6\n"), "COPY text"),
        (packed(b"1\t2\t3\\\n4\t5\t6\n"), "COPY text"),
        (packed(GOOD)[:-3], "cut short"),
        (packed(GOOD)[:15], "cut short"),
        (packed(GOOD) + b"more", "followed by more"),
        (packed(GOOD)[:-8] + bytes(8), "Expected gzip"),
        (GOOD, "Expected gzip"),
        (b"", "cut short"),
    ],
)
def test_damage_is_refused_in_one_sentence_that_says_where(body, found):
    with pytest.raises(CorruptObject, match=found) as refused:
        decode(body, NAMES, 2, "archive/here")

    assert "archive/here" in str(refused.value)


def test_a_small_object_that_decompresses_to_a_huge_one_is_refused():
    bomb = packed(bytes(MAX_TEXT_BYTES + 1))

    with pytest.raises(CorruptObject, match="Expected at most"):
        decode(bomb, NAMES, 2, "here")
