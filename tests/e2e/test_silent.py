"""What `last_updated` hides arrives: within seconds by the scan, within one reconcile interval without it."""

from pathlib import Path

import pytest

from tests.e2e.test_embedded import Stack, running

pytestmark = pytest.mark.slow
INTERVAL_SECONDS = 60
LONGEST_SECONDS = INTERVAL_SECONDS + 30
"""One interval, the reconciler's second look, and the way to the warehouse on a busy machine."""
HISTORY = "SELECT units_sold, ended_by FROM history_sales_order WHERE sales_order_id = :key ORDER BY valid_from"


def arrival(stack: Stack, expected: dict[int, list[list[object]]], what: str) -> None:
    """Wait until the orders' histories are exactly these; how long it took is printed."""

    def arrived() -> bool:
        with stack.warehouse() as warehouse:
            warehouse.run(f"SET search_path = {stack.schema}")
            return {key: warehouse.run(HISTORY, key=key) for key in expected} == expected

    print(f"{what}: {stack.up.until(what, arrived, LONGEST_SECONDS):.1f} s")


@pytest.mark.parametrize("scan", [True, False], ids=["by the scan", "by the reconciler alone"])
def test_silent_updates_deletions_and_reinserts_arrive_and_the_history_is_exact(tmp_path: Path, scan: bool) -> None:
    if not scan:
        (tmp_path / ".env").write_text("TOTES_SCAN_MAX_ROWS=0\nTOTES_MARGIN_SECONDS=0.001\n")
    arguments = ("--no-simulate", "--poll-interval", "0.25", "--reconcile-interval", f"{INTERVAL_SECONDS}")
    with running(tmp_path, *arguments, "--orders", "200") as stack:
        stack.until_equal()
        with stack.source() as source:
            [[gone, units], [updated, sold]] = source.run(
                "SELECT sales_order_id, units_sold FROM sales_order ORDER BY 1 DESC LIMIT 2"
            )
            source.run("CREATE SCHEMA kept; CREATE TABLE kept.sales_order (LIKE sales_order)")
            source.run("INSERT INTO kept.sales_order SELECT * FROM sales_order WHERE sales_order_id = :key", key=gone)

            source.run("UPDATE sales_order SET units_sold = 77 WHERE sales_order_id = :key", key=updated)
            source.run("UPDATE transaction SET sales_order_id = NULL WHERE sales_order_id = :key", key=gone)
            source.run("DELETE FROM sales_order WHERE sales_order_id = :key", key=gone)
            histories = {updated: [[sold, "changed"], [77, None]], gone: [[units, "deleted"]]}
            arrival(stack, histories, "a silent update and a deletion")

            source.run("INSERT INTO sales_order SELECT * FROM kept.sales_order")
            source.run("UPDATE sales_order SET units_sold = 78 WHERE sales_order_id = :key", key=updated)
            histories = {
                updated: [[sold, "changed"], [77, "changed"], [78, None]],
                gone: [[units, "deleted"], [units, None]],
            }
            arrival(stack, histories, "an equal row inserted again and another silent update")
