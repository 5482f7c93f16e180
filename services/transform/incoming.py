"""A message of the queue `changes`: the change batch in it, and the feed whose contract it is under. Pure.

Invariant: what is not as its contract wants it is refused, and what only newer code knows is told apart from that.
"""

from collections.abc import Mapping

from contracts.feeds import FEEDS, Feed
from contracts.messages import ChangeBatch
from shared.archive import columns_of
from shared.errors import MalformedMessage
from shared.reading import feed_known, read


def read_message(body: str) -> ChangeBatch:
    """The change batch in a message's body. Raises MalformedMessage, NewerThanCode."""
    return read(ChangeBatch, body, "a change batch")


def feed_of(batch: ChangeBatch, feeds: Mapping[str, Feed] = FEEDS) -> Feed:
    """The feed whose contract, of today or a former one, the batch is under.

    Raises NewerThanCode where this code does not know that feed or contract yet, MalformedMessage where the batch is
    not as its contract wants it.
    """
    feed, version = feed_known(batch.data, feeds), batch.data.position.contract
    expected = f"totesys.{feed.name}.{batch.data.operation}.v{version}"
    if batch.type != expected:
        raise MalformedMessage(f"Expected the type {expected} for this data, found {batch.type!r}.")
    columns = columns_of(feed, batch.data.operation, version)
    if batch.data.columns not in (columns, columns_of(feed, batch.data.operation, version, hashed=False)):
        raise MalformedMessage(f"Expected the columns {columns} of {feed.name}, found {batch.data.columns}.")
    return feed
