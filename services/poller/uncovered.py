"""Send again what lies in the archive and the checkpoint does not cover.

Invariant: every object stored before this is sent, or covered by the checkpoint. Sending one twice is harmless.
"""

from datetime import date, timedelta

from contracts.feeds import Feed
from contracts.messages import ArchiveKey
from shared.archive import Publisher
from shared.checkpoint import FeedState
from shared.telemetry import Logger

_CLOCK_ROOM = timedelta(days=1)
"""How far behind the checkpoint an uncovered object's clock may lie: more than any clock is ever set back."""


def publish_uncovered(archive: Publisher, feed: Feed, state: FeedState, log: Logger) -> tuple[FeedState, int]:
    """Send the batch of every stored object that the state does not cover; the state that covers them.

    Also the greatest generation met among the objects listed (0 for none). Without a clock in the state (the
    checkpoint was lost, or the feed never met) the archive's own last day is the one looked at: whatever is
    older was covered, because the checkpoint moved after each page.
    """
    page, generation = state.page, 0
    for key in archive.stored(feed, _listed_after(archive, feed, state)):
        found = ArchiveKey.parse(key)
        if found is None:
            continue
        generation = max(generation, found.generation)
        if found.page >= state.page:
            batch = archive.send_stored(key)
            log.info("published", batch=batch.id, origin="archive")
            # A repair bears the number of the page to come: going past it would leave a number that no page has.
            page = max(page, found.page + batch.data.origin.captured)
    return state.model_copy(update={"page": page}), generation


def _listed_after(archive: Publisher, feed: Feed, state: FeedState) -> str:
    """The key behind which every uncovered object lies."""
    clock = state.as_of or (state.reading.first.clock if state.reading else None)
    day = clock.date() if clock else _last_day(archive, feed)
    return "" if day is None else f"{feed.name}/date={day - _CLOCK_ROOM}"


def _last_day(archive: Publisher, feed: Feed) -> date | None:
    """The date of the newest object: dates come first in a key, so the last one listed."""
    last = None
    for key in archive.stored(feed):
        last = ArchiveKey.parse(key) or last
    return None if last is None else last.as_of.date()
