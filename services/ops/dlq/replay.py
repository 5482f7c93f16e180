"""Send again what failed: the first few of each cause, then, once these have come through, the rest.

Invariant: a message is sent before it is deleted, and rows are sent before they are marked as replayed, so a run that
dies anywhere leaves duplicates at most, which change nothing. Nothing but the queues and the markers is state: running
it again goes on. What comes back parked is told by the run's id and is never sent twice by one run.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from services.ops.quarantine import PLACE

CAP = 3
"""Replays of one message before a person has to look at it: what failed four times is not mended by a fifth."""
CANARIES = 3
"""Sent of each group before the rest: enough to tell a mended cause from one bad message."""
PATIENCE_SECONDS = 60.0
"""How long the first few may take to come through: a healthy pipeline needs one or two."""
LOOK_SECONDS = 1.0
"""Between two looks at what became of them."""
PARKED_AFTER_LOOKS = 3
"""Looks at the books alone, before the dead-letter queues are read through for what came back."""
QUIET_LOOKS = 2
"""With empty work queues, before what leaves no trace in the books counts as handled: SQS's counts are approximate."""
FAILED_AGAIN, FAILED_SHARE = 3, 0.1
"""More than this share of what was sent, and at least so many, failed again: the cause is not mended."""
BUNCH = 10
"""Sent in one call."""
MOST = 2**63
"""Sent where nobody set a limit."""
NAMED = 20
"""Refused messages that are named; the rest is counted."""


class Verdict(StrEnum):
    """What becomes of something that failed."""

    SEND = "send"
    REFUSED = "refused"
    """Replayed as often as the cap allows."""
    STILL_FAILS = "still_fails"
    """It would break today's contract again."""
    NOT_MEANT = "not_meant"
    """The filters leave it out."""
    CAME_BACK = "came_back"
    """This run sent it, and it failed again."""


@dataclass(frozen=True)
class Group:
    """What probably stands or falls together: the place (a queue's name, or quarantine), the feed and the cause."""

    place: str
    feed: str | None
    cause: str


@dataclass(frozen=True)
class Item:
    """One parked message, or the open rows of one quarantine object.

    `batch`: id of the change batch that the warehouse's books will hold once it is through, None where they never will.
    `likeness`: equal for the same message met again. `recent`: it failed since this run began. `weight`: messages or
    rows.
    """

    id: str
    group: Group
    verdict: Verdict
    batch: str | None
    likeness: str
    recent: bool
    weight: int
    what: Any
    """What its own source sends: nobody else looks into it."""


class Look(Protocol):
    """One look at what failed in one place; what was not sent is as it was when the look ends."""

    def items(self) -> Iterator[Item]:
        """What was not met before in this look."""

    def cut(self, item: Item, weight: int) -> Item:
        """The first so many rows of an item that is heavier than may still be sent."""

    def send(self, items: Sequence[Item]) -> Sequence[Item]:
        """Send first, then delete or mark; the items as they are known from now on."""


Source = Callable[[], AbstractContextManager[Look]]
"""Opens a look at one place."""


class Watch(Protocol):
    """What becomes of that which was sent."""

    def loaded(self, batches: Sequence[str]) -> Mapping[str, int]:
        """Those of the change batches that are in the warehouse's books, each with its rows that broke a contract."""

    def idle(self) -> bool:
        """Whether nothing waits on the work queues, as far as SQS knows."""


@dataclass(frozen=True)
class Clock:
    """Monotonic seconds, and how to let them pass."""

    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True)
class Task:
    """How to send: how many at most, how many a second, and how long to wait for the first few."""

    limit: int | None = None
    rate: float | None = None
    patience_seconds: float = PATIENCE_SECONDS

    @property
    def bunch(self) -> int:
        """Messages in one call: no more than a second's worth."""
        return BUNCH if self.rate is None else max(1, min(BUNCH, int(self.rate)))


@dataclass
class Tally:
    """What a run did. `stopped`: why it ended early, in a sentence."""

    sent: int = 0
    failed_again: int = 0
    refused: int = 0
    still_failing: int = 0
    refused_ids: list[str] = field(default_factory=list)
    stopped: str | None = None

    def counts(self) -> dict[str, int]:
        """The numbers, each by its name."""
        return {
            "sent": self.sent,
            "failed_again": self.failed_again,
            "refused": self.refused,
            "still_failing": self.still_failing,
        }

    @property
    def complete(self) -> bool:
        """Whether all that was meant went through, as far as was seen."""
        return self.stopped is None and not self.failed_again and not self.refused

    def leave(self, item: Item) -> None:
        """Count what is not sent."""
        if item.verdict is Verdict.REFUSED:
            self.refused += item.weight
            if len(self.refused_ids) < NAMED:
                self.refused_ids.append(item.id)
        elif item.verdict is Verdict.STILL_FAILS:
            self.still_failing += item.weight


Plan = Mapping[tuple[Group, Verdict], int]
"""Messages and rows of each group, by what becomes of them."""


def survey(sources: Iterable[Source]) -> Plan:
    """Look through everything and send nothing."""
    found: Counter[tuple[Group, Verdict]] = Counter()
    for source in sources:
        with source() as look:
            for item in look.items():
                found[item.group, item.verdict] += item.weight
    return found


def not_mended(failed_again: int, sent: int) -> bool:
    """Whether so much of what was sent failed again that no more should be sent."""
    return failed_again >= FAILED_AGAIN and failed_again > FAILED_SHARE * sent


class Pace:
    """Keeps to a rate: whoever sends waits until what was sent before has had its time."""

    def __init__(self, per_second: float | None, clock: Clock) -> None:
        """Take the rate, None for as fast as it goes."""
        self._per_second = per_second
        self._clock = clock
        self._due = clock.monotonic()

    def wait_for(self, count: int) -> None:
        """Wait until so many more may be sent."""
        if self._per_second is None:
            return
        now = self._clock.monotonic()
        if self._due > now:
            self._clock.sleep(self._due - now)
        self._due = max(self._due, now) + count / self._per_second


@dataclass
class _Canary:
    """One of the first few of a group; `through` is None until something is known."""

    batch: str | None
    likeness: str
    through: bool | None = None


class Trial:
    """The first few of each group, and what became of them. Pure."""

    def __init__(self) -> None:
        """Nothing is on trial yet."""
        self._groups: dict[Group, list[_Canary]] = {}

    def has_room(self, group: Group) -> bool:
        """Whether another one of the group is to be tried."""
        return len(self._groups.get(group, ())) < CANARIES

    def add(self, item: Item) -> None:
        """One was sent."""
        self._groups.setdefault(item.group, []).append(_Canary(item.batch, item.likeness))

    def waiting(self) -> list[str]:
        """Change batches of which nothing is known yet."""
        return [one.batch for one in self._unknown() if one.batch is not None]

    def decided(self) -> bool:
        """Whether something is known of each."""
        return not any(True for _ in self._unknown())

    def note_loaded(self, loaded: Mapping[str, int]) -> None:
        """Take what the books hold: rows are through if none broke its contract again, a message in any case."""
        for group, canaries in self._groups.items():
            for one in canaries:
                if one.through is None and one.batch is not None and one.batch in loaded:
                    one.through = group.place != PLACE or not loaded[one.batch]

    def note_came_back(self, item: Item) -> bool:
        """Take what was met where failed things lie; whether it was on trial.

        Where a change batch was tried, its load batch may be what failed.
        """
        for one in self._unknown():
            same_batch = item.recent and one.batch is not None and one.batch == item.batch
            if same_batch or (item.verdict is Verdict.CAME_BACK and one.likeness == item.likeness):
                one.through = False
                return True
        return False

    def note_quiet(self) -> None:
        """Nothing waits any more: what leaves no trace in the books and did not come back was handled."""
        for one in self._unknown():
            if one.batch is None:
                one.through = True

    def objection(self) -> str | None:
        """Why the rest must not follow, if it must not."""
        for group, canaries in self._groups.items():
            if all(one.through is False for one in canaries):
                return (
                    f"The first {len(canaries)} of {group.cause} in {group.feed or 'no feed'} ({group.place}) failed "
                    "again: mend the cause first (totes dlq check says what still fails), then run it again."
                )
        unknown = len([one for one in self._unknown() if one.batch is not None])
        if not unknown:
            return None
        return (
            f"{unknown} of the first that were sent are neither loaded nor back: see totes status whether the pipeline "
            "lives, then run it again."
        )

    def _unknown(self) -> Iterator[_Canary]:
        return (one for canaries in self._groups.values() for one in canaries if one.through is None)


class Replay:
    """One run."""

    def __init__(
        self,
        sources: Sequence[Source],
        watch: Watch,
        task: Task,
        *,
        clock: Clock,
        progress: Callable[[Tally], None] = lambda _tally: None,
    ) -> None:
        """Take where to look, how to see what becomes of it, how to send, and whom to tell of each step."""
        self._sources = sources
        self._watch = watch
        self._task = task
        self._clock = clock
        self._progress = progress
        self._pace = Pace(task.rate, clock)
        self._trial = Trial()
        self._tally = Tally()
        self._counted: set[str] = set()
        """Ids of what came back, each counted once."""

    def run(self, plan: Plan) -> Tally:
        """Replay what the plan counted and what failed since.

        Raises Unavailable: what was not acknowledged is where it was, and the next run goes on from there.
        """
        with ExitStack() as stack:
            looks = [stack.enter_context(source()) for source in self._sources]
            for look in looks:
                self._send_first(look, plan)
            self._tally.stopped = self._await_first(looks)
        if self._tally.stopped is None:
            with ExitStack() as stack:
                looks = [stack.enter_context(source()) for source in self._sources]
                self._send_rest(looks)
                self._await_end(looks)
        return self._tally

    def _send_first(self, look: Look, plan: Plan) -> None:
        """A few of each group; the others stay hidden until the look ends, which need not go on once all had theirs."""
        due = {group: min(CANARIES, weight) for (group, verdict), weight in plan.items() if verdict is Verdict.SEND}
        for item in look.items():
            if not self._room():
                return
            if item.verdict is Verdict.SEND and self._trial.has_room(item.group):
                for sent in self._send(look, [item]):
                    self._trial.add(sent)
                due[item.group] = due.get(item.group, 1) - 1
            if not any(due[group] > 0 for group in due if group.place == item.group.place):
                return

    def _await_first(self, looks: Sequence[Look]) -> str | None:
        """Look until something is known of each of the first few, or patience ends; why the rest must not follow."""
        patience, number, quiet = self._clock.monotonic() + self._task.patience_seconds, 0, 0
        while True:
            self._trial.note_loaded(self._watch.loaded(waiting) if (waiting := self._trial.waiting()) else {})
            if self._trial.decided():
                break
            number += 1
            quiet = quiet + 1 if self._watch.idle() else 0
            over = self._clock.monotonic() >= patience
            if number > PARKED_AFTER_LOOKS or quiet >= QUIET_LOOKS or over:
                self._sweep(looks)
            if quiet >= QUIET_LOOKS or over:
                self._trial.note_quiet()
            if over or self._trial.decided():
                break
            self._clock.sleep(LOOK_SECONDS)
        objection = self._trial.objection()
        if objection is not None:
            self._sweep(looks)
        return objection

    def _send_rest(self, looks: Sequence[Look]) -> None:
        for look in looks:
            bunch: list[Item] = []
            for item in look.items():
                if self._note_back(item):
                    continue
                if item.verdict is not Verdict.SEND:
                    self._tally.leave(item)
                elif self._room(bunch):
                    bunch.append(item)
                if len(bunch) == self._task.bunch or (bunch and not self._room(bunch)):
                    self._send(look, bunch)
                    bunch = []
                if self._stops():
                    return
            self._send(look, bunch)

    def _await_end(self, looks: Sequence[Look]) -> None:
        """Give what was sent last the time to come back, so that the outcome is known; no longer than patience."""
        patience, quiet = self._clock.monotonic() + self._task.patience_seconds, 0
        while self._tally.sent and quiet < QUIET_LOOKS and self._clock.monotonic() < patience:
            quiet = quiet + 1 if self._watch.idle() else 0
            self._clock.sleep(LOOK_SECONDS)
        self._sweep(looks)
        self._progress(self._tally)

    def _sweep(self, looks: Sequence[Look]) -> None:
        """See what came back since the last look."""
        for look in looks:
            for item in look.items():
                self._note_back(item)

    def _note_back(self, item: Item) -> bool:
        """Count what came back, once; whether this did."""
        back = self._trial.note_came_back(item) or item.verdict is Verdict.CAME_BACK
        if back and item.id not in self._counted:
            self._counted.add(item.id)
            self._tally.failed_again += item.weight
        return back

    def _stops(self) -> bool:
        if not_mended(self._tally.failed_again, self._tally.sent):
            self._tally.stopped = (
                f"{self._tally.failed_again} of {self._tally.sent} that were sent failed again: mend the cause first "
                "(totes dlq check says what still fails), then run it again."
            )
        return self._tally.stopped is not None

    def _room(self, bunch: Sequence[Item] = ()) -> int:
        """How much more may be sent."""
        limit = MOST if self._task.limit is None else self._task.limit
        return max(0, limit - self._tally.sent - sum(item.weight for item in bunch))

    def _send(self, look: Look, bunch: Sequence[Item]) -> Sequence[Item]:
        if not bunch:
            return ()
        room = self._room(bunch[:-1])
        items = [*bunch[:-1], look.cut(bunch[-1], room) if bunch[-1].weight > room else bunch[-1]]
        weight = sum(item.weight for item in items)
        self._pace.wait_for(weight)
        sent = look.send(items)
        self._tally.sent += weight
        self._progress(self._tally)
        return sent
