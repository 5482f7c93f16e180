"""Loaders whose rows are all of one position work beside each other; whatever else would load the star table waits."""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.star import FactPayment, FactSalesOrder
from services.loader.load import Report
from services.loader.warehouse import Warehouse, take_lock, take_lock_beside
from shared.postgres import Connection, DatabaseError
from tests.loader.conftest import Star, connect_as_loader, load_all
from tests.loader.rows import PAYMENT, SALE, Made, again, at, changed, deleted
from tests.loader.test_rivals import HeldAtCommit

PATIENCE = 30.0
LOCKED_OUT = "55P03"


def sales(*keys: int, revision: int = 10, units_sold: int = 1000, **options: Any) -> Made:
    rows = [{**SALE, "sales_order_id": key, "units_sold": units_sold} for key in keys]
    return changed(FactSalesOrder, rows, at(1, revision), **options)


@pytest.fixture
def sessions(star: Star, trusted: str) -> list[Connection]:
    """Two loaders in the middle of a transaction, neither of which waits for a lock."""
    found = [star.connect(trusted) for _ in range(2)]
    for session in found:
        session.run("SET lock_timeout = '20ms'; BEGIN")
    return found


def test_one_position_is_loaded_side_by_side(sessions: list[Connection]) -> None:
    assert [take_lock_beside(one, FactSalesOrder, at(1, 7)) for one in sessions] == [True, True]


@pytest.mark.parametrize("other", [at(2, 7, 3), at(1, 8, 3), at(1, 7, 4), at(1, 7 + 2**31, 3)])
def test_another_position_gets_no_lock_beside(sessions: list[Connection], other: Any) -> None:
    assert take_lock_beside(sessions[0], FactSalesOrder, at(1, 7, 3))
    assert not take_lock_beside(sessions[1], FactSalesOrder, other)


def test_who_has_announced_and_waits_still_sees_that_nobody_of_another_position_begins(
    sessions: list[Connection],
) -> None:
    """Each announces before it looks: one that saw the other has no lock, and the other sees its announcement."""
    first, second = sessions
    assert take_lock_beside(first, FactSalesOrder, at(1, 7))
    assert not take_lock_beside(second, FactSalesOrder, at(1, 8))
    first.run("COMMIT; BEGIN")

    assert not take_lock_beside(first, FactSalesOrder, at(1, 7))


def test_another_star_table_is_no_neighbour(sessions: list[Connection]) -> None:
    assert take_lock_beside(sessions[0], FactSalesOrder, at(1, 7))
    assert take_lock_beside(sessions[1], FactPayment, at(1, 8))


@pytest.mark.parametrize("beside_first", [True, False])
def test_the_whole_lock_and_the_shared_one_exclude_each_other(sessions: list[Connection], beside_first: bool) -> None:
    locks = [
        lambda session: take_lock_beside(session, FactSalesOrder, at(1, 7)),
        lambda session: take_lock(session, FactSalesOrder),
    ]
    first, second = locks if beside_first else locks[::-1]
    first(sessions[0])

    with pytest.raises(DatabaseError) as refused:
        second(sessions[1])
    assert refused.value.args[0]["C"] == LOCKED_OUT


@contextmanager
def about_to_commit(star: Star, login: str, *made: Made) -> Iterator[HeldAtCommit]:
    """A loader that has loaded these and does not commit before the context ends."""
    pausing = HeldAtCommit(connect_as_loader(star.dsn(login)))
    star.opened.append(pausing)  # type: ignore[arg-type]
    warehouse = Warehouse(lambda: pausing, star.schema)  # type: ignore[arg-type,return-value]
    with ThreadPoolExecutor(1) as pool:
        loaded = pool.submit(load_all, warehouse, *made, many_rows=1)
        assert pausing.reached.wait(PATIENCE)
        try:
            yield pausing
        finally:
            pausing.go.set()
            loaded.result(PATIENCE)


def waits(star: Star) -> Iterator[bool]:
    """Whether a session waits for a lock, look after look."""
    with star.connect() as watcher:
        while True:
            yield watcher.run("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != [[0]]


def in_its_own_thread(pool: ThreadPoolExecutor, star: Star, login: str, made: Made) -> "Future[Report]":
    return pool.submit(load_all, star.warehouse(login=login), made, many_rows=1)


def test_a_page_of_the_same_snapshot_reaches_the_fact_before_the_other_has_committed(star: Star, trusted: str) -> None:
    with ThreadPoolExecutor(1) as pool, about_to_commit(star, trusted, sales(1, 2)):
        beside = in_its_own_thread(pool, star, trusted, sales(3, 4))
        # Both write down what they loaded of one feed, so that the second waits there and not before.
        assert next(filter(None, waits(star)))
        assert star.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == [[0]]
    assert beside.result(PATIENCE).versions == 2
    assert star.rows("SELECT count(*) FROM fact_sales_order") == [[4]]


@pytest.mark.parametrize(
    "later",
    [sales(1, revision=20, units_sold=7), sales(3, revision=20), deleted(FactSalesOrder, [1], at(1, 20))],
    ids=["a change of the same row", "another snapshot", "a deletion"],
)
def test_whatever_is_of_another_snapshot_waits_for_the_lock(star: Star, trusted: str, later: Made) -> None:
    with ThreadPoolExecutor(1) as pool, about_to_commit(star, trusted, sales(1, 2)):
        waiting = in_its_own_thread(pool, star, trusted, later)
        assert next(filter(None, waits(star)))
        assert star.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == [[1]]
    assert waiting.result(PATIENCE).loaded == (later.batch.id,)


def test_one_row_that_two_pages_bring_of_one_position_is_there_once(star: Star, trusted: str) -> None:
    """As when a poller dies behind a page that it sent, and the next one reads the same snapshot anew."""
    page = sales(1, 2)
    with ThreadPoolExecutor(1) as pool, about_to_commit(star, trusted, page):
        twin = in_its_own_thread(pool, star, trusted, again(page))
        assert next(filter(None, waits(star)))
    assert twin.result(PATIENCE).versions == 0
    assert len(star.pauses) == 1  # the key was there: the same work once more
    assert star.rows("SELECT sales_order_id FROM fact_sales_order ORDER BY 1") == [[1], [2]]
    assert star.rows("SELECT count(*) FROM _load_batch") == [[2]]


@pytest.mark.no_cover
@given(
    st.lists(
        st.tuples(st.sampled_from([10, 20]), st.lists(st.integers(1, 6), min_size=1, max_size=4, unique=True)),
        min_size=2,
        max_size=6,
    )
)
@settings(max_examples=15, deadline=None)
def test_any_pages_by_two_loaders_at_once_end_like_by_one(
    common_star: Star, trusted: str, pages: Sequence[tuple[int, list[int]]]
) -> None:
    first_key = next(_keys)
    made = [
        changed(
            FactPayment,
            [{**PAYMENT, "payment_id": first_key + key, "payment_type_id": revision} for key in sorted(keys)],
            at(1, revision),
        )
        for revision, keys in pages
    ]
    with ThreadPoolExecutor(2) as pool:
        halves = [
            pool.submit(load_each, common_star.warehouse(login=trusted), half) for half in (made[::2], made[1::2])
        ]
        for half in halves:
            half.result(PATIENCE)

    seen = {(key, revision) for revision, keys in pages for key in keys}
    found = common_star.rows(
        "SELECT payment_id - CAST(:first AS int), _revision FROM fact_payment WHERE payment_id >= :first "
        "AND payment_id < CAST(:first AS int) + 10 ORDER BY 1, 2",
        first=first_key,
    )
    assert found == sorted([key, revision] for key, revision in seen)


def load_each(warehouse: Warehouse, made: Sequence[Made]) -> None:
    for one in made:
        load_all(warehouse, one, many_rows=1)


_keys = itertools.count(1_000_000, 10)
