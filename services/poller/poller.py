"""The loop: take ownership, poll every feed in turn, publish what is new, move the checkpoint last.

Invariant: the checkpoint is never ahead of what is stored and sent, and nothing is published before the owner's name
and the generation stand in it. A poll that is repeated, by this poller or by another, publishes the same rows again,
which is harmless; a poll that dies is resumed from the checkpoint.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.feeds import Feed
from contracts.messages import Origin
from services.poller import reading
from services.poller.census import Census, Keys
from services.poller.heartbeat import heartbeat_of
from services.poller.reading import Claim, Memory, Pace, Rules, Wait
from services.poller.uncovered import publish_uncovered
from shared.archive import Circumstances, Page, Pages, PageSize, Publisher, deletions
from shared.checkpoint import LEAST_KEY, Checkpoint, CheckpointStore, FeedState, Horizon, Read
from shared.deletions import too_many
from shared.errors import CheckpointConflict, ConfigurationError
from shared.settings import Settings
from shared.telemetry import Logger
from shared.totesys.session import FeedBroken, FeedBusy, Glimpse, Pulse, Seen, Source
from shared.totesys.snapshot import Conditions, Vitals, expect_same_source

EXAMINE_SECONDS = 30.0
"""Between two looks at the catalog: one cheap query, and how long a mended feed waits at most."""
SIGNS_OF_LIFE = 3
"""In a lease, so that one lost or slow one does not look like a death."""


@dataclass
class Summary:
    """What one run did: rounds of polling, pages and rows published, and whether this poller was the owner.

    `look_back_seconds`: the farthest that each feed's polls may have had to read back (reading.look_back_seconds);
    `rows_captured`: rows by feed, where there were any.
    """

    owner: bool = False
    polls: int = 0
    pages: int = 0
    rows: int = 0
    look_back_seconds: dict[str, float] = field(default_factory=dict)
    rows_captured: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Adapters:
    """All that a poller talks to."""

    source: Source
    publisher: Publisher
    checkpoints: CheckpointStore
    log: Logger


@dataclass(frozen=True)
class _Turn:
    """One read of one feed out of one snapshot."""

    feed: Feed
    origin: Origin
    read: Read
    seen: Seen
    horizon: Horizon


class Poller:
    """One owner's polls. Its memory is valid while the checkpoint stays its own; in doubt it is emptied."""

    def __init__(
        self, *, owner: str, feeds: Sequence[Feed], settings: Settings, adapters: Adapters, now: Callable[[], float]
    ) -> None:
        """`owner` names the execution environment; `now` is a monotonic clock in seconds."""
        self._owner = owner
        self._feeds = {feed.name: feed for feed in feeds}
        self._order = deque(feeds)
        self._settings = settings
        self._rules = rules(settings)
        self._source = adapters.source
        self._publisher = adapters.publisher
        self._checkpoints = adapters.checkpoints
        self._log = adapters.log
        self._now = now
        self._checkpoint = Checkpoint()
        self._memories = {feed.name: Memory() for feed in feeds}
        self._censuses = {feed.name: Census() for feed in feeds}
        self._scans: dict[str, Read] = {}
        self._polled_from: dict[str, datetime | None] = {}
        self._lively: set[str] = set()
        self._waits: dict[str, Wait] = {}
        self._paces = {feed.name: Pace() for feed in feeds}
        self._untrusted: list[Horizon] = []
        self._listing: Horizon | None = None
        self._settled = False
        self._moved_at = 0.0
        self._beaten_at: float | None = None
        self._examined_at: float | None = None
        self._noted: set[str] = set()
        self._summary = Summary()

    # -- running

    def run(self, seconds: float, sleep: Callable[[float], object]) -> Summary:
        """Poll for so many seconds, if no live owner does; errors that are not one feed's alone are raised."""
        self._summary = Summary()
        until = self._now() + seconds
        while self.claim():
            self._summary.owner = True
            try:
                self._poll_until(until, sleep)
                self.rest()
                break
            except CheckpointConflict as exc:
                self._log.warning("checkpoint moved by another", reason=str(exc))
                self._source.close()
            except BaseException:
                self._source.close()
                raise
        return self._summary

    def claim(self) -> bool:
        """Become the owner by compare-and-set, unless a live one is; publish what a dead one left unsent."""
        mine, self._settled = self._settled, False
        found, age_seconds = self._checkpoints.load_with_age()
        decided = reading.claim(
            found, age_seconds=age_seconds, owner=self._owner, lease_seconds=self._settings.lease_seconds
        )
        if decided is Claim.LEAVE:
            return False
        self._checkpoint = found.model_copy(update={"owner": self._owner, "resting": False})
        if decided is Claim.TAKE or not mine:
            self._doubt()
        try:
            self._move()
            if decided is Claim.TAKE or not mine:
                self._cover_the_archive()
        except CheckpointConflict:
            return False
        return True

    def rest(self) -> None:
        """End in good order: the next invocation, here or elsewhere, need not wait for the lease."""
        self._checkpoint = self._checkpoint.model_copy(update={"resting": True})
        self._move()
        self._settled = True

    def poll(self, until: float = float("inf")) -> None:
        """One round: every feed has its turn, beginning where the last round was cut short by `until`."""
        if self._source.open():
            self._doubt_ids()
            self._examined_at = None
        if self._examined_at is None or self._now() - self._examined_at >= EXAMINE_SECONDS:
            self._examine()
        pulse = self._source.pulse()
        self._meet(pulse.vitals)
        horizon = self._look(pulse)
        self._measure_look_back(horizon)
        moved = [feed for feed in self._order if self._is_polled(feed) and not self._at_rest(feed, horizon)]
        resting = self._glance([feed for feed in moved if self._may_rest(feed)])
        for _ in range(len(self._order)):
            if self._now() >= until:
                break
            if self._order[0] in moved and self._order[0] not in resting:
                self._visit(self._order[0])
            self._order.rotate(-1)
        self._show_life()
        self._summary.polls += 1

    @property
    def summary(self) -> Summary:
        """What the run has done so far, also where an error ended it."""
        return self._summary

    @property
    def checkpoint(self) -> Checkpoint:
        """What this poller knows; at times ahead of what is stored, never of what was sent."""
        return self._checkpoint

    @property
    def busy(self) -> bool:
        """Whether a read is under way, so that the next round should not wait."""
        known = self._checkpoint.feeds
        polled = {name for name, state in known.items() if state.stopped is None and not state.paused}
        return not polled.isdisjoint(self._scans) or any(known[name].reading is not None for name in polled)

    def _poll_until(self, until: float, sleep: Callable[[float], object]) -> None:
        while True:
            started = self._now()
            self.poll(until)
            self._beat()
            due = self._now() if self.busy else started + self._settings.poll_interval_seconds
            if due >= until:
                return
            sleep(max(0.0, due - self._now()))

    # -- what a feed's turn does

    def _is_polled(self, feed: Feed) -> bool:
        state = self._state(feed)
        return state.stopped is None and not state.paused

    def _visit(self, feed: Feed) -> None:
        """Read the feed; an error that is this feed's alone stops no other."""
        if not self._is_polled(feed):
            return
        try:
            self._take_turn(feed)
        except FeedBusy as exc:
            self._log.warning("feed skipped this round", feed=feed.name, reason=str(exc))
        except FeedBroken:
            self._examine()
            if self._state(feed).stopped is None:
                raise

    def _at_rest(self, feed: Feed, pulse: Horizon) -> bool:
        """Whether the pulse shows nothing new; the feed's horizons then move to it, as after an empty read."""
        state, census = self._state(feed), self._censuses[feed.name]
        if state.reading or feed.name in self._scans or not self._unmoved(state.polled, pulse):
            return False
        scanned = self._unmoved(state.scanned, pulse) and self._unmoved(census.counted, pulse)
        if not scanned and self._scan_is_due(feed):
            return False
        moved = {"polled": pulse, "as_of": pulse.clock}
        if scanned:
            moved["scanned"] = census.counted = pulse
        self._set(feed, state.model_copy(update=moved))
        return True

    def _may_rest(self, feed: Feed) -> bool:
        """Whether a glance may show that nothing is new; of a feed that keeps changing it would be one more look."""
        state = self._state(feed)
        under_way = state.polled is None or state.reading is not None or feed.name in self._scans
        return not under_way and feed.name not in self._lively

    def _glance(self, feeds: Sequence[Feed]) -> Sequence[Feed]:
        """Look at many feeds in one snapshot; those of which nothing is new move to it, as after an empty read.

        Any doubt leaves a feed to a turn of its own. So does an error: it is some feed's, and its turn shows whose.
        """
        if not feeds:
            return []
        try:
            with self._source.snapshot_of_all(feeds) as seen:
                any_of_them = next(iter(seen.values()))
                self._meet(any_of_them.vitals)
                return self._glance_at(feeds, seen, self._look(any_of_them))
        except (FeedBusy, FeedBroken):
            return []

    def _glance_at(self, feeds: Sequence[Feed], seen: Mapping[str, Seen], horizon: Horizon) -> Sequence[Feed]:
        started = self._now()
        asked: dict[Feed, Conditions] = {}
        for feed in feeds:
            self._weigh(feed, seen[feed.name].rows)
            conditions = self._to_glance(feed, seen[feed.name], horizon)
            if conditions is not None:
                asked[feed] = conditions
                self._know_poll(feed, conditions)
        if not asked:
            return []
        found = dict(zip(asked, self._source.glance(list(asked), list(asked.values()), xmax=horizon.xmax), strict=True))
        resting = [feed for feed, glimpse in found.items() if self._shows_nothing_new(feed, glimpse)]
        for feed in resting:
            self._lay_to_rest(feed, horizon, seen[feed.name], scanned=found[feed].rows is not None)
            if found[feed].rows is not None:
                self._paces[feed.name] = Pace(self._now(), self._now() - started, seen[feed.name].rows)
        return resting

    def _to_glance(self, feed: Feed, seen: Seen, horizon: Horizon) -> Conditions | None:
        """What to ask of the feed, as its poll and its scan would."""
        state, due = self._state(feed), self._scan_is_due(feed)
        known = self._censuses[feed.name].counted is not None and seen.rows <= reading.GLANCE_ROWS
        if state.relations != seen.relations or (due and not known):
            return None

        def ask(origin: Origin, base: Horizon | None) -> Conditions:
            return self._asked(_Turn(feed, origin, Read(base=base, first=horizon, after=LEAST_KEY), seen, horizon))

        return reading.to_glance(ask(Origin.POLL, state.polled), ask(Origin.SCAN, state.scanned) if due else None)

    def _shows_nothing_new(self, feed: Feed, glimpse: Glimpse) -> bool:
        agrees = glimpse.rows is None or self._censuses[feed.name].agrees(glimpse.rows)
        return agrees and not glimpse.met

    def _lay_to_rest(self, feed: Feed, horizon: Horizon, seen: Seen, *, scanned: bool) -> None:
        """Move the feed as after a poll without rows and, where all of it was looked at, a scan without."""
        read = Read(base=self._state(feed).polled, first=horizon, after=LEAST_KEY)
        turns = [_Turn(feed, origin, read, seen, horizon) for origin in (Origin.POLL, *[Origin.SCAN] * scanned)]
        for turn in turns:
            self._set(feed, self._ended(turn)(self._state(feed)).model_copy(update=self._position(turn)))
        if scanned:
            self._know_polls_since(turns[-1])
            self._censuses[feed.name].counted = horizon

    def _take_turn(self, feed: Feed) -> None:
        """Poll, or go on with a read of many pages; then scan in the same snapshot, if a scan is due."""
        with self._source.snapshot(feed) as seen:
            self._meet(seen.vitals)
            horizon = self._look(seen)
            self._weigh(feed, seen.rows)
            if reading.moved_wholesale(self._state(feed), seen.relations):
                self._examine()
                self._scans.pop(feed.name, None)
            if self._state(feed).stopped is None and self._poll_feed(feed, seen, horizon) and self._scan_is_due(feed):
                self._scan(feed, seen, horizon)

    def _poll_feed(self, feed: Feed, seen: Seen, horizon: Horizon) -> bool:
        """Whether the feed's read came to its end. It stands in the state with the relations it is for, or neither."""
        state = self._state(feed)
        read = reading.next_read(state, horizon, seen.relations)
        self._set(feed, state.model_copy(update={"relations": seen.relations, "reading": read}))
        return self._read(_Turn(feed, reading.origin_of(read), read, seen, horizon))

    def _scan(self, feed: Feed, seen: Seen, horizon: Horizon) -> None:
        """Read by the xmin condition alone, then count. A scan cut by its limit goes on in the feed's next turn."""
        self._waits.pop(feed.name, None)
        base, started = self._state(feed).scanned, self._now()
        read = self._scans.pop(feed.name, None) or Read(base=base, first=horizon, after=LEAST_KEY)
        turn = _Turn(feed, Origin.SCAN, read, seen, horizon)
        just_read_whole = base == horizon
        try:
            if just_read_whole or self._read(turn):
                self._know_polls_since(turn)
                self._take_census(turn)
        finally:
            ended_at = self._now()
            self._paces[feed.name] = Pace(ended_at, ended_at - started, seen.rows)

    def _know_polls_since(self, scan: _Turn) -> None:
        """Every poll from here on is known of, unless there were some since the scan's own beginning."""
        if scan.read.first == scan.horizon and self._polled_from.get(scan.feed.name) is None:
            self._polled_from[scan.feed.name] = reading.NO_POLL

    def _take_census(self, turn: _Turn) -> None:
        """Find the keys that are gone, after a scan that came to its end in this snapshot.

        If it began in an earlier one, a row may have appeared behind where it stood: that agreement proves nothing.
        """
        census = self._censuses[turn.feed.name]
        if census.agrees(self._source.count_rows(turn.feed)):
            if reading.nothing_new(turn.read.first, turn.horizon):
                census.counted = turn.horizon
            return
        there = Keys(self._source.all_keys(turn.feed))
        since = turn.read.model_copy(update={"base": census.counted})
        self._publish_gone(replace(turn, read=since), census.gone(there), live=len(census))
        self._memories[turn.feed.name].keep_only(there)
        census.take(there, turn.horizon)

    def _publish_gone(self, turn: _Turn, gone: Sequence[int], *, live: int) -> None:
        """Publish deletions as any other page; so many that they must be asked for are left to the reconciler."""
        if too_many(len(gone), live):
            self._log.error(
                "so many rows are gone from the source that the reconciler must ask",
                feed=turn.feed.name,
                gone=len(gone),
            )
            return
        for start in range(0, len(gone), self._settings.page_rows):
            keys = gone[start : start + self._settings.page_rows]
            page = deletions(keys, compression_level=self._settings.compression_level)
            self._publish(turn, page, lambda state: state)

    def _weigh(self, feed: Feed, rows: int) -> None:
        """A feed too large to be scanned is none of which every key is kept."""
        self._paces[feed.name] = replace(self._paces[feed.name], rows=rows)
        if rows > self._settings.scan_max_rows:
            self._censuses[feed.name].forget()

    def _scan_is_due(self, feed: Feed) -> bool:
        pace, wait = self._paces[feed.name], self._waits.get(feed.name)
        return feed.name in self._scans or reading.scan_due(pace, wait, at=self._now(), rules=self._rules)

    def _read(self, turn: _Turn) -> bool:
        """Stream one turn's rows into pages and publish them; whether the read came to its end."""
        limit = self._settings.page_rows * self._settings.pages_per_turn
        hashed = self._hashes_decide(turn)
        pages = Pages(
            turn.feed,
            lambda page: self._publish(turn, page, self._gone_on(turn, page.last_key)),
            held=self._held(turn.feed) if hashed else None,
            size=PageSize(self._settings.page_rows),
            compression_level=self._settings.compression_level,
        )
        asked = self._conditions(turn)
        copy = self._source.copy if hashed else self._source.copy_unhashed
        copy(turn.feed, asked, pages, after=turn.read.after, limit=limit, xmax=turn.horizon.xmax)
        finished = pages.rows_read < limit
        if turn.origin is not Origin.SCAN:
            self._lively = self._lively - {turn.feed.name} | ({turn.feed.name} if pages.rows_read else set())
        after = self._ended(turn) if finished else self._gone_on(turn, pages.last_key)
        rest = pages.rest()
        if turn.origin is not Origin.SCAN and pages.rows_read >= reading.BULK_ROWS:
            self._waits[turn.feed.name] = reading.put_off(self._waits.get(turn.feed.name), turn.read, at=self._now())
        if rest is None:
            self._set(turn.feed, after(self._state(turn.feed)).model_copy(update=self._position(turn)))
        else:
            self._publish(turn, rest, after)
        if turn.origin is Origin.SCAN and not finished:
            self._scans[turn.feed.name] = turn.read.model_copy(update={"after": pages.last_key})
        return finished

    def _hashes_decide(self, turn: _Turn) -> bool:
        """Whether row hashes or keys tell anything: not in a backfill of which none is known and too many come.

        Too many to be remembered, so that none of them will be skipped for its hash.
        """
        feed, ahead = turn.feed, turn.read.after + 1
        unknown = not self._censuses[feed.name].listed and self._memories[feed.name].holds_none_from(ahead)
        many = turn.origin is Origin.BACKFILL and turn.seen.rows > reading.MEMORY_KEYS
        return not (many and unknown and self._source.hashes_alike(feed))

    def _held(self, feed: Feed) -> Callable[[Sequence[int], Sequence[int]], Set[int]]:
        """Which of some rows, in the order of their keys, need not be sent; a census that knows keys meets theirs."""
        census, memory = self._censuses[feed.name], self._memories[feed.name]

        def held(keys: Sequence[int], hashes: Sequence[int]) -> Set[int]:
            census.meet(keys)
            if memory.holds_none_from(keys[0]):
                return frozenset()
            return memory.held(zip(keys, hashes, strict=True)).keys()

        return held

    def _conditions(self, turn: _Turn) -> Conditions:
        """What to ask for. A scan leaves out what polls have read since the scan before, if the last saw this snapshot.

        A poll of several turns saw that of its first one: something that it passed by may have changed since.
        """
        asked = self._asked(turn)
        if turn.origin is not Origin.SCAN:
            self._know_poll(turn.feed, asked)
            return asked
        polled = self._state(turn.feed).polled == turn.horizon
        return reading.left_by_polls(asked, self._polled_from.get(turn.feed.name)) if polled else asked

    def _know_poll(self, feed: Feed, asked: Conditions) -> None:
        self._polled_from[feed.name] = reading.polled_from(self._polled_from.get(feed.name), asked)

    def _asked(self, turn: _Turn) -> Conditions:
        return reading.conditions(
            turn.origin,
            turn.read.base,
            seen=turn.horizon,
            open_now=reading.still_open(turn.seen.still_listed, turn.seen.vitals.snapshot),
            trusted=self._trusted(turn.read.base),
            rules=self._rules,
        )

    def _gone_on(self, turn: _Turn, last_key: int) -> Callable[[FeedState], FeedState]:
        read = turn.read.model_copy(update={"after": last_key})
        return lambda state: reading.gone_on(state, turn.origin, read)

    def _ended(self, turn: _Turn) -> Callable[[FeedState], FeedState]:
        return lambda state: reading.ended(state, turn.origin, turn.read)

    def _publish(self, turn: _Turn, page: Page, after: Callable[[FeedState], FeedState]) -> None:
        """Object, message, checkpoint, in this order, and last the memory: a run that fails on the way empties it."""
        state = self._state(turn.feed)
        batch = self._publisher.publish(turn.feed, page, state.page, self._circumstances(turn))
        self._log.info("published", batch=batch.id, origin=turn.origin, rows=page.rows)
        counted = {"page": state.page + 1, "rows_captured": state.rows_captured + page.rows}
        self._set(turn.feed, after(state).model_copy(update=counted | self._position(turn)))
        self._move()
        if page.hashes is not None:
            self._memories[turn.feed.name].keep(page.hashes, page.last_key)
        self._summary.pages += 1
        self._summary.rows += page.rows
        self._summary.rows_captured[turn.feed.name] += page.rows

    def _circumstances(self, turn: _Turn) -> Circumstances:
        return Circumstances(
            origin=turn.origin,
            generation=self._checkpoint.generation,
            revision=turn.seen.vitals.snapshot.revision,
            since=turn.read.base.clock if turn.read.base else None,
            as_of=turn.horizon.clock,
            time_zone=self._settings.time_zone,
        )

    def _position(self, turn: _Turn) -> dict[str, int]:
        return {"generation": self._checkpoint.generation, "revision": turn.seen.vitals.snapshot.revision}

    # -- what is known of the source

    def _meet(self, vitals: Vitals) -> None:
        """Check whose snapshot this is; a new generation is in the checkpoint before anything is published in it."""
        expect_same_source(self._checkpoint.identity, vitals)
        known = self._checkpoint.generation
        self._checkpoint = reading.met(self._checkpoint, vitals)
        if self._checkpoint.generation != known:
            self._log.warning("new generation", generation=self._checkpoint.generation)
            self._distrust()
            self._move()

    def _look(self, pulse: Pulse) -> Horizon:
        """The horizon of a snapshot. Each listing is judged by the one before it, so this is called once for each."""
        snapshot = pulse.vitals.snapshot
        self._listing = Horizon(
            clock=pulse.clock,
            xmax=snapshot.xmax,
            xip=snapshot.xip,
            open=reading.starts(pulse.listed, self._listing and reading.no_later(self._listing, pulse.clock)),
            generation=self._checkpoint.generation,
        )
        return self._listing

    def _measure_look_back(self, pulse: Horizon) -> None:
        """Keep the greatest of the run: one figure a feed and an invocation is enough to see a transaction grow old."""
        farthest = self._summary.look_back_seconds
        for name, state in self._checkpoint.feeds.items():
            seconds = reading.look_back_seconds(state.polled, pulse.clock)
            if seconds is not None and state.stopped is None and not state.paused:
                farthest[name] = max(seconds, farthest.get(name, 0.0))

    def _trusted(self, base: Horizon | None) -> bool:
        """Whether the transaction ids of a horizon are certainly those of the source's present generation."""
        return base is None or (base.generation == self._checkpoint.generation and base not in self._untrusted)

    def _unmoved(self, base: Horizon | None, pulse: Horizon) -> bool:
        return self._trusted(base) and reading.nothing_new(base, pulse)

    def _examine(self) -> None:
        """Stop the feeds that cannot be read, resume those that were mended, note what is new."""
        findings = self._source.examine(list(self._feeds.values()))
        self._examined_at = self._now()
        if findings.source:
            raise ConfigurationError(" ".join(findings.source))
        for feed in self._feeds.values():
            self._stop_or_resume(feed, " ".join(findings.feeds.get(feed.name, ())) or None)
        for note in findings.notes:
            if note not in self._noted:
                self._noted.add(note)
                self._log.warning("found in the source", note=note)

    def _stop_or_resume(self, feed: Feed, reason: str | None) -> None:
        state = self._state(feed)
        if state.stopped != reason:
            self._log.error("feed stopped" if reason else "feed resumed", feed=feed.name, reason=reason)
            self._set(feed, state.model_copy(update={"stopped": reason}))
            self._scans.pop(feed.name, None)
            self._move()

    # -- what is known of the checkpoint

    def _state(self, feed: Feed) -> FeedState:
        return self._checkpoint.feed(feed.name)

    def _set(self, feed: Feed, state: FeedState) -> None:
        feeds = {**self._checkpoint.feeds, feed.name: state}
        self._checkpoint = self._checkpoint.model_copy(update={"feeds": feeds})

    def _move(self) -> None:
        self._checkpoints.move(self._checkpoint)
        self._moved_at = self._now()

    def _show_life(self) -> None:
        """Move the checkpoint now and then although nothing was published, so that nobody takes over."""
        if self._now() - self._moved_at >= self._settings.lease_seconds / SIGNS_OF_LIFE:
            self._move()

    def _beat(self) -> None:
        """Send a heartbeat about once a minute. It is true once the checkpoint moved: then nobody else published."""
        now, last = self._now(), self._beaten_at
        if self._listing is None or (last is not None and now - last < self._settings.heartbeat_seconds):
            return
        self._move()
        self._publisher.beat(heartbeat_of(self._checkpoint, self._listing.clock))
        self._beaten_at = now

    def _doubt(self) -> None:
        """Somebody else may have published: what was sent last is unknown."""
        for name, memory in self._memories.items():
            memory.clear()
            self._censuses[name].forget()
        self._doubt_ids()

    def _doubt_ids(self) -> None:
        """A crash may have come between: `_meet` sees it in every snapshot, if the source tells when it crashed."""
        self._scans.clear()
        self._polled_from.clear()
        self._untrusted = []
        self._listing = reading.newest(reading.horizons(self._checkpoint))
        if self._checkpoint.stats_reset is None:
            self._distrust()

    def _distrust(self) -> None:
        """Transaction ids of every horizon known may be used twice: their xmin condition is left out.

        A census stays: the scan that follows reads the feed whole, and what a crash took back is gone indeed.
        """
        self._scans.clear()
        self._polled_from.clear()
        counted = [census.counted for census in self._censuses.values() if census.counted is not None]
        self._untrusted = [*reading.horizons(self._checkpoint), *counted]
        self._listing = reading.newest(self._untrusted)

    def _cover_the_archive(self) -> None:
        """Send what lies in the archive and not in the checkpoint; a lost checkpoint begins a generation of its own."""
        lost = self._checkpoint.identity is None
        for feed in self._feeds.values():
            state, generation = publish_uncovered(self._publisher, feed, self._state(feed), self._log)
            if generation > self._checkpoint.generation or (lost and generation == self._checkpoint.generation):
                self._checkpoint = self._checkpoint.model_copy(update={"generation": generation + 1})
            if state != self._state(feed):
                self._set(feed, state)
        self._move()


def rules(settings: Settings) -> Rules:
    """The settings that decide how much is read. Raises ConfigurationError where the time zone is none."""
    try:
        zone = ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ConfigurationError(
            f"Expected TOTES_TIME_ZONE to be an IANA zone such as Europe/London, found {settings.time_zone!r}."
        ) from exc
    return Rules(
        zone=zone,
        margin=timedelta(seconds=settings.margin_seconds),
        scan_interval_seconds=settings.scan_interval_seconds,
        scan_share=settings.scan_share,
        scan_max_rows=settings.scan_max_rows,
    )


def as_answer(summary: Summary, checkpoint: Checkpoint) -> dict[str, Any]:
    """The run in the words of the function's answer."""
    stopped = {name: state.stopped for name, state in checkpoint.feeds.items() if state.stopped}
    return {
        "owner": summary.owner,
        "polls": summary.polls,
        "pages": summary.pages,
        "rows": summary.rows,
        "stopped": stopped,
    }
