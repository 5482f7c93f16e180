"""What the generated statements cost the source: a plan is read, no time is taken."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.feeds import FEEDS
from shared.totesys import sql
from shared.totesys.snapshot import Conditions
from tests.conftest import Source

VERSION = 180000
FEED = FEEDS["sales_order"]


def plan(totesys: Source, copy: str, *, first: str = "", **values: str) -> dict[str, Any]:
    """How the source means to run a COPY over many orders; `first` is done to the table before."""
    query = copy.removeprefix("COPY (").rpartition(") TO STDOUT")[0]
    with totesys.connect() as connection:
        connection.run("ALTER TABLE sales_order DISABLE TRIGGER ALL")
        connection.run(
            "INSERT INTO sales_order (design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id, "
            "agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id) "
            "SELECT 1, 1, 1, 1, 1, 1, '2026-01-01', '2026-01-01', 1 FROM generate_series(1, 20000)"
        )
        connection.run(f"{first}; ANALYZE sales_order")
        connection.run("BEGIN")
        for name, value in values.items():
            connection.run("SELECT set_config(:name, :value, true)", name=f"totes.{name}", value=value)
        return connection.run(f"EXPLAIN (FORMAT json) {query}")[0][0][0]["Plan"]


def nodes(found: dict[str, Any]) -> list[str]:
    return [found["Node Type"], *(one for below in found.get("Plans", ()) for one in nodes(below))]


def test_a_page_of_a_backfill_is_read_off_the_primary_key_and_sorted_nowhere(totesys: Source):
    copy = sql.copy_rows(FEED, "public", Conditions(), server_version=VERSION)

    assert nodes(plan(totesys, copy, after="10000", limit="5000")) == ["Subquery Scan", "Limit", "Index Scan"]


def scan(found: dict[str, Any]) -> dict[str, Any]:
    """The node that reads the orders."""
    below = [scan(one) for one in found.get("Plans", ())]
    return found if found.get("Relation Name") == "sales_order" else next(filter(None, below), {})


FEW = 200
"""Of 20,000: a value that the planner does not know is taken for a third of them, and the ids for a third of those."""
FUTURE = {"after": "0", "limit": "5000", "look_back": "2999-01-01", "oldest_new_id": "0", "xmax": "0"}
SINCE = sql.copy_rows(FEED, "public", Conditions(datetime(2999, 1, 1, tzinfo=UTC), 0), server_version=VERSION)


def test_what_is_read_once_a_statement_refuses_a_row_before_anything_is_read_for_it(totesys: Source):
    """A setting that is read for each of a million rows takes ten times as long."""
    found = scan(plan(totesys, SINCE, **FUTURE))["Filter"]

    assert re.search(r"last_updated >= \(InitPlan", found), found
    assert found.index("InitPlan") < found.index("current_setting")


def test_an_index_on_last_updated_serves_and_the_planner_knows_how_few_rows_are_new(totesys: Source):
    found = scan(plan(totesys, SINCE, first="CREATE INDEX recent ON sales_order (last_updated)", **FUTURE))

    assert found["Index Name"] == "recent"
    assert found["Plan Rows"] < FEW


def test_the_parts_of_a_checksum_are_told_by_what_is_read_once_a_statement(totesys: Source):
    copy = sql.copy_checksums(FEED, "public", server_version=VERSION)
    grouped = plan(totesys, copy, low="0", high="20000", width="1000")

    assert "current_setting" not in str(grouped["Group Key"])


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_a_text_is_made_once_for_its_column_and_the_hash_of_its_row(feed):
    texts = {column: sql._text(feed, column) for column in feed.columns}

    for copy in (
        sql.copy_rows(feed, "public", Conditions(), server_version=VERSION),
        sql.copy_rows_of_keys(feed, "public", server_version=VERSION),
    ):
        assert {column: copy.count(text) for column, text in texts.items()} == dict.fromkeys(texts, 1)


def test_a_page_without_hashes_is_read_off_the_primary_key_too(totesys: Source):
    copy = sql.copy_unhashed(FEED, "public", Conditions())

    assert nodes(plan(totesys, copy, after="10000", limit="5000")) == ["Limit", "Index Scan"]
