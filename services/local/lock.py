"""One `totes up` at a time under one state folder, even if another was killed a moment ago.

Invariant: the system releases the lock when its holder ends, however it ends; the file only says who that was.
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from services.local.processes import Process

FILE = "up.lock"
UP = "totes up"
"""The holder that runs a stack; any other only cleans up, and is soon done."""


class UpLock:
    """The right to start and end what lies under one folder; the folder must exist."""

    def __init__(self, root: Path, name: str = UP) -> None:
        """Take the root of all stacks and what the holder is called; nothing is locked yet."""
        self._path = root / FILE
        self._name = name
        self._descriptor: int | None = None

    def acquire(self, *, seconds: float = 0.0) -> bool:
        """Whether it was got within so many seconds."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + seconds
        while not _locked(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return False
            time.sleep(0.1)
        self._descriptor = descriptor
        self._say_who()
        return True

    def release(self) -> None:
        """Give it back; nothing happens if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> Process | None:
        """Who holds it or held it last, if that process still runs."""
        with suppress(OSError, ValidationError):
            found = Process.model_validate_json(self._path.read_bytes())
            return found if found.running() else None
        return None

    def _say_who(self) -> None:
        me = Process.of(self._name, os.getpid())
        if self._descriptor is not None and me is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, me.model_dump_json().encode(), 0)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
