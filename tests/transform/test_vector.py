"""What is parsed at once is what pydantic parses value by value; what is not plain is left to pydantic."""

import gzip
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import fields
from contracts.columnar import adapters, validate
from contracts.feeds import FEEDS, Feed
from contracts.source import PaymentRow, Row, SalesOrderRow, TransactionRow
from services.transform import star, vector
from services.transform.archive import decode
from tests.contracts.rows import BROKEN, DATES, INTEGERS, MONEY, TIMESTAMPS, rows
from tests.contracts.test_columnar import verdict_of_the_row_model
from tests.transform.archived import copy_text

EACH_FEED = pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
ORDER, PAYMENT = adapters(SalesOrderRow), adapters(PaymentRow)
CENTS = st.builds("{}{}.{:02d}".format, st.sampled_from(["", "-"]), st.integers(0, 99_999_999), st.integers(0, 99))
AMOUNTS = st.builds("{}{}.{:02d}".format, st.sampled_from(["", "-"]), st.integers(0, 10**16 - 1), st.integers(0, 99))
TYPES = {
    "int": (ORDER["units_sold"], INTEGERS, star.integers),
    "secret int": (PAYMENT["company_ac_number"], INTEGERS, star.integers),
    "price": (ORDER["unit_price"], CENTS, star.hundredths),
    "amount": (PAYMENT["payment_amount"], AMOUNTS, star.hundredths),
    "flag": (PAYMENT["paid"], st.sampled_from(["true", "false"]), star.flags),
    "date": (ORDER["agreed_payment_date"], DATES, star.dates),
    "timestamp": (ORDER["created_at"], TIMESTAMPS, star.split),
}
EACH_TYPE = pytest.mark.parametrize(("adapter", "plain", "built"), TYPES.values(), ids=list(TYPES))


def stored(texts: Sequence[str | None]):
    """A column as the archive holds it."""
    body = gzip.compress(copy_text(("a",), [{"a": text} for text in texts]), 1)
    return decode(body, ("a",), len(texts), "here")["a"]


def same(one, other) -> bool:
    """Equal arrays of one type; of a timestamp, both its arrays."""
    if isinstance(one, tuple):
        return all(map(same, one, other))
    return one.dtype == other.dtype and one.tolist() == other.tolist()


@st.composite
def altered(draw, plain):
    """A plain text with one letter more, less, or another one, above all one that lies beside the digits."""
    text = draw(plain)
    place = draw(st.integers(0, len(text)))
    letter = draw(st.sampled_from([*"/:;?0123456789-+. _eETZaf٣\0\x1f\x7f", "", "\\", "é"]))
    return text[:place] + letter + text[place + draw(st.integers(0, 1)) :]


@EACH_TYPE
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_plain_columns_are_parsed_at_once_to_what_pydantic_makes_of_them(adapter, plain, built, data):
    texts = data.draw(st.lists(plain, min_size=1, max_size=20))

    found = vector.at_once(adapter, stored(texts))

    assert found is not None
    assert same(built(found), built(adapter.validate_python(texts)))


@EACH_TYPE
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_column_with_any_other_text_is_parsed_at_once_only_to_what_pydantic_makes_of_it(adapter, plain, built, data):
    other = data.draw(st.one_of(altered(plain), MONEY, BROKEN, st.none()))
    texts = data.draw(st.permutations([other, *data.draw(st.lists(plain, max_size=3))]))

    found = vector.at_once(adapter, stored(texts))

    if found is not None:
        assert same(built(found), built(adapter.validate_python(texts)))


@EACH_FEED
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_archived_rows_get_the_verdict_and_the_values_of_columns_parsed_one_by_one_and_of_the_row_model(
    feed: Feed, data
):
    drawn = data.draw(rows(feed.row))
    texts = {name: [row[name] for row in drawn] for name in feed.columns}

    fast = validate(feed.row, {name: stored(column) for name, column in texts.items()}, vector.at_once)

    slow = validate(feed.row, texts)
    passed = [row for row in (verdict_of_the_row_model(feed.row, row) for row in drawn) if isinstance(row, Row)]
    assert (list(fast.rows), fast.failures) == (list(slow.rows), slow.failures)
    if feed.star is not None:
        build = star.BUILDERS[feed.star.table]
        modelled = {name: [getattr(row, name) for row in passed] for name in feed.columns}
        found, expected, wanted = build(fast.columns), build(slow.columns), build(modelled)
        assert list(found) == list(expected)
        assert all(same(found[name], expected[name]) and same(found[name], wanted[name]) for name in found)


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1))
def test_row_hashes_of_every_length_are_parsed_at_once(hashes):
    found = vector.parsed(vector.wide_integers, stored([str(value) for value in hashes]))

    assert found is not None
    assert found.dtype == np.int64
    assert found.tolist() == hashes


@pytest.mark.parametrize("value", [str(2**63), str(-(2**63) - 1), "9" * 19, "1" * 20, "-", "", "0x", "1 ", "-0", "007"])
def test_a_row_hash_that_is_none_is_not_parsed_at_once(value):
    assert vector.parsed(vector.wide_integers, stored(["1", value])) is None


EDGES = [
    "1900-02-29", "2000-02-29", "2023-02-29", "2024-02-29", "2100-02-29", "2024-04-31", "2024-13-01", "2024-00-10",
    "2024-01-00", "0000-12-31", "0001-01-01", "9999-12-31", "2024-01-01 24:00:00", "2024-01-01 23:60:00",
    "2024-01-01 23:59:60", "2024-01-01 23:59:59.999999", "2024-13-01 00:00:00", "0000-12-31 23:59:59",
    "2024-01-01 23:59:59:5", "2024-01-01 23:59:5935", "2024-01-01 23:59:59.", "2024-01-01 23:59:59.1234567",
]  # fmt: skip


@pytest.mark.parametrize("text", EDGES)
def test_what_stands_for_no_moment_is_left_to_pydantic(text):
    adapter, _, built = TYPES["timestamp" if " " in text else "date"]

    found = vector.at_once(adapter, stored([text]))

    try:
        expected = adapter.validate_python([text])
    except ValidationError:
        assert found is None
    else:
        assert found is not None
        assert same(built(found), built(expected))


def test_a_type_with_one_more_constraint_is_not_parsed_at_once():
    class Fewer(Row):
        units: fields.Int
        more: fields.Annotated[fields.Int, fields.Field(gt=0)]
        nullable: fields.Int | None

    found = {name: vector.at_once(adapter, stored(["1"])) for name, adapter in adapters(Fewer).items()}

    assert {name for name, column in found.items() if column is not None} == {"units", "nullable"}


@given(st.lists(st.one_of(INTEGERS, st.none()), min_size=1))
def test_integers_that_may_be_null_are_parsed_at_once(texts):
    adapter = adapters(TransactionRow)["sales_order_id"]

    found = vector.at_once(adapter, stored(texts))

    assert found is not None
    assert same(found, star.integers_or_null(adapter.validate_python(texts)))


def test_a_null_where_none_may_be_is_not_parsed_at_once():
    assert vector.at_once(ORDER["units_sold"], stored(["1", None])) is None


def test_a_column_longer_than_is_parsed_at_a_time_is_parsed_whole():
    numbers = [place * 7 - 9 if place % 3 else None for place in range(40_000)]
    texts = [None if number is None else str(number) for number in numbers]

    found = vector.parsed(vector.integers_or_null, stored(texts))
    whole = vector.parsed(vector.integers, stored([text or "0" for text in texts]))

    assert found is not None
    assert same(found, star.integers_or_null(numbers))
    assert whole is not None
    assert same(whole, star.integers([number or 0 for number in numbers]))


@pytest.mark.parametrize("place", [0, 16_383, 16_384, 39_999])
def test_a_column_longer_than_is_parsed_at_a_time_is_left_to_pydantic_for_one_value_anywhere(place: int):
    texts = ["1"] * 40_000
    texts[place] = "01"

    assert vector.parsed(vector.integers, stored(texts)) is None
