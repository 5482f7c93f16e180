"""What one invocation of the poller comes to in metrics. Pure: no clock, no network.

Invariant: a poller that was not the owner measures nothing, so each feed has one figure a minute. What ages is measured
of every feed, idle or stopped; rows only where there were any.
"""

from collections.abc import Mapping
from datetime import datetime

from services.poller.poller import Summary
from shared.checkpoint import Checkpoint


def measured(summary: Summary, checkpoint: Checkpoint, now: datetime) -> Mapping[str, Mapping[str, float]]:
    """The metrics of each feed at the end of a run, `now` by the function's clock; also of a run that failed."""
    if not summary.owner:
        return {}
    return {feed: _of_feed(feed, summary, checkpoint, now) for feed in checkpoint.feeds}


def _of_feed(feed: str, summary: Summary, checkpoint: Checkpoint, now: datetime) -> dict[str, float]:
    found: dict[str, float] = {}
    as_of = checkpoint.feed(feed).as_of
    if as_of is not None:
        found["as_of_age_seconds"] = max(0.0, (now - as_of).total_seconds())
    if feed in summary.look_back_seconds:
        found["look_back_seconds"] = summary.look_back_seconds[feed]
    if rows := summary.rows_captured[feed]:
        found["rows_captured"] = rows
    return found
