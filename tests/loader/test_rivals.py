"""Another session has written what a loader is about to write, and has not committed yet."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from contracts.star import DimStaff, FactSalesOrder
from tests.loader.conftest import Star, load_all
from tests.loader.rows import SALE, STAFF, Made, at, changed

INFERRED = """
INSERT INTO dim_staff (staff_id, first_name, last_name, department_name, location, email_address,
                       _generation, _revision, _contract)
VALUES (7, 'Unknown', 'Unknown', 'Unknown', 'Unknown', 'Unknown', 0, 0, 0)"""
DATE = """
INSERT INTO dim_date (date_id, year, month, day, day_of_week, day_name, month_name, quarter)
VALUES ('2026-11-27', 2026, 11, 27, 5, 'Friday', 'November', 4)"""


def a_fact() -> Made:
    return changed(FactSalesOrder, [SALE], at(1, 10))


def the_member() -> Made:
    return changed(DimStaff, [STAFF], at(1, 10))


@pytest.mark.parametrize(
    ("rival", "make", "found"),
    [
        (INFERRED, a_fact, "SELECT location FROM dim_staff JOIN fact_sales_order ON sales_staff_id = staff_id"),
        (INFERRED, the_member, "SELECT location FROM dim_staff"),
        (DATE, a_fact, "SELECT day_name FROM dim_date JOIN fact_sales_order ON agreed_delivery_date = date_id"),
    ],
    ids=["a member that a fact needs", "a member's own row", "a date that a fact needs"],
)
def test_a_key_that_another_session_inserts_meanwhile_is_waited_for_and_refused_by_nobody(
    star: Star, rival: str, make: Callable[[], Any], found: str
) -> None:
    other = star.connect()
    other.run(f"BEGIN; {rival}")

    with ThreadPoolExecutor(1) as loader:
        loading = loader.submit(load_all, star.warehouse(), make())
        while not star.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] and not loading.done():
            pass
        other.run("COMMIT")
        report = loading.result()

    assert len(report.loaded) == 1
    assert star.rows(found) in ([["Unknown"]], [["Leds"]], [["Friday"]])
    assert star.pauses == []
