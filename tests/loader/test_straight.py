"""Rows that nobody has seen reach their fact without a stage, and it ends as if they had been staged."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import Origin
from contracts.star import FactPayment, FactSalesOrder, StarRow
from services.loader import straight
from services.loader.stage_table import stage_table
from services.loader.warehouse import Warehouse
from shared.bookkeeping import star_hash
from tests.conftest import open_connection
from tests.loader.conftest import Star, load_all
from tests.loader.rows import PAYMENT, SALE, Made, at, changed, deleted

STAGED = f"COPY {stage_table(FactSalesOrder)}"
COPIED = 'COPY "fact_sales_order"'
MADE_AT = at(3, 2**40, 2)


class Listening:
    """A connection that remembers what it was told."""

    def __init__(self, real: Any) -> None:
        self._real, self.heard = real, list[str]()

    def run(self, sql: str, **arguments: Any) -> Any:
        self.heard.append(sql)
        return self._real.run(sql, **arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def told(self, what: str) -> int:
        return sum(sql.startswith(what) for sql in self.heard)


def listening(star: Star, login: str) -> Listening:
    found = Listening(open_connection(star.dsn(login)))
    star.opened.append(found)  # type: ignore[arg-type]
    return found


def heard(star: Star, login: str, *made: Made) -> tuple[int, int]:
    """How often the loader copied into the stage, and how often into the fact."""
    listener = listening(star, login)
    load_all(Warehouse(lambda: listener, star.schema), *made, many_rows=1)  # type: ignore[arg-type,return-value]
    return listener.told(STAGED), listener.told(COPIED)


def sales(*keys: int, revision: int = 10, units_sold: int = 1000, **options: Any) -> Made:
    rows = [{**SALE, "sales_order_id": key, "units_sold": units_sold} for key in keys]
    return changed(FactSalesOrder, rows, at(1, revision), **options)


def test_first_rows_are_copied_into_the_fact_page_after_page(star: Star, trusted: str) -> None:
    first, second = sales(1, 2), sales(3, 4)

    assert heard(star, trusted, second, first) == (0, 2)
    assert star.rows("SELECT sales_record_id, sales_order_id FROM fact_sales_order ORDER BY 1") == [
        [1, 1],
        [2, 2],
        [3, 3],
        [4, 4],
    ]


def test_later_rows_that_changed_are_copied_too_and_so_is_what_was_deleted_before(star: Star, trusted: str) -> None:
    load_all(star.warehouse(), sales(1, 2), deleted(FactSalesOrder, [2], at(1, 15)))

    assert heard(star, trusted, sales(1, revision=20, units_sold=7), sales(2, 3, revision=20)) == (0, 2)
    versions = star.rows(
        "SELECT sales_order_id, units_sold, ended_by FROM history_sales_order ORDER BY sales_record_id"
    )
    assert versions == [[1, 1000, "changed"], [2, 1000, "deleted"], [1, 7, None], [2, 1000, None], [3, 1000, None]]


@pytest.mark.parametrize(
    "made",
    [
        (sales(2, 3, revision=20),),
        (sales(1, 3, revision=5, units_sold=7),),
        (deleted(FactSalesOrder, [7], at(1, 20)),),
        (sales(8), sales(7)),
        (sales(7, origin=Origin.REPAIR),),
        (sales(7), deleted(FactSalesOrder, [8], at(1, 20))),
    ],
    ids=[
        "an equal row",
        "an earlier row",
        "a deletion",
        "keys out of order",
        "a repair",
        "a deletion beside them",
    ],
)
def test_whatever_must_be_compared_is_staged(star: Star, trusted: str, made: tuple[Made, ...]) -> None:
    load_all(star.warehouse(), sales(1, 2))

    staged, copied = heard(star, trusted, *made)

    assert (staged, copied) == (len(made), 0)


def test_a_warehouse_that_hashes_otherwise_gets_its_rows_staged(
    star: Star, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(straight, "probe", lambda fact: ("SELECT 1", 2))

    assert heard(star, trusted, sales(1)) == (1, 0)
    assert star.rows("SELECT sales_order_id FROM current_sales_order") == [[1]]


@pytest.fixture(scope="session")
def sessions(common_star: Star, trusted: str) -> tuple[Warehouse, Any]:
    """One for all examples: a new one each would be most of the time."""
    return common_star.warehouse(login=trusted), common_star.connect()


amounts = st.decimals("-99999999.99", "99999999.99", places=2, allow_nan=False)


@pytest.mark.no_cover
@given(st.lists(st.tuples(st.integers(0, 50), amounts), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("table", [FactSalesOrder, FactPayment])
def test_a_fact_ends_alike_whether_its_first_rows_were_staged_or_not(
    sessions: tuple[Warehouse, Any], table: type[StarRow], drawn: list[tuple[int, Decimal]]
) -> None:
    """Each column, the position and the hashes; and the warehouse finds its star hash in the columns."""
    warehouse, reader = sessions
    template, amount = (SALE, "unit_price") if table is FactSalesOrder else (PAYMENT, "payment_amount")
    rows = [{**template, "currency_id": 1 + other, amount: value} for other, value in drawn]
    ways = []
    for many_rows in (1, 10**9):
        [[first]] = reader.run(f"SELECT coalesce(max({table.key}), 0) + 1 FROM {table.table}")
        numbered = [{**row, table.key: first + number} for number, row in enumerate(rows)]
        load_all(warehouse, changed(table, numbered, MADE_AT), many_rows=many_rows)
        kept = f"to_jsonb(f) - '{table.record_id}' - '{table.key}' - '_star_hash' - '_row_hash'"
        ways.append(
            reader.run(
                f"SELECT f.{table.key} - CAST(:first AS int), CAST({kept} AS text), _row_hash IS NULL,"
                f" {star_hash(table, 'f')} = _star_hash FROM {table.table} f WHERE {table.key} >= :first ORDER BY 1",
                first=first,
            )
        )

    assert ways[0] == ways[1]
    assert [row[2:] for row in ways[0]] == [[False, True]] * len(rows)
