"""What trouble tests write and read back."""

from typing import Any

from tests.conftest import open_connection
from tests.poller.archived import Batch


def insert(key: int, at: str = "now() AT TIME ZONE 'UTC'", name: str = "a") -> str:
    """SQL that inserts a design whose times are an SQL expression."""
    return (
        "INSERT INTO design (design_id, design_name, file_location, file_name, created_at, last_updated)"
        f" VALUES ({key}, '{name}', 'b', 'c', {at}, {at})"
    )


def ids(batches: list[Batch]) -> list[int]:
    return [int(row["design_id"]) for batch in batches for row in batch.rows]


def names(batches: list[Batch]) -> list[str]:
    return [row["design_name"] for batch in batches for row in batch.rows]


def wait_for_lock(bench: Any) -> None:
    """Until somebody waits for an advisory lock in this database."""
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    while not bench.run(waiting)[0][0]:
        pass


def wait_for_next_millisecond(session: Any) -> None:
    """Until the source's clock is two milliseconds past the start of this session's transaction."""
    while not session.run("SELECT clock_timestamp() > now() + interval '2 ms'")[0][0]:
        pass


PAIRS = {
    "design": (
        "SELECT design_id, design_name FROM design ORDER BY 1",
        "SELECT design_id, design_name FROM dim_design WHERE _deleted_generation IS NULL ORDER BY 1",
    ),
    "sales_order": (
        "SELECT sales_order_id, units_sold, design_id FROM sales_order ORDER BY 1",
        "SELECT sales_order_id, units_sold, design_id FROM current_sales_order ORDER BY 1",
    ),
}
"""The same question to the source and to the warehouse."""


def expect_same(pipeline: Any) -> None:
    """The warehouse holds what the source holds."""
    for asked_of_source, asked_of_warehouse in PAIRS.values():
        with open_connection(pipeline.bench.totesys.dsn) as source:
            assert pipeline.rows(asked_of_warehouse) == source.run(asked_of_source)
