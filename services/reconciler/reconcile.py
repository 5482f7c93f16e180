"""Compare the row hashes of every feed with the warehouse, and publish what mends the differences.

Invariant: a repair says what a source snapshot of its own showed, at that snapshot's position, so it can never undo
anything newer; what is only on its way is left alone. A repair sent twice, or by two reconcilers, is harmless; a run
that dies has sent some repairs, and the next run finds the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import add
from typing import Any

from contracts.feeds import Feed
from contracts.messages import Origin
from contracts.star import StarRow
from services.reconciler.plan import Comparison, Drift, Kind, Totals, count, repairable
from services.reconciler.warehouse import Warehouse
from shared.archive import Circumstances, Page, Pages, Publisher, deletions
from shared.checkpoint import Checkpoint, CheckpointStore
from shared.errors import PipelineError
from shared.settings import Settings
from shared.telemetry import Logger
from shared.totesys.session import FeedBroken, FeedBusy, Seen, Source
from shared.totesys.snapshot import expect_same_source, generation_ended

TRIES = 3
"""Of one feed when the generation moves meanwhile: a source that crashes more often is left to the next run."""


_Stars = list[tuple[Feed, type[StarRow]]]
"""Feeds with their star tables."""


class FeedSkipped(PipelineError):
    """This feed cannot be compared now; a later run can."""


class GenerationMoved(PipelineError):
    """The source crashed, and the poller saw it, while a snapshot was taken: start again."""


@dataclass(frozen=True)
class Adapters:
    """All that a reconciler talks to."""

    source: Source
    warehouse: Warehouse
    publisher: Publisher
    checkpoints: CheckpointStore
    log: Logger


@dataclass(frozen=True)
class Report:
    """What one run found in each feed compared, and why the others were not."""

    feeds: dict[str, Totals]
    skipped: dict[str, str]

    def as_answer(self) -> dict[str, Any]:
        """The report in the words of the function's answer."""
        total = reduce(add, self.feeds.values(), Totals())
        feeds = {name: asdict(totals) for name, totals in self.feeds.items()}
        return {"total": asdict(total), "feeds": feeds, "skipped": self.skipped}


@dataclass(frozen=True)
class _View:
    """An open snapshot of a feed, its place in the order of snapshots, and the feed's next page number."""

    seen: Seen
    generation: int
    page: int

    @property
    def revision(self) -> int:
        return self.seen.vitals.snapshot.revision


@dataclass(frozen=True)
class _Found:
    """The first look at a feed: what differed, and the position at which the source was read."""

    totals: Totals
    drifts: tuple[Drift, ...]
    generation: int
    revision: int


class Reconciler:
    """One execution environment's runs; it remembers what it repaired last, so as not to repeat it in vain."""

    def __init__(
        self, *, feeds: Sequence[Feed], settings: Settings, adapters: Adapters, sleep: Callable[[float], object]
    ) -> None:
        """Feeds without a star table are passed over; `sleep` waits so many seconds."""
        self._stars = [(feed, feed.star) for feed in feeds if feed.star is not None]
        self._settings = settings
        self._source = adapters.source
        self._warehouse = adapters.warehouse
        self._publisher = adapters.publisher
        self._checkpoints = adapters.checkpoints
        self._log = adapters.log
        self._sleep = sleep
        self._repaired: dict[str, dict[int, Drift]] = {feed.name: {} for feed in feeds}

    def run(self) -> Report:
        """Reconcile every feed; what is not one feed's alone is raised. No connection outlives the run."""
        report, again = Report({}, {}), self._stars
        try:
            for _ in range(TRIES):
                again = self._round(again, report)
        finally:
            self._source.close()
            self._warehouse.close()
        report.skipped.update({feed.name: "The source's generation kept moving." for feed, _ in again})
        return report

    def _round(self, stars: _Stars, report: Report) -> _Stars:
        """Look at every feed, wait once for what is in flight, mend the rest; the feeds to be begun again."""
        again: _Stars = []
        looked: list[tuple[Feed, type[StarRow], _Found]] = []
        for feed, star in stars:
            with self._alone(feed, star, report, again):
                looked.append((feed, star, self._first_look(feed, star)))
        if any(found.drifts for _, _, found in looked):
            self._sleep(self._settings.settle_seconds)
        for feed, star, found in looked:
            with self._alone(feed, star, report, again):
                report.feeds[feed.name] = self._mend(feed, star, found)
        return again

    @contextmanager
    def _alone(self, feed: Feed, star: type[StarRow], report: Report, again: _Stars) -> Iterator[None]:
        """Let one feed's trouble stop no other."""
        try:
            yield
        except GenerationMoved as exc:
            again.append((feed, star))
            self._log.warning("begun again", feed=feed.name, reason=str(exc))
        except (FeedSkipped, FeedBusy, FeedBroken) as exc:
            report.skipped[feed.name] = str(exc)
            self._log.warning("feed not reconciled", feed=feed.name, reason=str(exc))

    def _mend(self, feed: Feed, star: type[StarRow], found: _Found) -> Totals:
        confirmed = self._second_look(star, found) if found.drifts else ()
        last = self._repaired[feed.name]
        fresh, totals = repairable(confirmed, last, live=found.totals.live)
        self._repaired[feed.name] = {one.key: one for one in confirmed if last.get(one.key) == one}
        totals += replace(found.totals, in_flight=len(found.drifts) - len(confirmed), **_kinds(confirmed))
        for start in range(0, len(fresh), self._settings.page_rows):
            totals += self._repair(feed, fresh[start : start + self._settings.page_rows], found.generation)
        if confirmed:
            self._log.warning("drift", feed=feed.name, totals=asdict(totals))
        if totals.held_back:
            self._log.error("so many rows are gone from the source that their deletion is held back", feed=feed.name)
        return totals

    # -- looking

    def _first_look(self, feed: Feed, star: type[StarRow]) -> _Found:
        """Everything: the source first, the warehouse after it, so that what is loaded meanwhile only agrees more."""
        hashes = _Hashes()
        with self._snapshot(feed) as view:
            rows = self._source.copy_hashes(feed, hashes)
        comparison = Comparison(hashes.by_key, view.generation, view.revision)
        self._warehouse.newest(star, comparison.meet)
        totals = Totals(source=rows, live=comparison.live, newer=comparison.newer)
        return _Found(totals, comparison.drifts(), view.generation, view.revision)

    def _second_look(self, star: type[StarRow], found: _Found) -> tuple[Drift, ...]:
        """What still differs after a while: the rest was in flight."""
        source = {one.key: one.row_hash for one in found.drifts if one.row_hash is not None}
        comparison = Comparison(source, found.generation, found.revision)
        self._warehouse.newest(star, comparison.meet, [one.key for one in found.drifts])
        return comparison.drifts()

    @contextmanager
    def _snapshot(self, feed: Feed) -> Iterator[_View]:
        """A snapshot of the feed in a known generation: read before it was taken and after, and equal."""
        before = self._ready(feed)
        self._source.open()
        with self._source.snapshot(feed) as seen:
            expect_same_source(before.identity, seen.vitals)
            if generation_ended(before, seen.vitals):
                raise FeedSkipped("The source was restarted after a crash: the poller begins a new generation first.")
            after = self._checkpoints.load()
            if after.generation != before.generation:
                raise GenerationMoved(f"Expected the generation {before.generation}, found {after.generation}.")
            yield _View(seen, after.generation, after.feed(feed.name).page)

    def _ready(self, feed: Feed) -> Checkpoint:
        """The checkpoint, where it says that the feed can be compared. Raises FeedSkipped."""
        checkpoint = self._checkpoints.load()
        state = checkpoint.feed(feed.name)
        if checkpoint.paused:
            raise FeedSkipped("An operator has paused the pipeline.")
        if state.stopped is not None:
            raise FeedSkipped(f"The feed is stopped: {state.stopped}")
        if checkpoint.identity is None or state.polled is None:
            raise FeedSkipped("The backfill has not come to its end.")
        return checkpoint

    # -- mending

    def _repair(self, feed: Feed, drifts: Sequence[Drift], generation: int) -> Totals:
        """Read the rows once more, in a snapshot of their own, and publish what it shows of them."""
        by_key = {one.key: one for one in drifts}
        came: set[int] = set()

        def holds(key: int, row_hash: int) -> bool:
            held = by_key[key].held
            came.add(key)
            return held is not None and held.live and held.row_hash == row_hash

        kept: list[Page] = []
        settings = self._settings
        pages = Pages(
            feed, kept.append, holds=holds, page_rows=len(by_key), compression_level=settings.compression_level
        )
        with self._snapshot(feed) as view:
            if view.generation != generation:
                raise GenerationMoved(f"Expected the generation {generation}, found {view.generation}.")
            self._source.copy_keys(feed, list(by_key), pages)
        # A row that was stale and is gone by now waits for the next run: the guard has not counted it.
        gone = [one.key for one in drifts if one.kind is Kind.EXTRA and one.key not in came]
        changed = self._publish(feed, pages.rest(), view, by_key)
        page = deletions(gone, compression_level=settings.compression_level) if gone else None
        return Totals(changed=changed, deleted=self._publish(feed, page, view, by_key))

    def _publish(self, feed: Feed, page: Page | None, view: _View, drifts: dict[int, Drift]) -> int:
        """Object, message, and then the memory; the number of rows. The digest makes the id unique beside the page."""
        if page is None:
            return 0
        at = Circumstances(
            origin=Origin.REPAIR,
            generation=view.generation,
            revision=view.revision,
            since=None,
            as_of=view.seen.clock,
            time_zone=self._settings.time_zone,
        )
        self._publisher.publish(feed, page, view.page, at)
        self._repaired[feed.name].update((key, drifts[key]) for key in page.hashes)
        return len(page.hashes)


class _Hashes:
    """COPY's sink: row hashes by key."""

    def __init__(self) -> None:
        self.by_key: dict[int, int] = {}

    def write(self, row: bytes, /) -> None:
        key, row_hash = row.split(b"\t")
        self.by_key[int(key)] = int(row_hash)


def _kinds(drifts: Sequence[Drift]) -> dict[str, int]:
    return {kind.value: count(drifts, kind) for kind in Kind}
