"""What `last_updated` hides: silent updates, deletions and reinserts, and the histories that they must leave."""

from tests.e2e.stack import Stack

INTERVAL_SECONDS = 60
"""Between two reconciles; EventBridge knows no shorter one."""
LONGEST_SECONDS = INTERVAL_SECONDS + 30
"""One interval, the reconciler's second look, and the way to the warehouse on a busy machine."""
HISTORY = "SELECT units_sold, ended_by FROM history_sales_order WHERE sales_order_id = :key ORDER BY valid_from"


def expect_exact_histories(stack: Stack) -> None:
    """Change, delete and insert again two orders that have one version each, and wait for exactly what that makes."""
    with stack.source() as source:
        [[gone, units], [updated, sold]] = source.run(
            "SELECT sales_order_id, units_sold FROM sales_order ORDER BY 1 DESC LIMIT 2"
        )
        source.run("CREATE SCHEMA kept; CREATE TABLE kept.sales_order (LIKE sales_order)")
        source.run("INSERT INTO kept.sales_order SELECT * FROM sales_order WHERE sales_order_id = :key", key=gone)
        source.run("CREATE TABLE kept.paid AS SELECT transaction_id, sales_order_id FROM transaction")

        source.run("UPDATE sales_order SET units_sold = 77 WHERE sales_order_id = :key", key=updated)
        source.run("UPDATE transaction SET sales_order_id = NULL WHERE sales_order_id = :key", key=gone)
        source.run("DELETE FROM sales_order WHERE sales_order_id = :key", key=gone)
        histories = {updated: [[sold, "changed"], [77, None]], gone: [[units, "deleted"]]}
        _arrival(stack, histories, "a silent update and a deletion")

        source.run("INSERT INTO sales_order SELECT * FROM kept.sales_order")
        source.run(
            "UPDATE transaction SET sales_order_id = paid.sales_order_id FROM kept.paid"
            " WHERE transaction.transaction_id = paid.transaction_id AND paid.sales_order_id = :key",
            key=gone,
        )
        source.run("UPDATE sales_order SET units_sold = 78 WHERE sales_order_id = :key", key=updated)
        histories = {
            updated: [[sold, "changed"], [77, "changed"], [78, None]],
            gone: [[units, "deleted"], [units, None]],
        }
        _arrival(stack, histories, "an equal row inserted again and another silent update")


def _arrival(stack: Stack, expected: dict[int, list[list[object]]], what: str) -> None:
    """Wait until the orders' histories are exactly these; how long it took is printed."""

    def arrived() -> bool:
        with stack.warehouse() as warehouse:
            warehouse.run(f"SET search_path = {stack.schema}")
            return {key: warehouse.run(HISTORY, key=key) for key in expected} == expected

    print(f"{what}: {stack.up.until(what, arrived, LONGEST_SECONDS):.1f} s")
