"""Accept another source: a restored, promoted or replaced totesys, which the poller refuses on its own.

Invariant: everything read from now on is newer than all that came before, because its generation is; so every feed is
read whole again, and what the new source lacks is found by the reconciler. Rebasing twice costs a second reading.
"""

from contracts.feeds import FEEDS
from services.ops.feeds import moved
from shared.checkpoint import Checkpoint, CheckpointStore, FeedState


def rebased(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint that knows no source yet, in a new generation; objects are numbered on from where they were."""
    feeds = {name: checkpoint.feed(name) for name in FEEDS}
    return Checkpoint(
        generation=checkpoint.generation + 1,
        paused=checkpoint.paused,
        draining=checkpoint.draining,
        feeds={
            name: FeedState(page=one.page, rows_captured=one.rows_captured, paused=one.paused)
            for name, one in feeds.items()
        },
    )


def rebase(store: CheckpointStore) -> int:
    """Move the checkpoint on; the new generation. Raises PipelineError where a poller was always faster."""
    return moved(store, rebased).generation + 1
