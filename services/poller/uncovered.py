"""Send again what lies in the archive and the checkpoint does not cover.

Invariant: every object stored before this is sent, or covered by the checkpoint. Sending one twice is harmless.
"""

import re
from datetime import date, timedelta

from contracts.feeds import Feed
from shared.archive import Publisher
from shared.checkpoint import FeedState
from shared.telemetry import Logger

_KEY = re.compile(r"^[^/]+/date=(?P<date>\d{4}-\d{2}-\d{2})/[^/]*-p(?P<page>\d+)-g(?P<generation>\d+)-r\d+-v\d+-")
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
        number, born = number_of(key) or (-1, 0)
        generation = max(generation, born)
        if number >= state.page:
            batch = archive.send_stored(key)
            log.info("published", batch=batch.id, origin="archive")
            # A repair bears the number of the page to come: going past it would leave a number that no page has.
            page = max(page, number + batch.data.origin.captured)
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
        last = _KEY.match(key) or last
    return None if last is None else date.fromisoformat(last["date"])


def number_of(key: str) -> tuple[int, int] | None:
    """Page number and generation in an archive key; None for an object that is no change batch's."""
    found = _KEY.match(key)
    return None if found is None else (int(found["page"]), int(found["generation"]))
