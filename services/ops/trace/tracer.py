"""Composition of a trace: archive, quarantine, books, dead letters, in that order, then the pure assembly.

Invariant: it only reads, never the source; what does not answer is a note, and the rest is shown. Parked messages are
looked at only if an observation is not loaded, and are put back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.feeds import FEEDS, Feed
from services.ops.dlq.browse import Browse
from services.ops.installation import Installation
from services.ops.running import warehouse_of
from services.ops.status import Warehouse
from services.ops.trace.archive import Archive, Look
from services.ops.trace.books import read_books
from services.ops.trace.timeline import Books, Facts, Observation, Span, Trace, assemble, batches_of, is_absent
from shared.errors import ConfigurationError, PipelineError, QueueUnavailable
from shared.objects import ObjectStore
from shared.queues import Queue


class RowAbsent(PipelineError):
    """Nothing knows this key."""


@dataclass(frozen=True)
class Tracer:
    """Where one row is looked for. `dead_letters`: by the name of the queue they belong to."""

    archive: Archive
    warehouse: Warehouse
    dead_letters: Mapping[str, Queue]

    def trace(self, feed: Feed, key: int, span: Span, look: Look) -> Trace:
        """The row's life. Raises RowAbsent where nobody knows the key."""
        found = self.archive.search(feed, key, span, look)
        books = read_books(self.warehouse, feed.star, key, batches_of(found.observations))
        quarantined = self.archive.quarantined(feed, found.observations)
        facts = Facts(
            feed=feed,
            key=key,
            span=span,
            observations=found.observations,
            books=books,
            quarantined=quarantined,
            replays=self.archive.replays(quarantined),
            notes=(*found.notes, *([] if books.problem is None else [books.problem])),
        )
        trace = assemble(self._with_the_missing(facts, _not_loaded(feed, found.observations, books)))
        if is_absent(trace, books):
            raise RowAbsent(_absence(feed, key, span, books))
        return trace

    def _with_the_missing(self, facts: Facts, missing: Sequence[Observation]) -> Facts:
        """Where the batches lie that are not loaded."""
        if not missing:
            return facts
        try:
            parked = self._parked({one.batch for one in missing})
            notes = facts.notes
        except QueueUnavailable as exc:
            parked, notes = {}, (*facts.notes, f"Whether it is parked is not known: {exc}")
        return replace(facts, built=self.archive.built(facts.feed, missing), parked=parked, notes=notes)

    def _parked(self, batches: set[str]) -> dict[str, str]:
        return {
            batch: name
            for name, queue in self.dead_letters.items()
            for batch in _batches_in(name, queue)
            if batch in batches
        }


def tracer_of(description: Installation) -> Tracer:
    """What traces a row in a running stack."""
    sqs = description.client("sqs")
    objects = ObjectStore(description.client("s3"))
    return Tracer(
        archive=Archive(objects, description.buckets["archive"], description.buckets["processed"]),
        warehouse=warehouse_of(description),
        dead_letters={name: Queue(sqs, url) for name, url in description.dead_letter_queues.items()},
    )


def feed_named(name: str) -> Feed:
    """A feed by its name. Raises ConfigurationError."""
    if name not in FEEDS:
        raise ConfigurationError(f"Expected one of the feeds {', '.join(FEEDS)}, found {name!r}.")
    return FEEDS[name]


def key_of(text: str, feed: Feed) -> int:
    """A key as typed. Raises ConfigurationError."""
    try:
        return int(text.replace("_", "x"))
    except ValueError as exc:
        raise ConfigurationError(f"Expected a {feed.key}, which is an integer, and found {text!r}.") from exc


def _batches_in(name: str, dead_letters: Queue) -> Iterator[str]:
    """The change batches that parked messages are or come from; every message is left as it was."""
    with Browse(name, dead_letters) as look:
        yield from (message.batch for message in look if message.batch is not None)


def _not_loaded(feed: Feed, observations: Sequence[Observation], books: Books) -> list[Observation]:
    if feed.star is None or books.problem is not None:
        return []
    loaded = {load.change_batch for load in books.loads}
    return [one for one in observations if one.batch not in loaded]


def _absence(feed: Feed, key: int, span: Span, books: Books) -> str:
    where = "in the archive" if feed.star is None or books.problem else "neither in the archive nor in the warehouse"
    when = "" if span == Span() else " in that time"
    away = "" if books.problem is None else f" The warehouse was not asked: {books.problem}"
    return f"There is no {feed.name} with {feed.key} {key} {where}{when}: look at the key, and at the feed.{away}"
