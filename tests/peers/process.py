"""Run a tool as a process, and know how long it took, what it used, and the most memory it held with its children."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread

import psutil

from tests.peers.contestants import Command, Line

LOOK_SECONDS = 0.25
"""Between two looks at memory; what is held for less time may be missed."""
MIB = 2**20


@dataclass(frozen=True)
class Ended:
    """How a process went: its seconds, processor seconds, most memory in MiB, and its lines with when they came."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    lines: Sequence[Line]


def run(command: Command) -> Ended:
    """Run it to its end. Raises RuntimeError with what it said where it failed."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    before, begun = os.times(), time.monotonic()
    with (
        subprocess.Popen(
            command.arguments,
            env={**environment, **command.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as child,
        peak_of(lambda: _tree(child.pid)) as peak,
    ):
        lines = [Line(time.monotonic() - begun, text) for text in child.stdout or ()]
        child.wait()
    seconds, after = time.monotonic() - begun, os.times()
    if child.returncode:
        raise RuntimeError(f"{command.arguments[0]} failed: {''.join(line.text for line in lines[-20:])}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Ended(seconds, used, peak(), lines)


@contextmanager
def peak_of(processes: Callable[[], list[psutil.Process]]) -> Iterator[Callable[[], float]]:
    """Look now and then how much memory processes hold together; the answer gives the most so far, in MiB."""
    most, over = [0.0], Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            most[0] = max(most[0], sum(map(_held, processes())) / MIB)

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield lambda: most[0]
    finally:
        over.set()
        watcher.join()


def children() -> list[psutil.Process]:
    """All that this process has started: of the embedded stack the emulated AWS and its functions, not the servers."""
    return [process for process in psutil.Process().children(recursive=True) if process.name() != "postgres"]


def _tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def _held(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0
