"""The transactions that are open at once, each on a connection of its own, and when each commits.

Invariant: a transaction commits at its time, or earlier if all connections are taken; one whose connection is lost
is gone, and is never reported as committed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

from services.local.simulator.apply import Change, Session
from services.local.simulator.plan import Kind, Planned
from shared.errors import Unavailable

MAX_OPEN = 8
"""Connections at most."""
MAX_LATE = MAX_OPEN // 2
"""Of them, those that late orders may hold, so that the others keep the pace."""


@dataclass(frozen=True)
class Committed:
    """A transaction whose commit was confirmed, with what it changed."""

    planned: Planned
    changes: Sequence[Change]


@dataclass(frozen=True, order=True)
class _Open:
    """An open transaction; they are sorted by the time of their commit, of equals the one begun first."""

    commit_at: datetime
    number: int
    planned: Planned = field(compare=False)
    session: Session = field(compare=False)


class Sessions:
    """A small pool of sessions. `connect` opens one, or raises Unavailable."""

    def __init__(self, connect: Callable[[], Session]) -> None:
        self._connect = connect
        self._idle: list[Session] = []
        self._open: list[_Open] = []
        self._numbers = count()

    @property
    def next_commit(self) -> datetime | None:
        """When the first open transaction is to commit."""
        return self._open[0].commit_at if self._open else None

    @property
    def is_full(self) -> bool:
        """Every connection holds a transaction."""
        return len(self._open) >= MAX_OPEN

    def begin(self, planned: Planned, now: datetime) -> None:
        """Begin a planned transaction, and write it unless it writes last. Raises Unavailable: nothing was begun."""
        planned = self._affordable(planned)
        session = self._idle.pop() if self._idle else self._connect()
        try:
            session.begin()
            if not planned.writes_last:
                session.write(planned.events)
        except BaseException:
            session.close()
            raise
        commit_at = now + timedelta(seconds=planned.open_seconds)
        heappush(self._open, _Open(commit_at, next(self._numbers), planned, session))

    def commit_due(self, now: datetime) -> Iterator[Committed]:
        """Commit what is due; nothing is answered for a transaction that was lost."""
        while self._open and self._open[0].commit_at <= now:
            yield from self.commit_first()

    def commit_all(self) -> Iterator[Committed]:
        """Commit everything that is open, in the order of its time."""
        while self._open:
            yield from self.commit_first()

    def commit_first(self) -> Iterator[Committed]:
        """Commit the transaction that is due first, whether its time has come or not."""
        first = self._open[0]
        try:
            if first.planned.writes_last:
                first.session.write(first.planned.events)
            changes = first.session.commit()
        except Unavailable:
            heappop(self._open).session.close()
            return
        heappop(self._open)
        self._idle.append(first.session)
        yield Committed(first.planned, changes)

    def close(self) -> None:
        """Close every connection; what is still open is rolled back."""
        for session in (*self._idle, *(it.session for it in self._open)):
            session.close()
        self._idle, self._open = [], []

    def _affordable(self, planned: Planned) -> Planned:
        """A late order is an ordinary one while enough of them are open."""
        late = sum(it.planned.kind is Kind.LATE_ORDER for it in self._open)
        if planned.kind is Kind.LATE_ORDER and late >= MAX_LATE:
            return replace(planned, kind=Kind.ORDER, open_seconds=0.0, writes_last=False)
        return planned
