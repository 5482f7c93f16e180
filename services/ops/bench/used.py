"""Processor time of processes and of all they have started, as the kernel counts it.

Invariant: it only grows while the root process lives. A child that ended counts through its parent, if that waited for
it: both Postgres and the emulated AWS do.
"""

from collections import defaultdict
from contextlib import suppress

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
