"""Make the poller's heartbeat from its checkpoint: of each feed, as of when it is captured and in which pages. Pure.

Invariant: it says no more than the checkpoint does, and the checkpoint is never ahead of what is stored and sent. The
same checkpoint at the same look gives the same heartbeat.
"""

from datetime import datetime

from contracts.messages import FeedBeat, Heartbeat, HeartbeatData
from shared.checkpoint import Checkpoint


def heartbeat_of(checkpoint: Checkpoint, clock: datetime) -> Heartbeat:
    """The heartbeat of a poller whose last look was at the source's `clock`; feeds never read whole have no part."""
    feeds = tuple(
        FeedBeat(feed=name, as_of=state.as_of, page=state.page)
        for name, state in checkpoint.feeds.items()
        if state.as_of is not None
    )
    return Heartbeat.of(
        HeartbeatData(generation=checkpoint.generation, revision=checkpoint.revision, as_of=clock, feeds=feeds)
    )
