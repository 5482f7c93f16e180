"""Asking changes nothing, and says in one sentence what stands in its way."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from contracts.star import FactSalesOrder
from services.insight.ask import ask
from services.insight.catalogue import Question, questions
from services.insight.view import as_csv
from shared.errors import ConfigurationError, PipelineError, Unavailable
from tests.insight.conftest import asked
from tests.insight.shop import NOW
from tests.loader.conftest import SCHEMA, Star, load_all
from tests.loader.rows import SALE, at, changed

REVENUE = {"by": "month", "from": None, "to": None, "currency": None, "rates": None}


def test_currencies_that_are_not_read_yet_are_not_added_up(star: Star) -> None:
    """Both are inferred members, Unknown by their code."""
    rows = [{**SALE, "sales_order_id": 1, "currency_id": 1}, {**SALE, "sales_order_id": 2, "currency_id": 2}]
    load_all(star.warehouse(), changed(FactSalesOrder, rows, at(1, 1)))

    for question in ("revenue", "sales-by-country", "sales-by-department", "sales-by-staff", "sales-by-design"):
        found = asked(star, question)
        money = [dict(zip(found.columns, row, strict=True)) for row in found.rows]

        assert [(one["currency"], one["revenue"]) for one in money] == [("Unknown", Decimal("2500.00"))] * 2


def test_a_source_of_another_time_zone_is_reckoned_from_its_own_midnight(star: Star) -> None:
    """Made at 00:30 in London, in summer, which is 23:30 UTC on the day before, and read at once."""
    made = {**SALE, "created_date": date(2026, 7, 2), "created_time": datetime(2026, 7, 2, 0, 30).time()}  # noqa: DTZ001
    moment = datetime(2026, 7, 1, 23, 30, 1, tzinfo=UTC)
    batches = [
        changed(FactSalesOrder, [made], at(1, 1), as_of=moment, time_zone="Europe/London"),
        changed(
            FactSalesOrder,
            [{**made, "units_sold": 1}],
            at(1, 2),
            as_of=datetime(2026, 7, 2, 23, 30, tzinfo=UTC),
            time_zone="Europe/London",
        ),
    ]
    for batch in batches:
        load_all(star.warehouse(), batch)

    assert as_csv(asked(star, "order-changes")).splitlines()[1].endswith(",1.00")
    assert asked(star, "sales-orders-as-of", at="2026-07-01T23:30").rows[0][5] == 1000
    assert asked(star, "sales-orders-as-of", at="2026-07-01T23:29:59").rows == ()


def test_asking_with_a_login_that_may_write_writes_nothing(shop: Star) -> None:
    rogue = Question("rogue", "", "", "", "", (), "UPDATE dim_staff SET first_name = 'Mallory'")

    with pytest.raises(PipelineError, match="read-only transaction"):
        ask(shop.owner_dsn, SCHEMA, rogue, {})

    assert shop.rows("SELECT count(*) FROM dim_staff WHERE first_name = 'Mallory'") == [[0]]


@pytest.mark.parametrize("schema", ["elsewhere", 'a"; DROP SCHEMA warehouse CASCADE; --'])
def test_a_schema_without_the_views_is_told_as_such(shop: Star, schema: str) -> None:
    with pytest.raises(ConfigurationError, match="Expected the warehouse's views in the schema"):
        ask(shop.owner_dsn, schema, questions()["revenue"], REVENUE)

    assert asked(shop, "revenue").rows


def test_a_login_that_may_not_read_is_told_as_such(shop: Star, star: Star) -> None:
    star.rows("REVOKE SELECT ON ALL TABLES IN SCHEMA warehouse FROM totes_analyst")

    with pytest.raises(ConfigurationError, match="lacks a privilege"):
        asked(star, "revenue")


def test_a_warehouse_that_does_not_answer_may_answer_later() -> None:
    with pytest.raises(Unavailable, match=r"Expected a Postgres server at 127\.0\.0\.1:1/warehouse"):
        ask("postgresql://analyst@127.0.0.1:1/warehouse", SCHEMA, questions()["revenue"], REVENUE)


def test_hostile_values_are_values(shop: Star) -> None:
    hostile = {**REVENUE, "currency": "'; DROP VIEW current_sales_order; --"}

    assert ask(shop.owner_dsn, SCHEMA, questions()["revenue"], hostile).rows == ()
    assert ask(shop.owner_dsn, SCHEMA, questions()["freshness"], {"at": NOW}).rows
