"""Real rows with silent changes of the kinds the real source makes: all are found, and nothing else is touched."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from services.reconciler.reconcile import Task
from tests.conftest import Aws, open_connection
from tests.conftest import Source as Totesys
from tests.e2e import oracle, real_rows
from tests.poller.conftest import Bench
from tests.reconciler.conftest import SCHEMA, Pipeline

pytestmark = [pytest.mark.slow, real_rows.needed]
CHANGES = 500
SILENT: dict[str, dict[str, str]] = {
    "sales_order": {
        "design_id": "(SELECT design_id FROM design WHERE design_id <> t.design_id ORDER BY random() LIMIT 1)",
        "staff_id": "1 + t.staff_id % 20",
        "agreed_delivery_date": "to_char(CAST(t.agreed_delivery_date AS date) + 30, 'YYYY-MM-DD')",
        "agreed_delivery_location_id": "1 + t.agreed_delivery_location_id % 30",
    },
    "purchase_order": {
        "staff_id": "1 + t.staff_id % 20",
        "item_code": "t.item_code || 'X'",
        "agreed_delivery_date": "to_char(CAST(t.agreed_delivery_date AS date) + 30, 'YYYY-MM-DD')",
        "agreed_delivery_location_id": "1 + t.agreed_delivery_location_id % 30",
    },
    "design": {"file_location": "t.file_location || '/x'"},
}
"""Table -> column -> what it becomes; `last_updated` never moves."""


@pytest.fixture
def real(totesys: Totesys, aws: Aws, warehouse_dsn: str) -> Iterator[Pipeline]:
    """The dump of May 2024, captured whole."""
    made = Pipeline(Bench(totesys, aws), warehouse_dsn)
    with totesys.connect() as connection:
        for table, rows in real_rows.dump().items():
            real_rows.upsert(connection, table, rows)
    while made.capture_some():
        pass
    yield made
    made.bench.close()


def change_silently(pipeline: Pipeline, random: Random) -> dict[str, list[int]]:
    """Change random cells, each of another row; the keys by table."""
    with pipeline.bench.totesys.connect() as source:
        places = [
            (table, key)
            for table in SILENT
            for (key,) in source.run(f"SELECT {table}_id FROM {table} ORDER BY {table}_id")
        ]
        changed: dict[str, list[int]] = {table: [] for table in SILENT}
        for table, key in random.sample(places, CHANGES):
            column, value = random.choice(list(SILENT[table].items()))
            source.run(f"UPDATE {table} t SET {column} = {value} WHERE {table}_id = :key", key=key)
            changed[table].append(key)
    return {table: sorted(keys) for table, keys in changed.items()}


def observed_since(pipeline: Pipeline, revision: int) -> dict[str, list[int]]:
    """Keys by feed that the warehouse has seen anything of behind a revision."""
    found: dict[str, Any] = {
        feed: f"SELECT DISTINCT key FROM _seen_{feed} WHERE revision > {revision} ORDER BY key"
        for feed in ("sales_order", "purchase_order", "payment")
    }
    found["design"] = f"SELECT design_id FROM dim_design WHERE _revision > {revision} ORDER BY design_id"
    for feed, table in (
        ("staff", "dim_staff"),
        ("counterparty", "dim_counterparty"),
        ("transaction", "dim_transaction"),
    ):
        found[feed] = f"SELECT {feed}_id FROM {table} WHERE _revision > {revision}"
    return {feed: keys for feed, sql in found.items() if (keys := [key for (key,) in pipeline.rows(sql)])}


@pytest.mark.parametrize("seed", [1, 2])
def test_five_hundred_silent_changes_are_found_and_nothing_else_is_touched(real: Pipeline, seed: int):
    revision = real.bench.checkpoint().revision
    before = real.rows("SELECT (SELECT count(*) FROM fact_sales_order), (SELECT count(*) FROM fact_purchase_order)")
    changed = change_silently(real, Random(seed))  # noqa: S311 - repeatable, not secret

    report = real.reconciler().run(Task())
    real.deliver()

    assert {name: totals.stale for name, totals in report.feeds.items() if totals.drift} == {
        table: len(keys) for table, keys in changed.items()
    }
    assert report.total.stale == report.total.drift == report.total.changed == CHANGES
    assert observed_since(real, revision) == changed
    after = real.rows("SELECT (SELECT count(*) FROM fact_sales_order), (SELECT count(*) FROM fact_purchase_order)")
    assert after == [[before[0][0] + len(changed["sales_order"]), before[0][1] + len(changed["purchase_order"])]]
    with real.bench.totesys.connect() as source, open_connection(real.warehouse_dsn) as warehouse:
        assert [table for table in oracle.SOURCE if not oracle.agrees(source, warehouse, SCHEMA, table)] == []
    assert real.reconciler().run(Task()).total.drift == 0
