"""All that is parked or quarantined, one after the other, and left as it was.

Invariant: as services.ops.dlq.browse: whatever was received is visible again when the look ends, however it ends. The
rows of one quarantine object follow each other.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from services.ops.dlq.browse import Browse
from services.ops.dlq.filters import Filter
from services.ops.dlq.parked import Parked
from services.ops.dlq.places import Places
from services.ops.quarantine import PLACE, OpenRow

Lying: TypeAlias = Parked | OpenRow
"""A parked message or a quarantined row."""


@dataclass
class Entries:
    """What was found, to be gone through once."""

    found: Iterator[Lying]
    looks: list[Browse] = field(default_factory=list)

    def __iter__(self) -> Iterator[Lying]:
        """One after the other."""
        return self.found

    @property
    def complete(self) -> bool:
        """Whether every queue that was begun was gone through to its end."""
        return all(look.complete for look in self.looks)


@contextmanager
def looking(
    places: Places, wanted: Filter, *, limit: int | None = None, wait: Callable[[float], None] = time.sleep
) -> Iterator[Entries]:
    """What is wanted, queue by queue and then the quarantine; at the end of the block all of it is visible again."""
    with ExitStack() as stack:
        looks: list[Browse] = []

        def open_look(name: str) -> Browse:
            look = stack.enter_context(Browse(name, places.queues[name].dead_letters, wait=wait))
            looks.append(look)
            return look

        yield Entries(islice(_entries(places, wanted, open_look), limit), looks)


def quarantined(places: Places, wanted: Filter) -> Iterator[OpenRow]:
    """The quarantined rows that are wanted."""
    rows = places.quarantine.rows(_only_feed(wanted), since=wanted.since, until=wanted.until)
    return (row for row in rows if wanted.matches(row))


def _entries(places: Places, wanted: Filter, open_look: Callable[[str], Browse]) -> Iterator[Lying]:
    for name in places.queues:
        if wanted.looks_at(name):
            yield from (message for message in open_look(name) if wanted.matches(message))
    if wanted.looks_at(PLACE):
        yield from quarantined(places, wanted)


def _only_feed(wanted: Filter) -> str | None:
    """One feed's quarantine is listed alone."""
    return wanted.feeds[0] if len(wanted.feeds) == 1 else None
