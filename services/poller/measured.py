"""What one invocation of the poller comes to in metrics. Pure: no clock, no network.

Invariant: a poller that was not the owner measures nothing, so the pipeline has one figure an invocation. What ages is
measured always, of the oldest feed; of a feed by itself only once it is late, and rows only where there were any: a
metric costs as much as three alarms, and of an idle feed there is nothing to say.
"""

from collections.abc import Mapping
from datetime import datetime

from services.poller.poller import Summary
from shared.checkpoint import Checkpoint

LATE_SECONDS = 60.0
"""An age below which a feed has no figure of its own: far above any pause between polls, far below any alarm."""
ALL = ""
"""Stands for all feeds together."""


def measured(summary: Summary, checkpoint: Checkpoint, now: datetime) -> Mapping[str, Mapping[str, float]]:
    """The metrics of all feeds and of each feed that has some, at the end of a run, also of one that failed.

    `now` by the function's clock.
    """
    if not summary.owner:
        return {}
    ages = {
        "as_of_age_seconds": _as_of_ages(checkpoint, now),
        "look_back_seconds": {feed: age for feed, age in summary.look_back_seconds.items() if feed in checkpoint.feeds},
    }
    oldest = {name: max(of_feeds.values()) for name, of_feeds in ages.items() if of_feeds}
    found = {ALL: oldest, **{feed: _of_feed(feed, summary, ages) for feed in checkpoint.feeds}}
    return {of: values for of, values in found.items() if values}


def _as_of_ages(checkpoint: Checkpoint, now: datetime) -> dict[str, float]:
    as_of = {feed: state.as_of for feed, state in checkpoint.feeds.items()}
    return {feed: max(0.0, (now - clock).total_seconds()) for feed, clock in as_of.items() if clock is not None}


def _of_feed(feed: str, summary: Summary, ages: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    late = {name: age for name, of_feeds in ages.items() if (age := of_feeds.get(feed, 0.0)) > LATE_SECONDS}
    rows = summary.rows_captured[feed]
    return {**late, "rows_captured": rows} if rows else late
