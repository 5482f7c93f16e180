"""What the generated statements cost the source: a plan is read, no time is taken."""

from typing import Any

import pytest

from contracts.feeds import FEEDS
from shared.totesys import sql
from shared.totesys.snapshot import Conditions
from tests.conftest import Source

VERSION = 180000
FEED = FEEDS["sales_order"]


def plan(totesys: Source, copy: str, **values: str) -> dict[str, Any]:
    """How the source means to run a COPY over many orders."""
    query = copy.removeprefix("COPY (").rpartition(") TO STDOUT")[0]
    with totesys.connect() as connection:
        connection.run("ALTER TABLE sales_order DISABLE TRIGGER ALL")
        connection.run(
            "INSERT INTO sales_order (design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id, "
            "agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id) "
            "SELECT 1, 1, 1, 1, 1, 1, '2026-01-01', '2026-01-01', 1 FROM generate_series(1, 20000)"
        )
        connection.run("ANALYZE sales_order")
        connection.run("BEGIN")
        for name, value in values.items():
            connection.run("SELECT set_config(:name, :value, true)", name=f"totes.{name}", value=value)
        return connection.run(f"EXPLAIN (FORMAT json) {query}")[0][0][0]["Plan"]


def nodes(found: dict[str, Any]) -> list[str]:
    return [found["Node Type"], *(one for below in found.get("Plans", ()) for one in nodes(below))]


def test_a_page_of_a_backfill_is_read_off_the_primary_key_and_sorted_nowhere(totesys: Source):
    copy = sql.copy_rows(FEED, "public", Conditions(), server_version=VERSION)

    assert nodes(plan(totesys, copy, after="10000", limit="5000")) == ["Subquery Scan", "Limit", "Index Scan"]


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_a_text_is_made_once_for_its_column_and_the_hash_of_its_row(feed):
    texts = {column: sql._text(feed, column) for column in feed.columns}

    for copy in (
        sql.copy_rows(feed, "public", Conditions(), server_version=VERSION),
        sql.copy_rows_of_keys(feed, "public", server_version=VERSION),
    ):
        assert {column: copy.count(text) for column, text in texts.items()} == dict.fromkeys(texts, 1)
