"""Which parked messages and quarantined rows are meant. Pure: durations become moments when the filter is made.

Invariant: conditions of one kind widen (either feed), conditions of different kinds narrow (that feed and that cause),
and none at all means everything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.ops.dlq.places import QUEUES
from services.ops.moments import parse
from services.ops.quarantine import PLACE
from shared.errors import ConfigurationError

PLACES = (*QUEUES, PLACE)


class Entry(Protocol):
    """A parked message or a quarantined row, as far as a filter looks at it."""

    @property
    def queue(self) -> str:
        """Work queue, or `quarantine`."""

    @property
    def id(self) -> str:
        """As `list` shows it."""

    @property
    def feed(self) -> str | None:
        """Whose rows."""

    @property
    def cause(self) -> str:
        """Why it is here, in one word."""

    @property
    def at(self) -> datetime:
        """When a message was parked; the source clock of a row's snapshot."""


@dataclass(frozen=True)
class Filter:
    """Conditions; an empty one is none. `since` and `until` are included.

    An id may be shortened: `c-3f` is every message of changes whose id begins so, `q-3f2a91b0` every row of an object.
    """

    queues: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, entry: Entry) -> bool:
        """Whether this one is meant."""
        return (
            _among(entry.queue, self.queues)
            and _among(entry.feed, self.feeds)
            and _among(entry.cause, self.causes)
            and (not self.ids or any(names(each, entry.id) for each in self.ids))
            and (self.since is None or self.since <= entry.at)
            and (self.until is None or entry.at <= self.until)
        )

    def looks_at(self, place: str) -> bool:
        """Whether anything of that queue, or of the quarantine, can be meant: an id tells where it lies."""
        return _among(place, self.queues) and (not self.ids or any(_fits(each, place) for each in self.ids))

    def __str__(self) -> str:
        """The options that made it, for the audit; `everything` where there are none."""
        options = {"queue": self.queues, "feed": self.feeds, "cause": self.causes, "id": self.ids}
        words = [f"--{name} {value}" for name, values in options.items() for value in values]
        moments = {"since": self.since, "until": self.until}
        words += [f"--{name} {moment.isoformat()}" for name, moment in moments.items() if moment is not None]
        return " ".join(words) or "everything"


def names(shortened: str, whole: str) -> bool:
    """Whether an id that may be shortened means this one. A row's number is never shortened: 1 does not mean 12."""
    return whole == shortened or (whole.startswith(shortened) and shortened.count("-") <= 1)


def filter_of(
    *,
    now: datetime,
    queues: Iterable[str] | None = None,
    feeds: Iterable[str] | None = None,
    causes: Iterable[str] | None = None,
    ids: Iterable[str] | None = None,
    span: tuple[str | None, str | None] = (None, None),
) -> Filter:
    """The filter that options ask for, `span` being --since and --until. Raises ConfigurationError."""
    since, until = span
    return Filter(
        queues=_places(tuple(queues or ())),
        feeds=tuple(feeds or ()),
        causes=tuple(causes or ()),
        ids=tuple(ids or ()),
        since=parse(since, now) if since else None,
        until=parse(until, now) if until else None,
    )


def _places(names: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in PLACES]
    if unknown:
        raise ConfigurationError(f"Expected --queue out of {', '.join(PLACES)}, found {', '.join(unknown)}.")
    return tuple(names)


def _among(value: str | None, wanted: tuple[str, ...]) -> bool:
    return not wanted or value in wanted


def _fits(prefix: str, place: str) -> bool:
    """`c-…` lies in changes: an id begins with its place's initial."""
    return f"{place[0]}-".startswith(prefix[:2])
