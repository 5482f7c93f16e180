"""What one transaction of the loader comes to in metrics. Pure: no clock, no database.

Invariant: only what the transaction brought in as new counts. A second delivery brings nothing in and measures nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from contracts.messages import LoadBatchData, Origin

FRESH = (Origin.POLL, Origin.SCAN)
"""Origins whose `since` is the last moment at which the rows were not visible; a repair's or a replay's are older."""


def measured(
    loaded: Iterable[LoadBatchData], begun: datetime, committed: datetime
) -> Mapping[str, Mapping[str, float]]:
    """The metrics of each feed that has rows in the transaction; the clock is the function's own."""
    by_feed: dict[str, list[LoadBatchData]] = {}
    for data in loaded:
        if data.object.rows:
            by_feed.setdefault(data.feed, []).append(data)
    return {feed: _of_feed(batches, begun, committed) for feed, batches in by_feed.items()}


def _of_feed(batches: Iterable[LoadBatchData], begun: datetime, committed: datetime) -> dict[str, float]:
    rows = sum(data.object.rows for data in batches)
    found: dict[str, float] = {"rows_loaded": rows}
    seconds = (committed - begun).total_seconds()
    if seconds > 0:
        found["rows_per_second"] = rows / seconds
    unseen = [data.since for data in batches if data.origin in FRESH and data.since is not None]
    if unseen:
        found["freshness_seconds"] = max(0.0, (committed - min(unseen)).total_seconds())
    return found
