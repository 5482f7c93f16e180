"""Send again what failed: the first few of each cause, then, once these have come through, the rest.

Invariant: a message is sent before it is deleted, and rows are sent before they are marked as replayed, so a run that
dies anywhere leaves duplicates at most, which change nothing. Nothing but the queues and the markers is state: running
it again goes on. What comes back parked is told by the run's id and is never sent twice by one run.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
MOST_AHEAD = 500
"""Sent and not yet loaded: beyond, the rest waits, so that a cause which is not mended after all costs no more."""
MEND_FIRST = "mend the cause first (totes dlq check says what still fails), then run it again."
LOOK_FIRST = "see with totes status whether the pipeline lives, then run it again."
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
        """Send first, then delete or mark; what was sent, as it is known from now on.

        Rows that the archive does not give back are not among it.
        """


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
    """How to send: how many at most, how many a second, how many under way at once, how long to wait for them."""

    limit: int | None = None
    rate: float | None = None
    most_ahead: int = MOST_AHEAD
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
    unreadable: int = 0
    """Rows that the archive does not give back."""
    under_way: int = 0
    """Sent last, and neither loaded nor back when patience ended."""
    refused_ids: list[str] = field(default_factory=list)
    stopped: str | None = None

    def counts(self) -> dict[str, int]:
        """The numbers, each by its name."""
        return {
            "sent": self.sent,
            "failed_again": self.failed_again,
            "refused": self.refused,
            "still_failing": self.still_failing,
            "unreadable": self.unreadable,
            "under_way": self.under_way,
        }

    @property
    def complete(self) -> bool:
        """Whether all that was meant went through, as far as was seen."""
        return self.stopped is None and not (self.failed_again or self.refused or self.unreadable)

    def leave_nothing(self) -> None:
        """Begin to count anew what is not sent, because it is met again."""
        self.refused, self.still_failing, self.unreadable, self.refused_ids = 0, 0, 0, []

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
                what = f"{group.cause} in {group.feed or 'no feed'} ({group.place})"
                return f"The first {len(canaries)} of {what} failed again: {MEND_FIRST}"
        unknown = len([one for one in self._unknown() if one.batch is not None])
        if not unknown:
            return None
        return f"{unknown} of the first that were sent are neither loaded nor back: {LOOK_FIRST}"

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
        self._ahead: dict[str, str] = {}
        """Change batch -> its place, of what was sent and is not known to be loaded."""
        self._unseen = False
        """Whether anything was sent of which the books never tell."""
        self._back: set[str] = set()
        """What came back, so that each is counted once."""

    def run(self, plan: Plan) -> Tally:
        """Replay what the plan counted and what failed since.

        Raises Unavailable: what was not acknowledged is where it was, and the next run goes on from there.
        """
        with self._looking() as looks:
            for look in looks:
                self._send_first(look, plan)
            self._tally.stopped = self._await_first(looks)
        while self._tally.stopped is None and self._send_round():
            continue
        return self._tally

    @contextmanager
    def _looking(self) -> Iterator[Sequence[Look]]:
        with ExitStack() as stack:
            yield [stack.enter_context(source()) for source in self._sources]

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
        for number, quiet, over in self._looks_at_queues():
            self._ask_books(self._trial.waiting())
            if self._trial.decided():
                break
            if number > PARKED_AFTER_LOOKS or quiet or over:
                self._sweep(looks)
            if quiet or over:
                self._trial.note_quiet()
            if self._trial.decided():
                break
        return self._trial.objection()

    def _send_round(self) -> bool:
        """Send the rest, as long as what was sent arrives; whether to look once more because some of it did not."""
        self._tally.leave_nothing()
        with self._looking() as looks:
            arrives = all(self._send_rest(look) for look in looks)
            if arrives:
                self._await_end(looks)
                return False
            self._sweep(looks)
            self._tally.stopped = self._tally.stopped or self._objection()
        return True

    def _send_rest(self, look: Look) -> bool:
        """Everything that is to be sent; False where what was sent before does not arrive."""
        bunch: list[Item] = []
        for item in look.items():
            if self._note_back(item):
                continue
            if item.verdict is not Verdict.SEND:
                self._tally.leave(item)
            elif self._room(bunch):
                bunch.append(item)
            if len(bunch) == self._task.bunch or (bunch and not self._room(bunch)):
                if not self._arrives():
                    return False
                self._send(look, bunch)
                bunch = []
        self._send(look, bunch)
        return True

    def _arrives(self) -> bool:
        """Wait until fewer than `most_ahead` are under way, and say whether that came to be."""
        if not_mended(self._tally.failed_again, self._tally.sent):
            return False
        if len(self._ahead) < self._task.most_ahead:
            return True
        for _number, quiet, _over in self._looks_at_queues():
            self._ask_books(list(self._ahead))
            if len(self._ahead) < self._task.most_ahead:
                return not not_mended(self._tally.failed_again, self._tally.sent)
            if quiet:
                return False
        return False

    def _objection(self) -> str | None:
        """Why no more should be sent, if that is so."""
        failed, sent = self._tally.failed_again, self._tally.sent
        if not_mended(failed, sent):
            return f"{failed} of the {sent} that were sent failed again: {MEND_FIRST}"
        if len(self._ahead) < self._task.most_ahead:
            return None
        return f"{len(self._ahead)} of the {sent} that were sent are neither loaded nor back: {LOOK_FIRST}"

    def _await_end(self, looks: Sequence[Look]) -> None:
        """Give what was sent last the time to arrive or to come back, so that the outcome is known."""
        for _number, quiet, _over in self._looks_at_queues():
            self._ask_books(list(self._ahead))
            if quiet or not (self._ahead or self._unseen):
                break
        if self._ahead or self._unseen:
            self._sweep(looks)
        self._tally.under_way = len(self._ahead)
        self._progress(self._tally)

    def _looks_at_queues(self) -> Iterator[tuple[int, bool, bool]]:
        """One look a second: its number, whether the work queues are empty for good, whether patience ends with it."""
        patience, number, empty = self._clock.monotonic() + self._task.patience_seconds, 0, 0
        while True:
            number += 1
            over = self._clock.monotonic() >= patience
            yield number, empty >= QUIET_LOOKS, over
            if over:
                return
            self._clock.sleep(LOOK_SECONDS)
            empty = empty + 1 if self._watch.idle() else 0

    def _ask_books(self, batches: Sequence[str]) -> None:
        """Take what is loaded; rows that broke their contract again came back, though they are loaded."""
        loaded = self._watch.loaded(batches) if batches else {}
        self._trial.note_loaded(loaded)
        for batch, quarantined in loaded.items():
            if self._ahead.pop(batch, None) == PLACE and quarantined:
                self._count_back(digest_of(batch), quarantined)

    def _sweep(self, looks: Sequence[Look]) -> None:
        """See what came back since the last look."""
        for look in looks:
            for item in look.items():
                self._note_back(item)

    def _note_back(self, item: Item) -> bool:
        """Count what came back, once; whether this did.

        Where a change batch was sent, its load batch may be what failed.
        """
        on_trial = self._trial.note_came_back(item)
        follows = item.recent and item.verdict is not Verdict.CAME_BACK and item.batch in self._ahead
        if not (on_trial or follows or item.verdict is Verdict.CAME_BACK):
            return False
        self._ahead.pop(item.batch or "", None)
        self._count_back(item.likeness if item.group.place == PLACE else item.id, item.weight)
        return True

    def _count_back(self, mark: str, weight: int) -> None:
        if mark not in self._back:
            self._back.add(mark)
            self._tally.failed_again += weight

    def _room(self, bunch: Sequence[Item] = ()) -> int:
        """How much more may be sent."""
        limit = MOST if self._task.limit is None else self._task.limit
        return max(0, limit - self._tally.sent - sum(item.weight for item in bunch))

    def _send(self, look: Look, bunch: Sequence[Item]) -> Sequence[Item]:
        if not bunch:
            return ()
        room = self._room(bunch[:-1])
        items = [*bunch[:-1], look.cut(bunch[-1], room) if bunch[-1].weight > room else bunch[-1]]
        self._pace.wait_for(sum(item.weight for item in items))
        sent = look.send(items)
        weight = sum(item.weight for item in sent)
        self._tally.unreadable += sum(item.weight for item in items) - weight
        self._ahead.update({item.batch: item.group.place for item in sent if item.batch is not None})
        self._unseen = self._unseen or any(item.batch is None for item in sent)
        self._tally.sent += weight
        self._progress(self._tally)
        return sent


def digest_of(batch: str) -> str:
    """The archive object's digest at the end of a change batch's id."""
    return batch.rsplit("/", 1)[-1]
