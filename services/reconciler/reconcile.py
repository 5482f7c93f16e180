"""Compare every feed's rows with the warehouse, range by range, and publish what mends the differences.

Invariant: a repair says what a source snapshot of its own showed, at that snapshot's position, so it can never undo
anything newer; what is only on its way is left alone. A snapshot is held for one range and no longer. A repair sent
twice, or by two reconcilers, is harmless; a run that dies has sent some repairs, and the next run finds the rest.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any

from contracts.feeds import Feed
from contracts.messages import ChangeBatch
from contracts.star import StarRow
from services.reconciler.in_flight import pending_keys
from services.reconciler.mend import View, deletions_page, publish, rows_page
from services.reconciler.plan import Comparison, Decision, Kind, Newest, Totals, counted, decide, look_again, repairs
from services.reconciler.progress import FeedProgress, LastRun, Progress, ProgressStore
from services.reconciler.ranges import Span, Tally, differing, next_span
from services.reconciler.restore import Restored, restored_pages
from services.reconciler.sides import Meter, SourceSide, WarehouseSide
from services.reconciler.warehouse import Damaged, Warehouse
from shared.archive import Page, Publisher
from shared.checkpoint import LEAST_KEY, Checkpoint, CheckpointStore
from shared.errors import CheckpointConflict, PipelineError
from shared.queues import Queue
from shared.settings import Settings
from shared.telemetry import Logger
from shared.totesys.session import FeedBroken, FeedBusy, Source
from shared.totesys.snapshot import expect_same_source, generation_ended

TRIES = 3
"""Of one feed when the generation moves meanwhile: a source that crashes more often is left to the next run."""
MOST_DIFFERENCES = 50_000
"""Found before they are mended: about 20 MB, and a repair is not much older than what it repairs."""
ASKED_AT_ONCE = 10_000
"""Keys looked up in one statement."""
REPAIRED_AT_ONCE = 10_000
"""Rows of one repair, which is one page however wide they are."""
SHOWN = 20
"""Decisions of a feed that a report names one by one."""


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
    progress: ProgressStore
    queues: tuple[Queue, ...]
    """All that a batch waits on between archive and warehouse."""
    log: Logger


def nobody_to_ask(_feed: str, _gone: int, _live: int) -> bool:
    """Too many deletions wait for somebody who can be asked."""
    return False


@dataclass(frozen=True)
class Task:
    """What a run is to do. The default is the scheduled one: it goes on where the last one's time was over."""

    feeds: tuple[str, ...] = ()
    """Names; none means all."""
    whole: bool = False
    """From the least key to the greatest, however long it takes."""
    dry_run: bool = False
    """Decide, and publish nothing."""
    deep: bool = False
    """Hold the star rows against their star hashes too."""
    allow: Callable[[str, int, int], bool] = nobody_to_ask
    """Asked with a feed's name, the deletions and the rows in the warehouse, where the deletions are too many."""


@dataclass(frozen=True)
class Report:
    """What one run found in each feed compared, why the others were not, and the first decisions of each feed."""

    feeds: dict[str, Totals]
    skipped: dict[str, str]
    decisions: dict[str, tuple[Decision, ...]]

    @property
    def total(self) -> Totals:
        """Over all feeds."""
        return reduce(add, self.feeds.values(), Totals())

    def as_answer(self) -> dict[str, Any]:
        """The report in the words of the function's answer."""
        feeds = {name: asdict(totals) for name, totals in self.feeds.items()}
        return {"total": asdict(self.total), "feeds": feeds, "skipped": self.skipped}


@dataclass
class _Pass:
    """One feed during one run."""

    feed: Feed
    star: type[StarRow]
    progress: FeedProgress
    totals: Totals = field(default_factory=Totals)
    decisions: tuple[Decision, ...] = ()
    tries: int = 0
    complete: bool = False
    proven: bool = False
    clock: datetime | None = None
    skipped: str | None = None

    @property
    def unfinished(self) -> bool:
        return not self.complete and self.skipped is None


@dataclass
class _Look:
    """A stretch of ranges compared once: what differed, and how far it reaches."""

    after: int
    meter: Meter
    tally: Tally = field(default_factory=Tally)
    differences: list[Decision] = field(default_factory=list)
    inferred: list[Decision] = field(default_factory=list)
    newer: int = 0
    generation: int = 0
    clock: datetime | None = None
    complete: bool = False

    def totals(self, decisions: Iterable[Decision], held_back: int) -> Totals:
        found = Totals(source=self.tally.ours, live=self.tally.theirs, newer=self.newer, held_back=held_back)
        return found + Totals(**counted((*decisions, *self.inferred))) + self.meter.totals()


class Reconciler:
    """One execution environment's runs; what must outlive it is in the control bucket."""

    def __init__(
        self,
        *,
        feeds: Sequence[Feed],
        settings: Settings,
        adapters: Adapters,
        sleep: Callable[[float], object],
        now: Callable[[], float],
    ) -> None:
        """Feeds without a star table are passed over; `now` is a monotonic clock, `sleep` waits; both in seconds."""
        self._stars = [(feed, feed.star) for feed in feeds if feed.star is not None]
        self._settings = settings
        self._source = adapters.source
        self._warehouse = adapters.warehouse
        self._publisher = adapters.publisher
        self._checkpoints = adapters.checkpoints
        self._progress = adapters.progress
        self._queues = adapters.queues
        self._log = adapters.log
        self._sleep = sleep
        self._now = now

    def run(self, task: Task | None = None) -> Report:
        """Do the task, the scheduled one by default; what is not one feed's alone is raised.

        No connection outlives the run.
        """
        task = task or Task()
        known = self._progress.load()
        passes = [
            _Pass(feed, star, _begun(known.feed(feed.name), whole=task.whole))
            for feed, star in self._stars
            if not task.feeds or feed.name in task.feeds
        ]
        try:
            self._cover(passes, task)
            if task.deep:
                self._look_deep(passes, task)
        finally:
            self._source.close()
            self._warehouse.close()
        if not task.dry_run:
            self._keep(known, passes, task)
        return _report(passes)

    def _cover(self, passes: Sequence[_Pass], task: Task) -> None:
        """Round after round until every feed is covered, or the time is over: one round covers some of every feed."""
        deadline = float("inf") if task.whole else self._now() + self._settings.reconcile_budget_seconds
        todo = list(passes)
        while todo:
            self._round(todo, task, deadline)
            todo = [one for one in todo if one.unfinished and self._now() < deadline]

    def _round(self, todo: Sequence[_Pass], task: Task, deadline: float) -> None:
        """Look at a stretch of every feed, wait once for what is in flight, mend the rest."""
        looked: list[tuple[_Pass, _Look]] = []
        for number, one in enumerate(todo):
            with self._alone(one):
                until = self._now() + (deadline - self._now()) / (len(todo) - number)
                looked.append((one, self._look(one, until)))
        if any(look.differences for _, look in looked):
            self._sleep(self._settings.settle_seconds)
        for one, look in looked:
            with self._alone(one):
                self._mend(one, look, task)

    @contextmanager
    def _alone(self, one: _Pass) -> Iterator[None]:
        """Let one feed's trouble stop no other."""
        try:
            yield
        except GenerationMoved as exc:
            one.tries += 1
            one.skipped = "The source's generation kept moving." if one.tries == TRIES else None
            self._log.warning("begun again", feed=one.feed.name, reason=str(exc))
        except (FeedSkipped, FeedBusy, FeedBroken) as exc:
            one.skipped = str(exc)
            self._log.warning("feed not reconciled", feed=one.feed.name, reason=str(exc))

    # -- looking

    def _look(self, one: _Pass, until: float) -> _Look:
        """Range after range, each in a snapshot of its own, until the time is over or enough was found."""
        look = _Look(one.progress.after, Meter(self._now))
        while not look.complete:
            with self._snapshot(one.feed, look.generation) as view:
                look.generation, look.clock = view.generation, view.seen.clock
                self._compare(one, view, look)
            if self._now() >= until or len(look.differences) >= MOST_DIFFERENCES:
                break
        return look

    def _compare(self, one: _Pass, view: View, look: _Look) -> None:
        """One range. The source first, the warehouse after it, so that what is loaded meanwhile only agrees more."""
        ours = SourceSide(self._source, one.feed, look.meter)
        theirs = WarehouseSide(self._warehouse, one.star, look.meter)
        span, look.complete = next_span(look.after, (ours, theirs), self._settings.reconcile_range_rows)
        if span is None:
            return
        at = (view.generation, view.revision)
        found: list[Decision] = []
        for part in differing(span, ours, theirs, look.tally):
            comparison = Comparison(ours.hashes(part), at)
            theirs.meet(part, comparison)
            found.extend(comparison.differences())
            look.newer += comparison.newer
        inferred = theirs.inferred(span, self._settings.inferred_seconds) - {one.key for one in found}
        look.differences.extend(found)
        look.inferred.extend(Decision(Kind.INFERRED, key, None, None, at) for key in sorted(inferred))
        look.after = span.high

    @contextmanager
    def _snapshot(self, feed: Feed, generation: int = 0) -> Iterator[View]:
        """A snapshot of the feed in a known generation (0: any): read before it was taken and after, and equal."""
        before = self._ready(feed)
        self._source.open()
        with self._source.snapshot(feed) as seen:
            expect_same_source(before.identity, seen.vitals)
            if generation_ended(before, seen.vitals):
                raise FeedSkipped("The source was restarted after a crash: the poller begins a new generation first.")
            after = self._checkpoints.load()
            if not before.generation == after.generation == (generation or before.generation):
                expected = generation or before.generation
                raise GenerationMoved(f"Expected the generation {expected}, found {after.generation}.")
            yield View(seen, after.generation, after.feed(feed.name).page)

    def _ready(self, feed: Feed) -> Checkpoint:
        """The checkpoint, where it says that the feed can be compared. Raises FeedSkipped."""
        checkpoint = self._checkpoints.load()
        state = checkpoint.feed(feed.name)
        if checkpoint.paused or checkpoint.draining:
            raise FeedSkipped("The pipeline is paused by an operator, or about to stop.")
        if state.paused:
            raise FeedSkipped("An operator has paused the feed.")
        if state.stopped is not None:
            raise FeedSkipped(f"The feed is stopped: {state.stopped}")
        if checkpoint.identity is None or state.polled is None:
            raise FeedSkipped("The backfill has not come to its end.")
        return checkpoint

    # -- mending

    def _mend(self, one: _Pass, look: _Look, task: Task) -> None:
        """Decide what the stretch's differences come to, and publish the repairs."""
        decisions = self._decide(one, look)
        live = max(one.progress.live, one.progress.live_so_far + look.tally.theirs)
        mendable, held_back = self._repairs(one, decisions, live, task)
        sent = Totals()
        for start in range(0, 0 if task.dry_run else len(mendable), REPAIRED_AT_ONCE):
            sent += self._repair(one.feed, mendable[start : start + REPAIRED_AT_ONCE], look.generation)
        found = look.totals(decisions, held_back)
        self._tell(one.feed, found, held_back)
        one.totals += found + sent
        one.decisions = (*one.decisions, *decisions, *look.inferred)[:SHOWN]
        one.complete, one.clock = look.complete, look.clock or one.clock
        kept = _remembered(one.progress, look.after, decisions, mendable)
        moved = one.progress.remember(kept).covered(
            look.after, look.tally.theirs, deleted=sent.deleted, held_back=held_back > 0, complete=look.complete
        )
        one.progress = moved

    def _decide(self, one: _Pass, look: _Look) -> tuple[Decision, ...]:
        """A second look at what differed, and whether it is still on its way."""
        if not look.differences or look.clock is None:
            return ()
        keys = [decision.key for decision in look.differences]
        held: dict[int, Newest] = {}
        for start in range(0, len(keys), ASKED_AT_ONCE):
            held |= self._warehouse.newest(one.star, keys[start : start + ASKED_AT_ONCE])
        again = look_again(look.differences, held)
        if all(decision.kind is Kind.IN_FLIGHT for decision in again):
            return again
        pending = pending_keys(self._publisher, self._warehouse, one.feed, now=look.clock, queues=self._queues)
        return decide(again, pending=pending, sent=one.progress.sent)

    def _repairs(
        self, one: _Pass, decisions: Sequence[Decision], live: int, task: Task
    ) -> tuple[tuple[Decision, ...], int]:
        deleted = one.progress.deleted
        mendable, held_back = repairs(decisions, live=live, deleted=deleted, allowed=False)
        if held_back and not task.dry_run and task.allow(one.feed.name, held_back, live):
            return repairs(decisions, live=live, deleted=deleted, allowed=True)
        return mendable, held_back

    def _repair(self, feed: Feed, decisions: Sequence[Decision], generation: int) -> Totals:
        """Read the rows once more, in a snapshot of their own, and publish what it shows of them."""
        level = self._settings.compression_level
        with self._snapshot(feed, generation) as view:
            page, came = rows_page(self._source, feed, decisions, level)
        # A row that was stale and is gone by now waits for the next run: the guard has not counted it.
        gone = [one.key for one in decisions if one.kind is Kind.EXTRA and one.key not in came]
        changed, deleted = (self._publish(feed, each, view) for each in (page, deletions_page(gone, level)))
        return Totals(changed=changed, deleted=deleted)

    def _publish(self, feed: Feed, page: Page | None, view: View) -> int:
        """The number of rows sent."""
        if page is None:
            return 0
        return self._told(publish(self._publisher, feed, page, view, self._settings.time_zone))

    def _told(self, batch: ChangeBatch) -> int:
        """The number of rows of a batch that was sent, which the log then knows of."""
        self._log.info("published", batch=batch.id, origin=batch.data.origin, rows=batch.data.object.rows)
        return batch.data.object.rows

    def _tell(self, feed: Feed, found: Totals, held_back: int) -> None:
        if found.drift:
            self._log.warning("drift", feed=feed.name, totals=asdict(found))
        if found.inferred:
            self._log.error("members were inferred long ago and no row describes them", feed=feed.name)
        if held_back:
            self._log.error("so many rows are gone from the source that their deletion is held back", feed=feed.name)

    # -- the warehouse against itself

    def _look_deep(self, passes: Sequence[_Pass], task: Task) -> None:
        for one in passes:
            while one.skipped is None and not one.proven:
                with self._alone(one):
                    self._prove(one, task)
                    one.proven = True

    def _prove(self, one: _Pass, task: Task) -> None:
        """Hold every star row against the hash that was taken when it was loaded, range by range."""
        meter, found = Meter(self._now), Totals()
        side, after, complete = WarehouseSide(self._warehouse, one.star, meter), LEAST_KEY, False
        while not complete:
            span, complete = next_span(after, (side,), self._settings.reconcile_range_rows)
            if span is not None:
                after = span.high
                found += self._restore(one, side.damaged(span), task)
        one.totals += found + meter.totals()

    def _restore(self, one: _Pass, damaged: Sequence[Damaged], task: Task) -> Totals:
        """Publish the archived rows that damaged star rows were made of; without them, the source's present rows."""
        found = Totals(damaged=len(damaged))
        told = [Decision(Kind.DAMAGED, each.key, None, None) for each in damaged]
        one.decisions = (*one.decisions, *told)[:SHOWN]
        if not damaged or task.dry_run:
            return found
        self._log.error("star rows are not as they were loaded", feed=one.feed.name, rows=len(damaged))
        result: Restored = restored_pages(
            damaged, one.feed, self._publisher, self._warehouse, self._settings.compression_level
        )
        for page, number, at in result.pages:
            found += Totals(restored=self._told(self._publisher.publish(one.feed, page, number, at)))
        if result.left:
            again = [Decision(Kind.STALE, key, None, None) for key in result.left]
            found += Totals(restored=self._repair(one.feed, again, 0).changed)
        return found

    # -- what is kept

    def _keep(self, known: Progress, passes: Sequence[_Pass], task: Task) -> None:
        """A whole run leaves the scheduled one's place as it was; a conflict costs work, no repair."""
        for one in passes:
            moved = one.progress
            if task.whole:
                before = known.feed(one.feed.name)
                moved = before.model_copy(update={"sent": moved.sent, "live": moved.live or before.live})
            known = known.having(one.feed.name, moved)
        known = known.model_copy(update={"last": _last_run(passes, task) or known.last})
        try:
            self._progress.move(known)
        except CheckpointConflict as exc:
            self._log.warning("another reconciler was faster", reason=str(exc))


def _begun(progress: FeedProgress, *, whole: bool) -> FeedProgress:
    """Where a run begins with a feed: a whole one at its least key."""
    return FeedProgress(live=progress.live, sent=progress.sent) if whole else progress


def _remembered(
    progress: FeedProgress, after: int, decisions: Iterable[Decision], mendable: Iterable[Decision]
) -> dict[int, str]:
    """What was sent and has not been seen to arrive: what this stretch met again, and all outside it."""
    left = {one.key for one in decisions if one.kind in (Kind.QUARANTINED, Kind.IN_FLIGHT)}
    span = Span(progress.after, after)
    kept = {key: one for key, one in progress.sent.items() if key in left or not span.low < key <= span.high}
    return kept | {one.key: one.likeness for one in mendable}


def _last_run(passes: Sequence[_Pass], task: Task) -> LastRun | None:
    """What the run came to; None where it compared nothing."""
    report, clocks = _report(passes), [one.clock for one in passes if one.clock is not None]
    total = report.total
    return (
        None
        if not clocks
        else LastRun(
            at=max(clocks),
            whole=task.whole,
            feeds=len(report.feeds),
            skipped=tuple(report.skipped),
            drift=total.drift,
            repaired=total.repaired,
            held_back=total.held_back,
        )
    )


def _report(passes: Sequence[_Pass]) -> Report:
    return Report(
        feeds={one.feed.name: one.totals for one in passes if one.skipped is None},
        skipped={one.feed.name: one.skipped for one in passes if one.skipped is not None},
        decisions={one.feed.name: one.decisions for one in passes if one.decisions},
    )
