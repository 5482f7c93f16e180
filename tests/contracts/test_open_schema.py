"""Rows drawn from each source contract's open JSON Schema: every validator agrees, and what passes can be loaded."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.columnar import RULE, validate
from contracts.feeds import FEEDS, Feed
from contracts.messages import ROW_HASH
from contracts.source import Row
from services.ops.contracts.published import Schema
from services.transform.star import BUILDERS
from shared import parquet
from tests.contracts.drawn import SOURCES, Drawn, Validator, meant, obeys, rows, texts_of

EACH_FEED = pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
EACH_STAR = pytest.mark.parametrize("feed", [feed for feed in FEEDS.values() if feed.star], ids=lambda feed: feed.name)
DRAWS = settings(max_examples=25, deadline=None)
NO_TEXT: st.SearchStrategy[Any] = st.one_of(st.integers(), st.booleans(), st.floats(), st.lists(st.text(), max_size=1))
OPEN = {name: st.lists(rows(source.read), min_size=1, max_size=4) for name, source in SOURCES.items()}
SENT = {name: rows(source.read, NO_TEXT) for name, source in SOURCES.items()}


def columns_of(drawn: list[Drawn]) -> dict[str, list[Any]]:
    """The rows as columns, those that only some of them have too."""
    names = {name: None for row in drawn for name in row}
    return {name: [row.get(name) for row in drawn] for name in names}


def refusal(model: type[Row], row: Drawn) -> tuple[str, str, str] | None:
    """The first offending field, the class of its reason, and the reason; None where the row model takes the row."""
    try:
        model.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"]:
            return str(first["loc"][0]), first["type"], first["msg"]
        return "", RULE, str(first["ctx"]["error"])
    return None


@EACH_FEED
@DRAWS
@given(data=st.data())
def test_columns_and_rows_agree_in_verdict_field_and_reason_whatever_else_the_source_sends(feed: Feed, data: Any):
    drawn = data.draw(OPEN[feed.name])

    validated = validate(feed.row, columns_of(drawn))

    refusals = {number: said for number, row in enumerate(drawn) if (said := refusal(feed.row, row))}
    assert {each.row: (each.field, each.reason_class, each.reason) for each in validated.failures} == refusals
    assert list(validated.rows) == [number for number in range(len(drawn)) if number not in refusals]
    assert list(validated.columns) == list(feed.columns)


@EACH_STAR
@DRAWS
@given(data=st.data())
def test_what_passes_is_transformed_and_is_read_back_as_it_was_written(feed: Feed, data: Any):
    drawn = data.draw(OPEN[feed.name])
    validated = validate(feed.row, columns_of(drawn))

    columns = {**BUILDERS[feed.star.table](validated.columns), ROW_HASH: np.arange(len(validated.rows), dtype="int64")}
    found = parquet.read(feed.star, parquet.write(feed.star, columns))

    assert list(found) == [*(column.name for column in feed.star.columns()), ROW_HASH]
    assert {name: array.tolist() for name, array in found.items()} == {name: columns[name].tolist() for name in columns}
    assert {len(array) for array in found.values()} == {len(validated.rows)}


def values(schema: Schema, row: Drawn) -> dict[str, Any] | None:
    """What a row that the schema takes stands for; None where a text of it stands for nothing, or breaks a rule."""
    try:
        texts = texts_of(schema)
        found = {name: None if row[name] is None else meant(row[name], texts[name]) for name in texts}
    except ValueError:
        return None
    return found if obeys(row, schema) else None


@EACH_FEED
@DRAWS
@given(data=st.data())
def test_the_model_takes_what_the_schema_takes_if_it_stands_for_a_value_and_nothing_else(feed: Feed, data: Any):
    schema = SOURCES[feed.name].read
    row = data.draw(SENT[feed.name])
    lost = data.draw(st.one_of(st.none(), st.none(), st.sampled_from(sorted(row))))
    sent = {name: value for name, value in row.items() if name != lost}

    expected = values(schema, sent) if Validator(schema).is_valid(sent) else None

    if expected is None:
        assert refusal(feed.row, sent) is not None
    else:
        assert feed.row.model_validate(sent).model_dump() == expected


ORDER = {
    "sales_order_id": "1", "created_at": "2024-01-01 10:00:00.123", "last_updated": "2024-01-01 10:00:00",
    "design_id": "2", "staff_id": "3", "counterparty_id": "4", "units_sold": "5", "unit_price": "2.50",
    "currency_id": "6", "agreed_delivery_date": "2024-01-02", "agreed_payment_date": "2024-01-03",
    "agreed_delivery_location_id": "7",
}  # fmt: skip
SALE = {
    "transaction_id": "1", "transaction_type": "SALE", "sales_order_id": "1", "purchase_order_id": None,
    "created_at": "2024-01-01 10:00:00", "last_updated": "2024-01-01 10:00:00",
}  # fmt: skip


@pytest.mark.parametrize(
    ("feed", "row"),
    [
        ("sales_order", {**ORDER, "agreed_payment_date": "2023-02-29"}),
        ("sales_order", {**ORDER, "agreed_payment_date": "0000-01-01"}),
        ("sales_order", {**ORDER, "created_at": "2024-01-01 24:00:00"}),
        ("sales_order", {**ORDER, "created_at": "2024-01-01 23:59:60"}),
        ("sales_order", {**ORDER, "units_sold": "2147483648"}),
        ("sales_order", {**ORDER, "unit_price": "100000000.00"}),
        ("transaction", {**SALE, "sales_order_id": None, "purchase_order_id": "1"}),
    ],
    ids=["a day", "a year", "an hour", "a second", "an integer", "money", "a rule"],
)
def test_the_schema_alone_is_wider_than_the_model_where_no_pattern_can_tell(feed: str, row: Drawn):
    assert Validator(SOURCES[feed].read).is_valid(row)
    assert values(SOURCES[feed].read, row) is None
    assert refusal(FEEDS[feed].row, row) is not None


def test_the_written_schema_refuses_the_unknown_column_that_the_open_one_ignores():
    row = {**SALE, "colour": "red"}

    assert Validator(SOURCES["transaction"].read).is_valid(row)
    assert not Validator(SOURCES["transaction"].written).is_valid(row)
    assert refusal(FEEDS["transaction"].row, row) is None
