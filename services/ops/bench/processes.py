"""What the stages of a running stack do while somebody looks: CPU seconds of their processes, messages that wait.

Looking changes nothing. A process that ends between two looks takes its last moments with it; those of Postgres are
counted in its server.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from services.local.description import StackDescription
from services.local.down import AWS, SOURCE, WAREHOUSE
from shared.queues import Queue

LOOK_SECONDS = 0.5
FUNCTION = "ministack-lambda-"
"""How the emulator begins the name of the folder in which a function's worker runs, before the function's own."""
SELF = "bench"
ONE_BATCH = 10
"""Messages: what one invocation takes. So many wait for nobody."""
BUSY_SHARE = 0.85
"""Of the processors, beyond which nothing would be done sooner by another stage."""


@dataclass(frozen=True)
class Load:
    """Of each stage the processors it kept busy, and of each queue the most messages that lay in it."""

    cores: Mapping[str, float]
    waiting: Mapping[str, int]

    @property
    def bottleneck(self) -> str:
        """Who has most to do: the consumer of the longer queue, the poller where both are short; and the processors."""
        queue, most = max(self.waiting.items(), key=lambda one: one[1])
        late = f"messages wait on {queue}" if most > ONE_BATCH else "the source's rows wait for the poller"
        busiest = max(self.cores, key=lambda stage: self.cores[stage])
        all_busy = sum(self.cores.values()) > BUSY_SHARE * (os.cpu_count() or 1)
        return f"{late}, and all processors are busy, the {busiest} most of all" if all_busy else late

    def __str__(self) -> str:
        """All of it, in words, the busiest first."""
        cores = ", ".join(f"{stage} {busy:.2f}" for stage, busy in sorted(self.cores.items(), key=lambda one: -one[1]))
        waiting = ", ".join(f"{queue} {most}" for queue, most in self.waiting.items())
        return f"{sum(self.cores.values()):.2f} cores of {os.cpu_count()} ({cores}), messages at most: {waiting}"


class Gauge:
    """Reads one stack."""

    def __init__(self, description: StackDescription) -> None:
        """Take the stack; its functions' workers may come and go."""
        self._description = description
        sqs = description.client("sqs")
        self._queues = {name: Queue(sqs, url) for name, url in description.queues.items()}
        self._servers = {str(description.state_dir / name): name for name in (SOURCE, WAREHOUSE)}
        self._emulators = {child.pid for child in description.children if child.name == AWS}

    @contextmanager
    def reading(self) -> Iterator[Callable[[], Load]]:
        """Look until the end; what is yielded then tells what was seen."""
        began, before = time.monotonic(), self._seconds()
        most, stop = dict.fromkeys(self._queues, 0), threading.Event()
        thread = threading.Thread(target=self._watch, args=(most, stop), daemon=True)
        thread.start()
        found: list[Load] = []
        try:
            yield lambda: found[0]
        finally:
            stop.set()
            thread.join()
        took = time.monotonic() - began
        after = self._seconds()
        found.append(Load({stage: (after[stage] - before.get(stage, 0.0)) / took for stage in after}, most))

    def _watch(self, most: dict[str, int], stop: threading.Event) -> None:
        while not stop.wait(LOOK_SECONDS):
            for name, queue in self._queues.items():
                most[name] = max(most[name], queue.depth().total)

    def _seconds(self) -> dict[str, float]:
        """CPU seconds so far, by stage."""
        seconds: dict[str, float] = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                stage = self._stage(process)
                if stage is not None:
                    seconds[stage] = seconds.get(stage, 0.0) + _seconds_of(process, stage)
        return seconds

    def _stage(self, process: psutil.Process) -> str | None:
        """A function's name, a server's, the emulator's, our own; None for a stranger."""
        if process.pid == os.getpid():
            return SELF
        if process.pid in self._emulators:
            return AWS
        if process.name() == "postgres":
            return self._servers.get(process.cwd())
        return next((name for word in process.cmdline() if (name := self._function(word))), None)

    def _function(self, word: str) -> str | None:
        """The function whose worker a word of a command line names."""
        begins = f"{self._description.state_dir / AWS / 'tmp'}{os.sep}{FUNCTION}{self._description.prefix}-"
        return word.removeprefix(begins).partition("-")[0] if word.startswith(begins) else None


def _seconds_of(process: psutil.Process, stage: str) -> float:
    """CPU seconds of one process. A server's ended sessions are counted in the one that waited for them."""
    times = process.cpu_times()
    reaped = times.children_user + times.children_system if stage in (SOURCE, WAREHOUSE) else 0.0
    return float(times.user + times.system + reaped)
