"""The state machine: writers, polls, scans, deliveries, crashes, replays and reconciles in any order, and services
interleaved at every call. What must hold is said in trial.py and oracle.py; here is only what may happen.

Draws never depend on what the pipeline did, so that a failing example can be repeated and shrunk.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.attack.baton import Actor, interleave
from tests.attack.calls import Fault, Mode
from tests.attack.site import CHANGES, LEASE_SECONDS, LOADS, MOST_MESSAGES, SCAN_SECONDS, SMALL, Service
from tests.attack.stores import Message
from tests.attack.trial import Ground, Verdict
from tests.attack.writers import Change, Verb, Writers

WRITERS = 3
MOST_CALLS = 90
"""At which a service is made to fail: more than most runs make, so that many runs end well too."""
ONCE_IN = 3
"""Examples after which everything is run again: a third of an example's time goes into it."""
ORDERS, DIMENSION_KEYS = (1, 2, 3, 4, 5, 6), (11, 12, 13)

FIRST_KEY = {"sales_order": ORDERS[0], "design": DIMENSION_KEYS[0]}

writers = st.integers(0, WRITERS - 1)
values = st.integers(0, 2)
order_verbs = st.sampled_from([Verb.INSERT, Verb.ORDINARY, Verb.SILENT, Verb.DELETE, Verb.COME_BACK])
order_changes = st.builds(Change, order_verbs, st.just("sales_order"), st.sampled_from(ORDERS), values)
dimension_changes = st.builds(
    Change, order_verbs, st.sampled_from(["staff", "design"]), st.sampled_from(DIMENSION_KEYS), values
)
department_changes = st.builds(
    Change, st.sampled_from([Verb.ORDINARY, Verb.SILENT]), st.just("department"), st.integers(1, 2), values
)
moves = st.builds(Change, st.just(Verb.MOVE), st.just("staff"), st.sampled_from(DIMENSION_KEYS), values)
changes = st.one_of(order_changes, order_changes, dimension_changes, department_changes, moves)
ends = st.sampled_from(["COMMIT", "COMMIT", "COMMIT AND CHAIN", "ROLLBACK"])
faults = st.builds(Fault, st.integers(1, MOST_CALLS), st.sampled_from(Mode), st.booleans())
perhaps = st.one_of(st.none(), st.none(), st.none(), faults)
"""Most runs end well, so that what a service remembers from one run to the next is tried too."""
picks = st.lists(st.integers(0, 11), min_size=1, max_size=6)
"""Which messages a delivery takes, by their place on the queue and in this order."""
FIRST, SECOND, CLOCK, WRITE, END = range(5)
choices = st.lists(st.sampled_from([FIRST, FIRST, SECOND, SECOND, CLOCK, WRITE, END]), max_size=40)
"""Who goes on at the next call, or what happens between two calls."""
between = st.lists(st.tuples(writers, changes), max_size=4)


class Attack(RuleBasedStateMachine):
    """One example. `ground` and `counts` are set on a subclass by whoever runs it."""

    ground: Ground
    counts: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.site = self.ground.clear()
        self.writers = Writers(self.ground.writers(WRITERS))
        for key in ORDERS[:3]:
            self.writers.change(0, Change(Verb.INSERT, "sales_order", key, 0))
        for table in ("staff", "design"):
            self.writers.change(0, Change(Verb.INSERT, table, DIMENSION_KEYS[0], 0))

    @initialize(margin=st.sampled_from([0.001, 60.0]))
    def begin(self, margin: float) -> None:
        """A narrow margin shows a late commit that is missed; a wide one has rows read and sent again and again."""
        self.site.settings = {**SMALL, "margin_seconds": margin}

    # -- writers

    @rule(number=writers, change=changes)
    def write(self, number: int, change: Change) -> None:
        self._step("write")
        self.writers.change(number, change)

    @rule(number=writers, some=st.lists(changes, min_size=2, max_size=4))
    def write_some(self, number: int, some: list[Change]) -> None:
        self._step("write_some")
        for change in some:
            self.writers.change(number, change)

    @rule(number=writers, change=changes)
    def open_transaction(self, number: int, change: Change) -> None:
        self._step("open_transaction")
        self.writers[number].begin()
        self.writers.change(number, change)

    @rule(number=writers, how=ends)
    def end_transaction(self, number: int, how: str) -> None:
        self._step("end_transaction")
        self.writers[number].end(how)

    @rule(number=writers, change=changes, back=st.booleans())
    def savepoint(self, number: int, change: Change, back: bool) -> None:
        self._step("savepoint")
        self.writers[number].begin()
        self.writers[number].save()
        self.writers.change(number, change)
        if back:
            self.writers[number].go_back()

    @rule(number=writers, value=values)
    def bulk(self, number: int, value: int) -> None:
        self._step("bulk")
        self.writers.change(number, Change(Verb.BULK, "sales_order", 0, value))

    @rule(table=st.sampled_from(["sales_order", "design"]), some=st.permutations([0, 1, 2]), polled=st.booleans())
    def flip_back(self, table: str, some: list[int], polled: bool) -> None:
        """A, B, A again, each silent; `polled`: each is scanned."""
        self._step("flip_back")
        for value in (some[0], some[1], some[0]):
            self.writers.change(0, Change(Verb.SILENT, table, FIRST_KEY[table], value))
            self._scan_if(polled)

    @rule(table=st.sampled_from(["sales_order", "design"]), some=st.permutations([0, 1, 2]))
    def flip_back_between_rivals(self, table: str, some: list[int]) -> None:
        """One poller sends A, the other B, and the first must send A again."""
        self._step("flip_back_between_rivals")
        for value, poller in zip((some[0], some[1], some[0]), (self.site.poller, self.site.rival) * 2, strict=False):
            self.writers.change(0, Change(Verb.SILENT, table, FIRST_KEY[table], value))
            self.site.clock.sleep(LEASE_SECONDS)
            self._run(poller, None)

    @rule(table=st.sampled_from(["sales_order", "design"]), polled=st.booleans())
    def go_and_come_back(self, table: str, polled: bool) -> None:
        """A row goes and comes back as it was."""
        self._step("go_and_come_back")
        for verb in (Verb.DELETE, Verb.COME_BACK):
            self._scan_if(polled)
            self.writers.change(0, Change(verb, table, FIRST_KEY[table], 0))
        self._scan_if(polled)

    def _scan_if(self, polled: bool) -> None:
        if polled:
            self.site.clock.sleep(SCAN_SECONDS)
            self._run(self.site.poller, None)

    # -- services

    @rule(fault=perhaps)
    def poll(self, fault: Fault | None) -> None:
        self._step("poll")
        self._run(self.site.poller, fault)

    @rule(fault=perhaps)
    def scan(self, fault: Fault | None) -> None:
        self._step("scan")
        self.site.clock.sleep(SCAN_SECONDS)
        self._run(self.site.poller, fault)

    @rule(fault=perhaps)
    def poll_by_the_rival(self, fault: Fault | None) -> None:
        """Who takes over if the other's lease is over, and is left alone otherwise."""
        self._step("poll_by_the_rival")
        self.site.clock.sleep(LEASE_SECONDS)
        self._run(self.site.rival, fault)

    @rule(picked=picks, fault=perhaps, deaf=st.booleans())
    def deliver_changes(self, picked: list[int], fault: Fault | None, deaf: bool) -> None:
        self._step("deliver_changes")
        self._deliver(self.site.transform, CHANGES, picked, fault, deaf=deaf)

    @rule(picked=picks, fault=perhaps, deaf=st.booleans())
    def deliver_loads(self, picked: list[int], fault: Fault | None, deaf: bool) -> None:
        self._step("deliver_loads")
        self._deliver(self.site.loader, LOADS, picked, fault, deaf=deaf)

    @rule(picked=picks)
    def deliver_apart(self, picked: list[int]) -> None:
        """All change batches, and then some load batches each by itself, in any order."""
        self._step("deliver_apart")
        self._transform_all()
        for one in picked:
            self._deliver(self.site.loader, LOADS, [one], None, deaf=False)

    @rule(fault=perhaps)
    def reconcile(self, fault: Fault | None) -> None:
        self._step("reconcile")
        self._run(self.site.reconciler, fault)

    @rule(number=st.integers(0, 30))
    def replay(self, number: int) -> None:
        """An operator sends an archived batch again."""
        self._step("replay")
        self.site.replay_one(number)

    @rule(refuse=st.integers(0, 3), double=st.integers(0, 3))
    def trouble(self, refuse: int, double: int) -> None:
        """The next sends are refused inside a 200, or accepted twice."""
        self._step("trouble")
        self.site.sqs.trouble.refuse, self.site.sqs.trouble.double = refuse, double

    # -- interleavings

    @rule(order=choices, extra=between, fault=perhaps)
    def two_pollers(self, order: list[int], extra: list[Any], fault: Fault | None) -> None:
        self._step("two_pollers")
        self.site.clock.sleep(LEASE_SECONDS)
        self._together((self.site.poller, self.site.rival), ((), ()), order, extra, fault)

    @rule(order=choices, first=picks, second=picks, fault=perhaps, again=st.booleans())
    def two_loaders(
        self, order: list[int], first: list[int], second: list[int], fault: Fault | None, again: bool
    ) -> None:
        """`again`: pollers took over from each other before, and sent the same rows from two snapshots."""
        self._step("two_loaders")
        for poller in (self.site.poller, self.site.rival) if again else ():
            self.site.clock.sleep(LEASE_SECONDS)
            self._run(poller, None)
        self._transform_all()
        batches = [(self._picked(LOADS, one), False) for one in (first, second)]
        if all(messages for messages, _ in batches):
            self._together((self.site.loader, self.site.second_loader), batches, order, [], fault)

    @rule(order=choices, extra=between, fault=perhaps)
    def reconciler_and_poller(self, order: list[int], extra: list[Any], fault: Fault | None) -> None:
        self._step("reconciler_and_poller")
        self._together((self.site.reconciler, self.site.poller), ((), ()), order, extra, fault)

    @rule(order=choices, picked=picks, extra=between)
    def reconciler_and_loader(self, order: list[int], picked: list[int], extra: list[Any]) -> None:
        self._step("reconciler_and_loader")
        self._transform_all()
        messages = self._picked(LOADS, picked)
        if messages:
            self._together((self.site.reconciler, self.site.loader), ((), (messages, False)), order, extra, None)

    # -- the verdict

    def teardown(self) -> None:
        """Only an example whose steps went well comes to rest and is judged."""
        try:
            self.site.sqs.trouble.refuse = 0
            if sys.exception() is None:
                self.writers.end_all()
                Verdict(self.ground, self.site, self.counts).reach(again=self.counts["examples"] % ONCE_IN == 0)
                self._count()
            else:
                self.writers.roll_back_all()
        finally:
            self.site.close()

    def _count(self) -> None:
        self.counts["examples"] += 1
        self.counts.update(self.site.counts)
        self.counts["runs ended by a rival"] += sum(service.conflicts for service in self.site.services)
        self.counts["sent twice"] += self.site.sqs.trouble.doubled
        self.counts["refused"] += self.site.sqs.trouble.refused

    def _step(self, name: str) -> None:
        self.counts["steps"] += 1
        self.counts[f"rule {name}"] += 1

    # -- running

    def _run(self, service: Service, fault: Fault | None, *arguments: Any) -> None:
        if service.run(fault, *arguments):
            self.counts[f"faults {fault.mode if fault else ''}"] += 1

    def _deliver(self, service: Service, url: str, picked: list[int], fault: Fault | None, *, deaf: bool) -> None:
        messages = self._picked(url, picked)
        if messages:
            self.site.count_deliveries(messages)
            self._run(service, fault, messages, deaf)

    def _transform_all(self) -> None:
        self._deliver(self.site.transform, CHANGES, list(range(MOST_MESSAGES)), None, deaf=False)

    def _picked(self, url: str, picked: Sequence[int]) -> list[Message]:
        """Messages by their places; one that is named twice is taken once, as a receive does."""
        waiting = self.site.sqs.messages(url)
        places = dict.fromkeys(place % len(waiting) for place in picked) if waiting else {}
        return [waiting[place] for place in places]

    def _together(
        self,
        services: Sequence[Service],
        arguments: Sequence[Sequence[Any]],
        order: list[int],
        extra: list[Any],
        fault: Fault | None,
    ) -> None:
        """Two services, call by call; the fault is the first one's."""
        actors = [
            Actor(service.gate, lambda service=service, fault=fault, given=given: self._run(service, fault, *given))
            for service, given, fault in zip(services, arguments, (fault, None), strict=True)
        ]
        interleave(actors, order, blocked=self.ground.blocked, between=self._between(iter(extra)))

    def _between(self, extra: Any) -> Callable[[int], None]:
        def act(choice: int) -> None:
            self.counts["acts between calls"] += 1
            if choice == CLOCK:
                self.site.clock.sleep(LEASE_SECONDS)
            elif choice == END:
                self.writers.end_all()
            elif (one := next(extra, None)) is not None:
                self.writers.change(*one)

        return act
