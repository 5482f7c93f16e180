"""A large merge checks its foreign keys all at once, as strongly as Postgres' own triggers."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.star import FactSalesOrder
from services.loader.references import MANY_ROWS
from services.loader.staging import distinct
from services.loader.warehouse import Warehouse
from shared.errors import PipelineError
from shared.postgres import Connection, DatabaseError
from tests.conftest import open_connection
from tests.loader.conftest import LOADER, Star, load_all
from tests.loader.rows import SALE, Made, at, changed
from tests.loader.test_rivals import HeldAtCommit, wait_until_it_waits

SKIP = "SET LOCAL session_replication_role = replica"
ORPHANS = """
SELECT count(*) FROM fact_sales_order f
 WHERE NOT EXISTS (SELECT FROM dim_staff d WHERE d.staff_id = f.sales_staff_id)
    OR NOT EXISTS (SELECT FROM dim_date d WHERE d.date_id = f.agreed_delivery_date)"""


class Listening:
    """A real connection that remembers what it was told."""

    def __init__(self, real: Connection) -> None:
        self._real = real
        self.heard: list[str] = []

    def run(self, sql: str, **arguments: Any) -> Any:
        self.heard.append(sql)
        return self._real.run(sql, **arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture(params=["held", "by triggers"])
def login(request: pytest.FixtureRequest, trusted: str) -> str:
    return trusted if request.param == "held" else LOADER


def many(revision: int = 10, rows: int = MANY_ROWS, **values: Any) -> Made:
    """As many sales as a merge needs to be large, of three people."""
    return changed(
        FactSalesOrder,
        [{**SALE, "sales_order_id": n, "sales_staff_id": 7 + n % 3, **values} for n in range(rows)],
        at(1, revision),
    )


def heard_of(star: Star, login: str, *made: Made) -> list[str]:
    listening = Listening(open_connection(star.dsn(login)))
    star.opened.append(listening)  # type: ignore[arg-type]
    load_all(Warehouse(lambda: listening, star.schema), *made)  # type: ignore[arg-type,return-value]
    return listening.heard


def test_a_large_merge_leaves_the_triggers_out_where_its_login_may(star: Star, trusted: str) -> None:
    assert SKIP in heard_of(star, trusted, many())
    assert SKIP not in heard_of(star, LOADER, many(20, units_sold=1))
    assert SKIP not in heard_of(star, trusted, many(30, rows=2, units_sold=2))
    assert star.rows("SELECT count(*) FROM fact_sales_order") == [[2 * MANY_ROWS + 2]]
    assert star.rows(ORPHANS) == [[0]]


def test_a_late_and_large_merge_ends_in_the_same_rows_for_either_login(star: Star, login: str) -> None:
    """It splits each key's run, so that versions are inserted from the batch and copied from other versions."""
    warehouse = star.warehouse(login=login)
    for revision, units in ((10, 1000), (30, 1000), (20, 5)):
        load_all(warehouse, many(revision, units_sold=units))

    versions = star.rows("SELECT _revision, units_sold, count(*) FROM fact_sales_order GROUP BY 1, 2 ORDER BY 1")

    assert versions == [[10, 1000, MANY_ROWS], [20, 5, MANY_ROWS], [30, 1000, MANY_ROWS]]


def test_a_member_that_another_session_has_deleted_is_waited_for_and_its_rows_are_refused(
    star: Star, login: str
) -> None:
    """Redelivered, they find it missing and infer it again."""
    load_all(star.warehouse(), changed(FactSalesOrder, [{**SALE, "sales_order_id": -1}], at(1, 5)))
    star.rows("INSERT INTO dim_staff SELECT 8, 'a', 'b', 'c', 'd', 'e', 0, 0, 0 RETURNING 1")
    other = star.connect()
    other.run("BEGIN; DELETE FROM dim_staff WHERE staff_id = 8")

    with ThreadPoolExecutor(1) as loader:
        loading = loader.submit(load_all, star.warehouse(login=login), many())
        wait_until_it_waits(star, loading)
        other.run("COMMIT")
        with pytest.raises(PipelineError, match="violates foreign key constraint"):
            loading.result()

    assert star.rows("SELECT count(*) FROM fact_sales_order") == [[1]]
    load_all(star.warehouse(login=login), many())
    assert star.rows(ORPHANS) == [[0]]
    assert star.rows("SELECT first_name FROM dim_staff WHERE staff_id = 8") == [["Unknown"]]


def test_a_member_that_is_referred_to_cannot_be_deleted_before_or_after_the_commit(star: Star, login: str) -> None:
    held = HeldAtCommit(open_connection(star.dsn(login)))
    star.opened.append(held)  # type: ignore[arg-type]
    load_all(star.warehouse(), changed(FactSalesOrder, [SALE], at(1, 5)))
    star.rows("INSERT INTO dim_staff SELECT 8, 'a', 'b', 'c', 'd', 'e', 0, 0, 0 RETURNING 1")

    with ThreadPoolExecutor(2) as sessions:
        loading = sessions.submit(load_all, Warehouse(lambda: held, star.schema), many())  # type: ignore[arg-type,return-value]
        while not held.reached.is_set() and not loading.done():
            pass
        deleting: Future[Any] = sessions.submit(star.rows, "DELETE FROM dim_staff WHERE staff_id = 8 RETURNING 1")
        wait_until_it_waits(star, deleting)
        waited = not deleting.done()
        held.go.set()
        loading.result()
        with pytest.raises(DatabaseError, match="still referenced"):
            deleting.result()

    assert waited
    assert star.rows(ORPHANS) == [[0]]


@pytest.mark.parametrize(
    "added",
    [
        "CREATE TRIGGER noted BEFORE INSERT ON fact_sales_order FOR EACH ROW EXECUTE FUNCTION note()",
        "CREATE TRIGGER noted BEFORE INSERT ON _unversioned_sales_order FOR EACH ROW EXECUTE FUNCTION note()",
        "CREATE RULE noted AS ON INSERT TO fact_sales_order DO ALSO INSERT INTO noted VALUES (1)",
        "ALTER TABLE fact_sales_order ADD CONSTRAINT noted FOREIGN KEY (units_sold) REFERENCES noted",
    ],
    ids=["trigger", "trigger on bookkeeping", "rule", "key of the owner's"],
)
def test_what_an_owner_has_added_fires_as_ever(star: Star, trusted: str, added: str) -> None:
    star.rows(
        "CREATE TABLE noted (n int PRIMARY KEY); INSERT INTO noted VALUES (1000); GRANT ALL ON noted TO PUBLIC;"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    )
    star.rows(added)
    star.rows("ALTER TABLE noted DROP CONSTRAINT IF EXISTS noted_pkey" if "RULE" in added else "SELECT 1")

    assert SKIP not in heard_of(star, trusted, many())


@given(
    st.one_of(
        st.lists(st.integers(-(2**31), 2**31 - 1)).map(lambda values: np.array(values, "int32")),
        st.lists(st.integers(-5, 5)).map(lambda values: np.array(values, "int32")),
        st.lists(st.dates(date(1, 1, 1), date(9999, 12, 31))).map(lambda values: np.array(values, "datetime64[D]")),
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_distinct_values_are_those_of_sorting(values: Any) -> None:
    found = distinct(values)

    assert found.dtype == values.dtype
    assert found.tolist() == sorted(set(values.tolist()))
