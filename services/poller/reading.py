"""Decide what a poll reads, what it skips and what it remembers. Pure: no clock, no network, no database.

Invariant: a row that became visible since a feed's base horizon always meets the conditions chosen here, and nothing
that was not yet read is ever behind the horizon kept. Reading the same rows twice is harmless: every doubt reads more.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

from contracts.messages import Origin
from shared.checkpoint import LEAST_KEY, Checkpoint, FeedState, Horizon, Read
from shared.totesys.snapshot import Conditions, Snapshot, Transaction, Vitals, generation_ended

NO_LOWER_BOUND = datetime(1, 1, 1, tzinfo=UTC)
"""The start of a transaction of which nothing is known: it may have begun at any time."""
NO_POLL = NO_LOWER_BOUND.replace(tzinfo=None)
"""From where polls have read since a scan before the first of them: it decides, then the latest."""
GLANCE_ROWS = 10_000
"""Estimated rows up to which a feed is looked at whole beside others: a few milliseconds, which all of them count."""
BULK_ROWS, BULK_PAUSE_SECONDS = 50_000, 4.0
"""From so many rows in one turn of a read on, those who load them are busy for about so long."""
MEMORY_KEYS = 50_000
"""Keys remembered a feed: about 10 MB each, and many times what changes between two scans of totesys."""


@dataclass(frozen=True)
class Rules:
    """The settings that decide how much is read: zone and margin, and what scans may cost."""

    zone: ZoneInfo
    margin: timedelta
    scan_interval_seconds: float
    scan_share: float
    scan_max_rows: int


# -- which transactions may still bring rows


def starts(listed: Iterable[Transaction], last: Horizon | None) -> dict[str, datetime]:
    """The earliest moment at which each listed transaction may have begun, under every name it may be met by again.

    `last` is the newest earlier listing. A transaction not listed there began after that listing's clock. The exact
    start is taken for the virtual id alone: read beside the list, it may belong to the same backend's next transaction.
    """
    found: dict[str, datetime] = {}
    for one in listed:
        if one.prepared:
            found.update(dict.fromkeys((_prepared(number) for number in one.ids), _prepared_start(one, last)))
        else:
            known = last.open.get(one.virtual, last.clock) if last else NO_LOWER_BOUND
            found.update(dict.fromkeys((_ordinary(number) for number in one.ids), known))
            found[one.virtual] = known if last and one.virtual in last.open else one.started or known
    return found


def still_open(listed: Iterable[Transaction], snapshot: Snapshot) -> frozenset[str]:
    """The names of transactions, listed after the snapshot was taken, that are certainly invisible in it.

    A prepared one stays listed for a moment after it became visible, so the snapshot itself decides.
    """
    names: set[str] = set()
    for one in listed:
        if not one.prepared:
            names.add(one.virtual)
        elif any(snapshot.hides(number) for number in one.ids):
            names.update((one.virtual, *(_prepared(number) for number in one.ids)))
    return frozenset(names)


def no_later(last: Horizon, clock: datetime) -> Horizon:
    """A horizon as if it were taken no later than `clock`, a later look at the source's clock.

    What began since the horizon bears no time before its own, unless the clock was set back: then it may bear any
    time down to the moment of that step, which the margin reaches if the polls are closer to each other than it is.
    """
    return last if last.clock <= clock else last.model_copy(update={"clock": clock})


def look_back(base: Horizon, open_now: Collection[str], margin: timedelta) -> datetime | None:
    """The oldest `last_updated` (UTC) that may have become visible since `base`; None where there is no lower bound."""
    ended = [start for name, start in base.open.items() if not name.startswith(_ID) and name not in open_now]
    earliest = min([base.clock, *ended])
    return earliest - margin if earliest > NO_LOWER_BOUND + margin else None


def look_back_seconds(base: Horizon | None, at: datetime) -> float | None:
    """How long before `at` the next poll must begin to read, should all that was open at `base` have ended by then.

    The margin is not counted. It grows with the age of the oldest transaction, idle or not: what its end will cost.
    None before the first poll, and where a transaction of unknown start is open: there is no lower bound then.
    """
    earliest = None if base is None else look_back(no_later(base, at), (), timedelta())
    return None if earliest is None else (at - earliest).total_seconds()


def in_zone(moment: datetime, zone: ZoneInfo, now: datetime) -> datetime:
    """A moment as the feed's clocks on the wall may have shown it: the earlier of two readings.

    In the autumn hour the wall shows the same time twice, so a row written after the change may carry a time before
    that of a row written earlier; the reading at the zone's present offset covers it.
    """
    converted = moment.astimezone(zone).replace(tzinfo=None)
    offset = now.astimezone(zone).utcoffset() or timedelta()
    return min(converted, moment.astimezone(UTC).replace(tzinfo=None) + offset)


def oldest_new_id(base: Horizon, snapshot: Snapshot) -> int:
    """The smallest transaction id whose rows are visible now and were not at `base`; later ids are all above it."""
    return min([base.xmax, *(set(base.xip) - set(snapshot.xip))])


def conditions(
    origin: Origin, base: Horizon | None, *, seen: Horizon, open_now: Collection[str], trusted: bool, rules: Rules
) -> Conditions:
    """What a read from `base` asks of a row in the snapshot `seen`; a scan asks for no `last_updated`.

    `trusted` says that base was taken in this generation of the source; ids of another may be used twice, and none of
    its transactions can be told from one that is open now.
    """
    if base is None:
        return Conditions()
    newer = oldest_new_id(base, Snapshot(seen.xmax, seen.xip)) if trusted else None
    still = open_now if trusted else ()
    earliest = look_back(no_later(base, seen.clock), still, rules.margin) if origin is Origin.POLL else None
    return Conditions(earliest and in_zone(earliest, rules.zone, seen.clock), newer)


def polled_from(known: datetime | None, asked: Conditions) -> datetime | None:
    """From which `last_updated` on polls have read all that became visible, with one more poll that asked so.

    A row became visible between two polls, and the second of them has read it if its time is no earlier than where that
    one looked back to: so is what is no earlier than the latest of these. A poll without a lower bound has read
    whatever was new. None where a poll is not known of.
    """
    return known if known is None or asked.look_back is None else max(known, asked.look_back)


def left_by_polls(asked: Conditions, known: datetime | None) -> Conditions:
    """A scan's conditions without what polls have read; one that reads a feed whole reads it all."""
    return asked if asked.oldest_new_id is None else replace(asked, polled_from=known)


_ID = "x"
"""Marks the id of an ordinary transaction: kept for the case that it is prepared later, else its virtual id decides."""


def _ordinary(number: int) -> str:
    return f"{_ID}{number}"


def _prepared(number: int) -> str:
    return f"p{number}"


def _prepared_start(one: Transaction, last: Horizon | None) -> datetime:
    """Known by its ids, which survive a restart; else it began no earlier than anything the last listing knew."""
    if last is None:
        return NO_LOWER_BOUND
    names = [name for number in one.ids for name in (_prepared(number), _ordinary(number))]
    known = [last.open[name] for name in names if name in last.open]
    return min(known) if known else min([last.clock, *last.open.values()])


# -- which generation


def met(last: Checkpoint, vitals: Vitals) -> Checkpoint:
    """The checkpoint with what was seen of the source; a generation that ended makes place for the next."""
    ended = generation_ended(last, vitals)
    revision = vitals.snapshot.revision
    return last.model_copy(
        update={
            "generation": last.generation + ended,
            "identity": vitals.identity,
            "stats_reset": vitals.stats_reset,
            "revision": revision if ended else max(revision, last.revision),
            "wal": vitals.wal if ended else max(vitals.wal, last.wal),
        }
    )


# -- who may publish


class Claim(StrEnum):
    """What a poller that starts does: go on, take over from another, or leave it to a live one."""

    MINE = "mine"
    TAKE = "take"
    LEAVE = "leave"


def claim(checkpoint: Checkpoint, *, age_seconds: float, owner: str, lease_seconds: float) -> Claim:
    """Decide by the owner's last sign of life, `age_seconds` ago; an owner at rest lets anyone take over."""
    if checkpoint.paused or checkpoint.draining:
        return Claim.LEAVE
    if checkpoint.owner == owner:
        return Claim.MINE
    alive = checkpoint.owner and not checkpoint.resting and age_seconds < lease_seconds
    return Claim.LEAVE if alive else Claim.TAKE


# -- how a feed's state moves


def next_read(state: FeedState, seen: Horizon, relations: tuple[tuple[int, int], ...]) -> Read:
    """The read to go on with, or a new one: whole at first contact and where rows were moved wholesale."""
    if moved_wholesale(state, relations):
        return Read(base=None, first=seen, after=LEAST_KEY)
    return state.reading or Read(base=state.polled, first=seen, after=LEAST_KEY)


def moved_wholesale(state: FeedState, relations: tuple[tuple[int, int], ...]) -> bool:
    """Whether a partition was attached, tables were swapped or truncated: no transaction id tells what is new."""
    return state.relations not in ((), relations)


def origin_of(read: Read) -> Origin:
    """A read without a base finds what was always there."""
    return Origin.BACKFILL if read.base is None else Origin.POLL


def gone_on(state: FeedState, origin: Origin, read: Read) -> FeedState:
    """The state in the middle of a read. A scan leaves no trace: if its poller dies it starts again."""
    return state if origin is Origin.SCAN else state.model_copy(update={"reading": read})


def ended(state: FeedState, origin: Origin, read: Read) -> FeedState:
    """The state after a read that came to its end: the next one starts from its *first* horizon."""
    if origin is Origin.SCAN:
        return state.model_copy(update={"scanned": read.first})
    polled = {"polled": read.first, "reading": None, "as_of": read.first.clock}
    return state.model_copy(update=polled | ({"scanned": read.first} if origin is Origin.BACKFILL else {}))


def nothing_new(base: Horizon | None, seen: Horizon) -> bool:
    """Whether a snapshot sees exactly what the base's saw: equal snapshots of one generation see equal data."""
    return base is not None and (base.generation, base.xmax, base.xip) == (seen.generation, seen.xmax, seen.xip)


def horizons(checkpoint: Checkpoint) -> list[Horizon]:
    """Every horizon the checkpoint holds."""
    found: list[Horizon] = []
    for state in checkpoint.feeds.values():
        reads = [state.reading.base, state.reading.first] if state.reading else []
        found.extend(one for one in (state.polled, state.scanned, *reads) if one is not None)
    return found


def newest(known: Sequence[Horizon]) -> Horizon | None:
    """The latest listing of open transactions. Ids only grow within a generation, a clock may have stepped back."""
    return max(known, key=lambda one: (one.generation, one.xmax, one.clock), default=None)


# -- what a glance at many feeds asks and tells


def to_glance(polled: Conditions, scanned: Conditions | None) -> Conditions | None:
    """What shows in one look that neither a poll with these conditions nor a scan with those is needed.

    `scanned`: None where no scan is due; else the feed is looked at whole, for whatever is new to either of the two.
    None where only a read can tell.
    """
    if polled.oldest_new_id is None:
        return None
    if scanned is None:
        return None if polled.look_back is None else polled
    if scanned.oldest_new_id is None:
        return None
    return Conditions(oldest_new_id=min(polled.oldest_new_id, scanned.oldest_new_id))


# -- when a scan is due


@dataclass(frozen=True)
class Pace:
    """A feed's last scan: when it ended (seconds of our clock), how long it took, and how many rows the feed has."""

    ended_at: float | None = None
    took_seconds: float = 0.0
    rows: int = 0


@dataclass(frozen=True)
class Wait:
    """Until when (seconds of our clock) no scan disturbs those behind a bulk read, and where that read began."""

    read: Horizon
    until: float


def put_off(known: Wait | None, read: Read, *, at: float) -> Wait:
    """Behind each turn of a bulk read. A second one puts off no scan that one put off, so that none waits for ever."""
    return known if known is not None and known.read != read.first else Wait(read.first, at + BULK_PAUSE_SECONDS)


def scan_due(pace: Pace, wait: Wait | None, *, at: float, rules: Rules) -> bool:
    """Whether a scan may run: not above its share of time, nor more often than its interval, nor on a huge table."""
    if pace.rows > rules.scan_max_rows or (wait is not None and at < wait.until):
        return False
    rest_seconds = pace.took_seconds * (1 - rules.scan_share) / rules.scan_share
    return pace.ended_at is None or at - pace.ended_at >= max(rules.scan_interval_seconds, rest_seconds)


# -- what was sent


class Memory:
    """The latest row hash sent for each key of one feed, the least recently used forgotten first.

    Of a page that leaves room for no other, as those of a bulk change do, the hashes are not read before somebody asks.
    """

    def __init__(self, limit: int = MEMORY_KEYS) -> None:
        """Remember so many keys at most."""
        self._limit = limit
        self._latest: dict[int, int | None] = {}
        self._unread: Mapping[int, int | None] = {}
        self._greatest = LEAST_KEY

    def holds_none_from(self, key: int) -> bool:
        """Whether no key that is as great or greater is remembered."""
        return key > self._greatest

    def held(self, rows: Iterable[tuple[int, int]]) -> dict[int, int | None]:
        """Those of some rows whose hash is the latest sent for their key; only these may be skipped."""
        self._catch_up()
        found: dict[int, int | None] = dict(self._latest.items() & rows)
        self._use(found)
        return found

    def keep(self, sent: Mapping[int, int | None], greatest: int) -> None:
        """These hashes were acknowledged; no key among them is above `greatest`."""
        self._greatest = max(self._greatest, greatest)
        if len(sent) >= self._limit:
            self._latest, self._unread = {}, sent
        else:
            self._catch_up()
            self._learn(sent)

    def _catch_up(self) -> None:
        unread, self._unread = self._unread, {}
        if unread:
            self._learn(unread)

    def _learn(self, sent: Mapping[int, int | None]) -> None:
        self._use(sent)
        for key in list(islice(self._latest, max(0, len(self._latest) - self._limit))):
            del self._latest[key]

    def _use(self, rows: Mapping[int, int | None]) -> None:
        """Put rows at the end, behind those that were used before."""
        for key in self._latest.keys() & rows.keys():
            del self._latest[key]
        self._latest.update(rows)

    def keep_only(self, there: Iterable[int]) -> None:
        """Every other key's row is gone: if it comes back, equal or not, it must be sent."""
        self._catch_up()
        known = set(self._latest).intersection(there)
        self._latest = {key: row_hash for key, row_hash in self._latest.items() if key in known}

    def clear(self) -> None:
        """Another owner, or a run that failed, may have sent something since."""
        self._latest, self._unread, self._greatest = {}, {}, LEAST_KEY
