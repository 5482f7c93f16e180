"""Run the simulator: seed totesys if it is empty, then change it at an even pace until told to stop.

One thread keeps several transactions open on connections of their own and commits each at its time, so transactions
overlap and late ones commit after younger ones, yet equal seeds and an equal clock give equal content.

Two clocks, one rule. Rows carry the database server's clock (current_timestamp: the transaction's start), so that a
poll on last_updated finds them. The calendar (working hours, due dates, the payment job) starts at the present
moment, or where an earlier run had come to, and runs `compression` times as fast, through working hours only.

Invariant: a lost connection loses its open transaction and nothing else; only confirmed commits are counted.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from random import Random
from typing import TypeVar

from services.local.simulator.apply import (
    Session,
    create_journal,
    explained,
    open_connection,
    read_progress,
    write_seed,
)
from services.local.simulator.pace import Pace
from services.local.simulator.plan import Kind, Plan, Planned, Shares
from services.local.simulator.seed import History, seed_batches
from services.local.simulator.sessions import Committed, Sessions
from services.local.simulator.working_time import OPENS, weekday_after, working_time
from shared.errors import ConfigurationError, Unavailable
from shared.postgres import Dsn

T = TypeVar("T")

SLICE_SECONDS = 0.2
"""Longest sleep, so that a stop is noticed soon."""
MAX_COMPRESSION = 100_000
"""Two and a half working days a second: the calendar ends with the year 9999, ten days later."""
RECONNECT_SECONDS = 1.0
"""Pause before a lost connection is opened again."""


@dataclass(frozen=True)
class SimulatorOptions:
    """How totesys lives. Equal seeds make equal plans."""

    seed: int = 0
    orders: int = 1_000
    """Orders in the seed, each with a transaction and a payment."""
    changes_per_second: float = 5.0
    """Rows changed and committed per second of the server's clock, whatever the compression."""
    compression: float = 1_440.0
    """Calendar seconds per second. By default a working day takes 27 s, which at 5 changes/s has the real 31 orders."""
    shares: Shares = field(default_factory=Shares)
    late_seconds: float = 3.0
    """Longest a late order's transaction stays open."""
    journal: bool = False
    """Write each change into totes_journal.change, in the transaction that makes it; the seed is not written."""

    def __post_init__(self) -> None:
        """Raise ConfigurationError for a number that means nothing."""
        if self.orders < 0:
            raise ConfigurationError(f"Expected the number of orders to seed to be 0 or more, found {self.orders}.")
        for name, most in (("changes_per_second", inf), ("compression", MAX_COMPRESSION), ("late_seconds", inf)):
            if not 0 < getattr(self, name) <= most:
                limits = "greater than 0" if most == inf else f"greater than 0 and at most {most:,}"
                raise ConfigurationError(f"Expected {name} to be {limits}, found {getattr(self, name)}.")


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


class Simulator:
    """Seeds and changes one totesys. `run` belongs to one thread; `counts` may be read from any."""

    def __init__(
        self, dsn: str, options: SimulatorOptions, *, now: Callable[[], datetime], sleep: Callable[[float], object]
    ) -> None:
        """Connect to nothing yet. `now` gives aware datetimes, `sleep` takes seconds. Raises ConfigurationError."""
        self._dsn = Dsn.parse(dsn)
        self._options = options
        self._now = now
        self._sleep = sleep
        self._pace = Pace(options.changes_per_second)
        self._counts: Counter[Kind] = Counter()
        self._counting = threading.Lock()

    @property
    def counts(self) -> Mapping[Kind, int]:
        """Row changes committed so far, by kind, zeros too."""
        with self._counting:
            return {kind: self._counts[kind] for kind in Kind}

    def seed_if_empty(self) -> int:
        """Fill an empty totesys; the rows written, 0 if it holds any. Raises ConfigurationError or Unavailable."""
        history = History.before(self._calendar_start().date(), self._options.orders)
        connection = open_connection(self._dsn)
        try:
            with explained(self._dsn):
                return write_seed(connection, seed_batches(repeatable(self._options.seed), history))
        finally:
            connection.close()

    def run(self, stop: threading.Event) -> None:
        """Change totesys until `stop` is set, then commit what is open.

        A lost connection is opened again for as long as it takes. Raises ConfigurationError where a person must act.
        """
        sessions = Sessions(lambda: Session(self._dsn, journal=self._options.journal))
        try:
            prepared = self._until_available(stop, self._prepare)
            if prepared:
                self._live(stop, sessions, *prepared)
            self._record(sessions.commit_all())
        finally:
            sessions.close()

    def _live(self, stop: threading.Event, sessions: Sessions, plan: Plan, start: datetime) -> None:
        """Commit what is due, begin what is due, sleep until the next of either."""
        began = self._now()
        while not stop.is_set():
            moment = self._now()
            self._record(sessions.commit_due(moment))
            wait = self._pace.wait(moment)
            if wait > timedelta():
                self._sleep(_nap(wait, moment, sessions.next_commit))
                continue
            calendar = working_time(start, (moment - began).total_seconds() * self._options.compression)
            planned = plan.next(calendar)
            self._pace.spend(planned.rows, moment)
            self._until_available(stop, partial(self._begin, sessions, planned))

    def _begin(self, sessions: Sessions, planned: Planned) -> None:
        """Begin a transaction; with every connection taken, the one due first commits early."""
        if sessions.is_full:
            self._record(sessions.commit_first())
        sessions.begin(planned, self._now())

    def _record(self, committed: Iterable[Committed]) -> None:
        for each in committed:
            self._pace.owe(len(each.changes) - each.planned.rows)
            with self._counting:
                self._counts[each.planned.kind] += len(each.changes)

    def _until_available(self, stop: threading.Event, attempt: Callable[[], T]) -> T | None:
        """Try again until it succeeds; None if told to stop before."""
        while not stop.is_set():
            try:
                return attempt()
            except Unavailable:
                self._sleep(RECONNECT_SECONDS)
        return None

    def _prepare(self) -> tuple[Plan, datetime]:
        """A plan that goes on where an earlier run had come to, and the moment the calendar starts from."""
        start = self._calendar_start()
        connection = open_connection(self._dsn)
        try:
            with explained(self._dsn):
                if self._options.journal:
                    create_journal(connection)
                progress = read_progress(connection)
        finally:
            connection.close()
        paid_through = progress.paid_through or weekday_after(start.date(), -1)
        # A second run must not repeat the first one's draws.
        random = repeatable(f"{self._options.seed} {progress.payments}")
        plan = Plan(random, self._options.shares, self._options.late_seconds, paid_through)
        return plan, max(start, datetime.combine(paid_through, OPENS))

    def _calendar_start(self) -> datetime:
        """The present moment, or the next opening."""
        return working_time(self._now().astimezone(UTC).replace(tzinfo=None), 0)


def _nap(wait: timedelta, moment: datetime, next_commit: datetime | None) -> float:
    """How many seconds to sleep: until the next beginning or commit, but never long."""
    until_commit = wait if next_commit is None else next_commit - moment
    return min(wait.total_seconds(), until_commit.total_seconds(), SLICE_SECONDS)


def repeatable(seed: int | str) -> Random:
    """Random numbers that can be had again; no secret depends on them."""
    return Random(seed)  # noqa: S311
