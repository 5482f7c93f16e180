"""Ends whatever a `totes up` has left running, and nothing else.

Invariant: only processes that are beyond doubt ours are touched: PostgreSQL that serves a folder of ours, the emulated
AWS that we started there (process id and start time) with the workers of its group, and the holder of our lock. State
is kept: a later `totes up` goes on with it. A second call finds nothing to do.
"""

from collections.abc import Iterator
from pathlib import Path

from services.local.description import FILE
from services.local.emulator import Emulator
from services.local.lock import UP, UpLock
from services.local.postgres import PostgresServer
from services.local.processes import end
from shared.errors import ConfigurationError

UP_SECONDS = 120.0
"""How long a running `totes up` may take to drain its queues and stop."""
LOCK_SECONDS = 30.0
"""How long a watchdog, or another `totes down`, may take to clean up: nobody ends those half-way."""
AWS, SOURCE, WAREHOUSE = "aws", "source", "warehouse"
"""Names of the folders of one stack."""


def bring_down(root: Path) -> list[str]:
    """End the `totes up` that runs under this root, if one does, and all it has left; what was ended, in words.

    Raises ConfigurationError if the folder is held by somebody who cannot be ended.
    """
    root = root.absolute()  # as the command lines of what runs there name it
    if not root.is_dir():
        return []
    lock, ended = UpLock(root, "totes down"), []
    if not lock.acquire():
        holder = lock.holder()
        if holder is not None and holder.name == UP:
            ended.append(f"totes up (process {holder.pid})")
            end(holder, seconds=UP_SECONDS)
        if not lock.acquire(seconds=LOCK_SECONDS):
            raise ConfigurationError(f"Expected nobody to hold {root} any more and somebody still does: try again.")
    try:
        return [*ended, *end_leftovers(root)]
    finally:
        lock.release()


def end_leftovers(root: Path) -> list[str]:
    """End what killed runs have left under this root; the caller holds the lock."""
    (root / FILE).unlink(missing_ok=True)
    return [found for folder in stack_folders(root) for found in _end_stack(folder)]


def stack_folders(root: Path) -> list[Path]:
    """The folders of all stacks that were ever started here."""
    return sorted(path.parent for path in root.glob(f"*/{AWS}") if path.is_dir())


def _end_stack(folder: Path) -> Iterator[str]:
    """The emulator first: its functions write to the databases."""
    for part in (Emulator(folder / AWS), PostgresServer(folder / SOURCE), PostgresServer(folder / WAREHOUSE)):
        found = part.end_leftover()
        if found is not None:
            yield found
