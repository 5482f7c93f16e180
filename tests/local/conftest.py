"""Fixtures of the embedded stack's suite: an emulator for the module, and a look at what processes are left."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from services.local.emulator import Emulator


def processes_under(folder: Path) -> list[list[str]]:
    """Command lines of running processes that name anything under the folder, found without our own code."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in process.cmdline()):
                found.append(process.cmdline())
    return found


def nothing_left(folder: Path, seconds: float = 30.0) -> bool:
    """Whether, within so many seconds, no process is left that belongs to the folder."""
    own = list(_alive_under(folder))
    _, alive = psutil.wait_procs(own, timeout=seconds)
    return not alive and not processes_under(folder)


def _alive_under(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(folder) in word for word in process.cmdline()):
                yield process


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One emulated AWS for the tests of a module that only add to it."""
    running = Emulator(tmp_path_factory.mktemp("stack") / "aws")
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def new_emulator(tmp_path: Path) -> Iterator[Callable[[int | None], Emulator]]:
    """Makes emulators of one folder; whatever happens they are stopped."""
    made = []

    def make(port: int | None = None) -> Emulator:
        made.append(Emulator(tmp_path / "aws", port))
        return made[-1]

    yield make
    for each in made:
        each.stop()
