"""Another session has written what a loader is about to write or must know of, and has not committed yet."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from contracts.star import DimStaff, FactSalesOrder
from services.loader.references import MANY_ROWS
from services.loader.warehouse import Warehouse
from tests.conftest import open_connection
from tests.loader.conftest import LOADER, Star, load_all
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
        wait_until_it_waits(star, loading)
        other.run("COMMIT")
        report = loading.result()

    assert len(report.loaded) == 1
    assert star.rows(found) in ([["Unknown"]], [["Leds"]], [["Friday"]])
    assert star.pauses == []


def wait_until_it_waits(star: Star, loading: "Future[Any]") -> None:
    """For a lock of another session; one that waits for none is done."""
    while not star.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] and not loading.done():
        pass


class HeldAtCommit:
    """A connection whose COMMIT waits for a word."""

    def __init__(self, real: Any) -> None:
        self._real, self.reached, self.go = real, Event(), Event()

    def run(self, sql: str, **arguments: Any) -> Any:
        if sql == "COMMIT":
            self.reached.set()
            self.go.wait()
        return self._real.run(sql, **arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("many_rows", [1, MANY_ROWS], ids=["staged before the lock", "staged under it"])
def test_two_loaders_of_one_fact_at_once_know_of_each_other_and_double_no_version(star: Star, many_rows: int) -> None:
    load_all(star.warehouse(), changed(FactSalesOrder, [{**SALE, "sales_order_id": 2}], at(1, 5)))  # all its members
    held = HeldAtCommit(open_connection(star.dsn(LOADER)))
    star.opened.append(held)
    first, second = (changed(FactSalesOrder, [SALE], at(1, revision)) for revision in (10, 20))

    with ThreadPoolExecutor(2) as loaders:
        loading = loaders.submit(load_all, Warehouse(lambda: held, star.schema), first, many_rows=many_rows)
        while not held.reached.is_set() and not loading.done():
            pass
        also = loaders.submit(load_all, star.warehouse(), second, many_rows=many_rows)
        wait_until_it_waits(star, also)
        held.go.set()
        reports = [loading.result(), also.result()]

    assert [len(report.loaded) for report in reports] == [1, 1]
    assert star.rows("SELECT _revision FROM fact_sales_order WHERE sales_order_id = 1") == [[10]]
    assert star.rows("SELECT DISTINCT revision FROM _seen_sales_order WHERE key = 1 ORDER BY 1") == [[10], [20]]
    assert star.pauses == []  # who waited saw what was committed meanwhile, so nothing had to be tried again


def test_what_another_loader_brought_while_the_stage_was_filled_is_not_merged_again(star: Star) -> None:
    held = HeldAtCommit(open_connection(star.dsn(LOADER)))
    star.opened.append(held)
    both, mine = (changed(FactSalesOrder, [{**SALE, "sales_order_id": key}], at(1, 10 * key)) for key in (1, 2))

    with ThreadPoolExecutor(2) as loaders:
        rival = loaders.submit(load_all, Warehouse(lambda: held, star.schema), both, many_rows=1)
        while not held.reached.is_set() and not rival.done():
            pass
        loading = loaders.submit(load_all, star.warehouse(), both, mine, many_rows=1)
        wait_until_it_waits(star, loading)
        held.go.set()
        report = loading.result()

    assert (report.loaded, report.already_there) == ((mine.batch.id,), (both.batch.id,))
    assert report.rows == 1
    assert star.rows("SELECT sales_record_id, sales_order_id FROM fact_sales_order ORDER BY 1") == [[1, 1], [2, 2]]
