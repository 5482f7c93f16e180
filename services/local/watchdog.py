"""A process that outlives a killed `totes up` by as long as it takes to end what that left running.

It waits for the end of its standard input, which the system closes when `totes up` ends, however it ends. Invariant: it
ends nothing as long as somebody holds the lock, so that it never meets a stack that was started in the meantime.
"""

import subprocess
import sys
from pathlib import Path

LOCK_SECONDS = 2.0
"""Longer than the system takes to release the lock of a killed process."""


def start(root: Path) -> "subprocess.Popen[bytes]":
    """Watch over this process and what it starts under `root`."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", __name__, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )


def stop(watchdog: "subprocess.Popen[bytes]") -> None:
    """There is nothing left to watch over."""
    watchdog.kill()
    watchdog.communicate()


def watch(root: Path) -> None:
    """Wait for the end of whoever started this, then end what he left, unless somebody took over."""
    sys.stdin.buffer.read()
    # Imported when needed: until then this process should weigh nothing.
    from services.local.down import end_leftovers
    from services.local.lock import UpLock

    lock = UpLock(root, "watchdog")
    if lock.acquire(seconds=LOCK_SECONDS):
        end_leftovers(root)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
