"""Processor time: of processes and of all they have started, as the kernel counts it, and inside some functions.

Invariant: it only grows while the root process lives. A child that ended counts through its parent, if that waited for
it: both Postgres and the emulated AWS do.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import psutil


def cpu_seconds(pid: int) -> float:
    """Processor seconds (user and system) of a process and everything below it, those that ended included."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return sum(_of(process) for process in (root, *root.children(recursive=True)))
    return 0.0


def functions_of(pid: int) -> dict[str, float]:
    """Processor seconds of each Lambda function whose workers run below the emulated AWS, by the function's name."""
    found: defaultdict[str, float] = defaultdict(float)
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                found[process.environ().get("AWS_LAMBDA_FUNCTION_NAME", "other processes")] += _of(process)
    return dict(found)


def _of(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


@contextmanager
def seconds_inside(names: Container[str]) -> Iterator[Callable[[], float]]:
    """How many processor seconds this thread spends inside functions of C that have one of these names.

    Watching slows all else down, so that nothing but these seconds may be measured meanwhile.
    """
    spent, begun = [0.0], [0.0]

    def watch(_frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ in names:
            begun[0] = time.thread_time()
        elif event == "c_return" and called.__name__ in names:
            spent[0] += time.thread_time() - begun[0]

    sys.setprofile(watch)
    try:
        yield lambda: spent[0]
    finally:
        sys.setprofile(None)
