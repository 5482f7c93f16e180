"""One run in the foreground: look first, start, watch, drain, count, stop.

Invariant: whatever ends the run (time, Ctrl-C, SIGTERM, an error), the pipeline is stopped before it returns. A second
run of the same state folder goes on where this one stopped.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from select import select
from signal import SIGINT, SIGTERM, signal
from threading import Event, Thread
from types import FrameType
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live

from services.ops.flow import Flow
from services.ops.rates import Rates
from services.ops.screen import View, screen
from services.ops.status import WINDOW_SECONDS, Status
from services.ops.summary import Summary, render
from services.ops.view import Moment, clock_of, plain_line

DRAIN_SECONDS = 60.0
"""How long the end of a run waits for its queues: many times what a healthy pipeline needs."""
LIVE_EVERY_SECONDS = 1.0
PLAIN_EVERY_SECONDS = 5.0
"""A log of a day stays readable."""
SIMULATOR_STOP_SECONDS = 30.0
"""Longer than the longest transaction the simulator keeps open."""

Progress = Callable[[str], None]
Show = Callable[[Moment], None]


class Stopping(Protocol):
    """What ends the watching; also the run's only way to let time pass."""

    def is_set(self) -> bool:
        """Whether the end was asked for."""

    def wait(self, timeout: float) -> bool:
        """Let time pass until the end is asked for or the seconds are over."""


class Simulation(Protocol):
    """The simulator as a run needs it."""

    @property
    def counts(self) -> Mapping[Any, int]:
        """What it has done, by kind."""

    def run(self, stop: Event) -> None:
        """Change rows until `stop`."""


class Pipeline(Protocol):
    """What a run starts, reads and stops (services.ops.pipeline)."""

    @property
    def headline(self) -> str:
        """What it runs between."""

    def start(self, progress: Progress) -> None:
        """Bring everything up, telling each step."""

    def simulation(self) -> Simulation | None:
        """What changes the source, if anything of ours does."""

    def status(self, window_seconds: float) -> Status:
        """How it is now, with the freshness of so many seconds."""

    def flow(self, batches: int) -> Flow:
        """How fresh the last minute's rows were, and the rows of the last so many batches."""

    def drain(self, timeout_seconds: float) -> bool:
        """Wait until nothing waits in the queues; whether that was reached."""

    def summary(self, *, elapsed_seconds: float, drained: bool, simulated: Mapping[str, int]) -> Summary:
        """What it leaves behind."""

    def stop(self) -> None:
        """End all that was started, however far `start` came."""


@dataclass(frozen=True)
class Rhythm:
    """How time passes: seconds since the run began, what ends it, the pause between looks, its length (0: no end)."""

    elapsed: Callable[[], float]
    stopping: Stopping
    pause_seconds: float
    seconds: float


class Asked:
    """A flag that a signal handler may raise while the same thread waits for it.

    threading.Event is none: its `set` takes the lock that `wait` holds, and the handler interrupts `wait` anywhere.
    """

    def __init__(self) -> None:
        """Not asked yet."""
        self._flag = False
        self._reader, self._writer = os.pipe()

    def set(self) -> None:
        """Ask for the end and wake who waits."""
        if not self._flag:
            self._flag = True
            os.write(self._writer, b"!")

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._flag

    def wait(self, timeout: float) -> bool:
        """Let time pass until the end is asked for or the seconds are over."""
        select([self._reader], [], [], timeout)
        return self._flag

    def close(self) -> None:
        """Nobody waits any more."""
        os.close(self._reader)
        os.close(self._writer)


class Interruption:
    """Signals, by what they interrupt: the start is broken off, the watching ends in good order, the stopping goes on.

    A second signal while the queues drain breaks that off.
    """

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.asked = Asked()
        self._watching = False
        self._deaf = False

    def receive(self, _number: int, _frame: FrameType | None) -> None:
        """Handle SIGINT or SIGTERM in the main thread. Raises KeyboardInterrupt where that breaks something off."""
        if self._deaf:
            return
        in_good_order = self._watching and not self.asked.is_set()
        self.asked.set()
        if not in_good_order:
            self.stopping()
            raise KeyboardInterrupt

    def watching(self) -> None:
        """Everything is up: the next signal ends the watching."""
        self._watching = True

    def stopping(self) -> None:
        """From now on nothing may disturb."""
        self._deaf = True

    @contextmanager
    def installed(self) -> Iterator["Interruption"]:
        """Receive both signals, and give them back at the end."""
        former = {number: signal(number, self.receive) for number in (SIGINT, SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal(number, handler)
            self.asked.close()


def run(
    pipeline: Pipeline,
    *,
    seconds: float,
    console: Console,
    monotonic: Callable[[], float],
    interruption: Interruption,
) -> Summary:
    """Run the pipeline for so many seconds once it is up (0: until a signal); the summary is printed and returned."""
    began = monotonic()

    def elapsed() -> float:
        return monotonic() - began

    def progress(sentence: str) -> None:
        console.print(f"{clock_of(elapsed())}  {sentence}", highlight=False, markup=False, soft_wrap=True)

    try:
        pipeline.start(progress)
        progress(f"Up: {pipeline.headline}")
        interruption.watching()
        with Driver(pipeline.simulation()) as driver, display(console, pipeline.flow) as show:
            pause_seconds = LIVE_EVERY_SECONDS if redraws(console) else PLAIN_EVERY_SECONDS
            watch(pipeline, driver, show, Rhythm(elapsed, interruption.asked, pause_seconds, seconds))
        progress("Draining the queues (Ctrl-C ends without)")
        drained = pipeline.drain(DRAIN_SECONDS)
        summary = pipeline.summary(elapsed_seconds=elapsed(), drained=drained, simulated=driver.counts())
        console.print(render(summary))
        return summary
    finally:
        interruption.stopping()
        pipeline.stop()


def watch(
    pipeline: Pipeline,
    driver: "Driver",
    show: Show,
    rhythm: Rhythm,
) -> None:
    """Show the status again and again, until the end is asked for or the seconds are over."""
    elapsed = rhythm.elapsed
    ends = elapsed() + rhythm.seconds if rhythm.seconds else float("inf")
    while not rhythm.stopping.is_set() and elapsed() < ends:
        status = pipeline.status(min(elapsed(), WINDOW_SECONDS))
        show(Moment(status, pipeline.headline, elapsed(), driver.counts(), driver.remarks()))
        rhythm.stopping.wait(max(0.0, min(rhythm.pause_seconds, ends - elapsed())))


def redraws(console: Console) -> bool:
    """Whether it is a terminal that can move its cursor."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def display(console: Console, flow: Callable[[int], Flow]) -> Iterator[Show]:
    """A picture of the size of the terminal, redrawn in place and gone at the end; else one line after the other.

    On the terminal's other screen each picture overwrites the former one line by line: nothing is erased in between.
    """
    if not redraws(console):
        yield lambda moment: console.print(plain_line(moment), highlight=False, soft_wrap=True)
        return
    rates = Rates()
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def show(moment: Moment) -> None:
            width, height = console.size
            paces = rates.add(moment.status, moment.elapsed_seconds or 0.0)
            live.update(screen(View(moment, flow(height), paces), width, height), refresh=True)

        yield show


class Driver:
    """The simulation in a thread of its own while the context lasts; one that fails is shown, not raised."""

    def __init__(self, simulation: Simulation | None) -> None:
        """Take the simulation, or None where nothing is simulated."""
        self._simulation = simulation
        self._stop = Event()
        self._failure: Exception | None = None
        self._thread = Thread(target=self._run, name="simulator", daemon=True)

    def counts(self) -> Mapping[str, int]:
        """What the simulation has done, by kind; nothing where there is none."""
        return {} if self._simulation is None else {str(kind): done for kind, done in self._simulation.counts.items()}

    def remarks(self) -> tuple[str, ...]:
        """Why the simulation ended early, if it did."""
        return () if self._failure is None else (f"The simulator ended early: {self._failure}",)

    def __enter__(self) -> "Driver":
        """Begin to simulate."""
        if self._simulation is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the simulation and wait for its last transaction."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(SIMULATOR_STOP_SECONDS)

    def _run(self) -> None:
        if self._simulation is None:
            return
        try:
            self._simulation.run(self._stop)
        except Exception as exc:  # noqa: BLE001 - a thread's error would be lost; it is shown instead
            self._failure = exc
