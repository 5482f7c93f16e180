"""Pause a feed or all of them, let them go on, read one anew: what an operator changes in the poller's checkpoint.

Invariant: the checkpoint moves by compare-and-set, so nothing the poller published is forgotten; what is paused keeps
its horizons, so that all that happened meanwhile is read afterwards. Changing it twice is like changing it once, but
for a second reading.
"""

from collections.abc import Callable, Mapping

from contracts.feeds import FEEDS
from shared.checkpoint import Checkpoint, CheckpointStore
from shared.errors import CheckpointConflict, ConfigurationError, PipelineError

TRIES = 20
"""Against a poller that moves the checkpoint too."""
_AT_ONCE = "The poller sees it within seconds"


def moved(store: CheckpointStore, change: Callable[[Checkpoint], Checkpoint]) -> Checkpoint:
    """Change the checkpoint, whoever moves it meanwhile; what it was before.

    Raises PipelineError where a poller was always faster.
    """
    for _ in range(TRIES):
        found = store.load()
        try:
            store.move(change(found))
        except CheckpointConflict:
            continue
        return found
    raise PipelineError(f"A poller moved the checkpoint {TRIES} times meanwhile: try again.")


def feed_named(name: str) -> str:
    """The feed that is meant. Raises ConfigurationError where there is none of that name."""
    if name not in FEEDS:
        raise ConfigurationError(f"Expected one of the feeds {', '.join(FEEDS)}, found {name!r}.")
    return name


def pausing(feed: str | None, *, paused: bool) -> Callable[[Checkpoint], Checkpoint]:
    """Pause a feed (None: the poller as a whole), or let it go on."""
    if feed is None:
        return lambda checkpoint: checkpoint.model_copy(update={"paused": paused})
    return lambda checkpoint: _having(checkpoint, feed, {"paused": paused})


def reading_anew(feed: str) -> Callable[[Checkpoint], Checkpoint]:
    """Forget how far a feed was read. The owner's name goes too: it would skip each row whose hash it remembers."""
    forgotten = {"polled": None, "scanned": None, "reading": None}
    return lambda checkpoint: _having(checkpoint, feed, forgotten).model_copy(update={"owner": ""})


def pause(store: CheckpointStore, feed: str | None) -> str:
    """Pause, and what that comes to, in a sentence."""
    before = moved(store, pausing(feed, paused=True))
    if feed is None:
        return "The poller was paused already." if before.paused else f"The poller is paused. {_AT_ONCE}; queues drain."
    if before.feed(feed).paused:
        return f"Feed {feed} was paused already."
    return f"Feed {feed} is paused. {_AT_ONCE}; the other feeds go on."


def resume(store: CheckpointStore, feed: str | None) -> str:
    """Let go on, and what is still paused, in a sentence or two."""
    before = moved(store, pausing(feed, paused=False))
    left = [name for name, state in before.feeds.items() if state.paused and name != feed]
    was, name = (before.paused, "The poller") if feed is None else (before.feed(feed).paused, f"Feed {feed}")
    said = f"{name} goes on where it was, within a minute." if was else f"{name} was not paused."
    if feed is not None and before.paused:
        said += " The poller as a whole is still paused."
    return said + (f" Still paused: {', '.join(left)}." if left else "")


def cost_of_reading_anew(store: CheckpointStore, feed: str) -> str:
    """What a backfill costs, before anybody agrees to it."""
    state = store.load().feed(feed)
    waits = " It begins when the feed goes on: it is paused or stopped." if state.paused or state.stopped else ""
    return (
        f"Every row of {feed} is read from the source again, archived and observed once more in the warehouse "
        f"({state.rows_captured:,} rows were captured so far). Rows that did not change make no new version.{waits}"
    )


def backfill(store: CheckpointStore, feed: str) -> str:
    """Have the feed read whole again."""
    moved(store, reading_anew(feed))
    return f"Feed {feed} is read anew, from within a minute; `totes status` shows how far it is."


def _having(checkpoint: Checkpoint, feed: str, change: Mapping[str, object]) -> Checkpoint:
    state = checkpoint.feed(feed).model_copy(update=change)
    return checkpoint.model_copy(update={"feeds": {**checkpoint.feeds, feed: state}})
