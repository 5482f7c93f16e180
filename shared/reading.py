"""Read what another stage sent, with today's code or that of another release. Pure.

Invariant: what is no message of ours is refused for good, with a reason, and so parked; what is only of a newer version
than this code is refused for now, and so waits for its code. A message of a former version reads like one of today's.
"""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from contracts.feeds import Feed
from contracts.messages import BatchData, CloudEvent
from shared.errors import MalformedMessage, NewerThanCode

Event = TypeVar("Event", bound=CloudEvent)


def read(model: type[Event], body: str, what: str) -> Event:
    """The message in a body; `what` it should be is for the reader of the error.

    Raises MalformedMessage, or NewerThanCode where it is of a newer version that cannot be read as today's.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        wrong, stated = _first(exc), model.stated_version(body)
        if stated is None or stated <= model.version:
            raise MalformedMessage(f"Expected {what}, found one where {wrong}.") from exc
        known = f"version {model.version} or a former one"
        raise NewerThanCode(
            f"Expected {what} of {known}, found version {stated}, where {wrong}: deploy its code."
        ) from exc


def feed_known(data: BatchData, feeds: Mapping[str, Feed]) -> Feed:
    """The feed of a batch, whose contract is today's or a former one.

    Raises NewerThanCode where this code does not know the feed or the contract yet.
    """
    feed, version = feeds.get(data.feed), data.position.contract
    if feed is None:
        raise NewerThanCode(f"Expected one of the feeds {sorted(feeds)}, found {data.feed!r}: deploy its code.")
    if version > feed.contract:
        raise NewerThanCode(
            f"Expected contract {feed.contract} of {feed.name} or a former one, found {version}: deploy its code."
        )
    return feed


def _first(error: ValidationError) -> str:
    """The first of the faults, in words."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the message"
    return f"{place} is wrong: {first['msg']}"
