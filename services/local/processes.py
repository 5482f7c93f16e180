"""Processes of the embedded stack: known beyond doubt, and ended for certain.

Invariant: a process id alone proves nothing, ids are used again; a process is ours if its start time fits too.
Ending a process that has ended already does nothing.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict

CLOCK_SECONDS = 2.0
"""How far two readings of one process's start time may differ: it is derived from a boot time that clocks correct."""
KILL_SECONDS = 5.0
"""How long the system may take to end what was killed."""


class Process(BaseModel):
    """A process by its id and its start (seconds since 1970)."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    started: float

    @classmethod
    def of(cls, name: str, pid: int) -> Self | None:
        """The process that has this id now, None if there is none."""
        try:
            return cls(name=name, pid=pid, started=psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def running(self) -> psutil.Process | None:
        """The process if it still runs."""
        with suppress(psutil.Error):
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.started) < CLOCK_SECONDS and found.status() != psutil.STATUS_ZOMBIE:
                return found
        return None


def end(process: Process, *, seconds: float) -> None:
    """Ask it to end, wait so long, then kill it."""
    found = process.running()
    if found is not None:
        end_all([found], seconds=seconds)


def end_all(processes: Iterable[psutil.Process], *, seconds: float) -> None:
    """Ask all of them to end, wait so long for the last, then kill the rest."""
    waiting = list(processes)
    for process in waiting:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(waiting, timeout=seconds)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=KILL_SECONDS)
