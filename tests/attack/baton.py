"""Interleave services at every call they make: each runs in a thread of its own, but only one of them at a time.

Before each call a service waits for its turn. One whose statement waits for another's lock is left waiting, and the
others go on; when the lock is free it comes to its next call by itself.
"""

import threading
from collections.abc import Callable, Iterable, Sequence

from tests.attack.calls import Gate

PATIENCE_SECONDS = 0.004
"""Before it is asked whether a call waits for a lock: longer than nearly all calls take."""


class Actor:
    """One service at work."""

    def __init__(self, gate: Gate, work: Callable[[], object]) -> None:
        self.gate = gate
        self.waits = False
        """For another's lock."""
        self.done = False
        self.error: BaseException | None = None
        self._work = work
        self._turn = threading.Semaphore(0)
        self._at_rest = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        gate.wait_for_turn = self._wait_for_turn

    def start(self) -> None:
        self._thread.start()

    def go(self) -> None:
        """Make one call."""
        self._at_rest.clear()
        self._turn.release()

    def rests(self, seconds: float) -> bool:
        """Whether it came to its next call, or its end, within so many seconds."""
        return self._at_rest.wait(seconds)

    def _wait_for_turn(self) -> None:
        self._at_rest.set()
        self._turn.acquire()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as exc:  # noqa: BLE001 - raised again by the thread that interleaves
            self.error = exc
        finally:
            self.gate.wait_for_turn = lambda: None
            self.done = True
            self._at_rest.set()


def interleave(
    actors: Sequence[Actor],
    choices: Iterable[int],
    *,
    blocked: Callable[[int], bool],
    between: Callable[[int], object] = lambda choice: None,
) -> None:
    """Run all to their end. A choice names the actor that goes on; any other number is given to `between`.

    When the choices are used up, one after the other runs to its end. `blocked` tells of a backend whether it waits
    for a lock.
    """
    try:
        _interleave(actors, choices, blocked, between)
    finally:
        for actor in actors:
            _abandon(actor)
    for actor in actors:
        if actor.error is not None:
            raise actor.error


def _interleave(
    actors: Sequence[Actor],
    choices: Iterable[int],
    blocked: Callable[[int], bool],
    between: Callable[[int], object],
) -> None:
    for actor in actors:
        actor.start()
        _settle(actor, blocked)
    for choice in choices:
        if choice >= len(actors):
            between(choice)
        elif not actors[choice].done and not actors[choice].waits:
            _step(actors[choice], actors, blocked)
    while unfinished := [actor for actor in actors if not actor.done]:
        able = [actor for actor in unfinished if not actor.waits]
        if able:
            _step(able[0], actors, blocked)
        else:
            _look_again(actors, blocked)


def _abandon(actor: Actor) -> None:
    """Let a thread that is not at its end run into its death: something else failed."""
    if not actor.done:
        actor.gate.dead = True
        actor.go()


def _step(actor: Actor, actors: Sequence[Actor], blocked: Callable[[int], bool]) -> None:
    actor.go()
    _settle(actor, blocked)
    _look_again(actors, blocked)


def _look_again(actors: Sequence[Actor], blocked: Callable[[int], bool]) -> None:
    """Whoever waited may be free."""
    for actor in actors:
        if actor.waits:
            _settle(actor, blocked)


def _settle(actor: Actor, blocked: Callable[[int], bool]) -> None:
    """Wait until the actor is at its next call or at its end, or waits for a lock."""
    actor.waits = False
    while not actor.rests(PATIENCE_SECONDS):
        if actor.gate.backend and blocked(actor.gate.backend):
            actor.waits = True
            return
