"""The `totes` command as a user runs it: a process of its own, its output kept, ended by a signal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from services.ops.running import NothingRuns, collector_of, describe
from services.ops.status import Collector, FeedStatus, Status

TOTES = Path(sys.executable).parent / "totes"
PATIENCE_SECONDS = 120
PAUSE_SECONDS = 0.2
"""At least, between two looks at what a test waits for."""
LEFT_SECONDS = 10


def pause_after(look_seconds: float) -> float:
    """How long to wait after a look that took so long: looks, some of which start a command, must not be the load."""
    return max(PAUSE_SECONDS, 2 * look_seconds)


def totes(*arguments: str, folder: Path, timeout: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [str(TOTES), *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=timeout, env=clean()
    )


@dataclass
class Look:
    """`totes status`, asked in this process for what is waited for: a command takes half a second to start."""

    state_dir: Path
    _collector: Collector | None = field(default=None, init=False)

    def status(self) -> Status | None:
        """None where nothing runs; of a part that does not answer, nothing is in it."""
        try:
            self._collector = self._collector or collector_of(describe(self.state_dir))
        except NothingRuns:
            return None
        return self._collector.collect()

    def close(self) -> None:
        """What is asked next is another stack."""
        if self._collector is not None:
            self._collector.close()
        self._collector = None


def clean() -> dict[str, str]:
    """The environment without settings that a test machine may carry."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TOTES_", "AWS_", "COV_"))}


def processes_of(folder: Path) -> list[str]:
    """Command lines of whatever still has to do with a folder: named in them, or worked in."""
    seen = (process.info for process in psutil.process_iter(["cmdline", "cwd"]))
    return [
        " ".join(each["cmdline"] or ())
        for each in seen
        if any(str(folder) in word for word in (*(each["cmdline"] or ()), each["cwd"] or ""))
    ]


def left_of(folder: Path) -> list[str]:
    """The same once nothing is left, or what still is after a while: a killed server's backends end by themselves."""
    deadline = time.monotonic() + LEFT_SECONDS
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return left


@dataclass
class Up:
    """A running `totes up`; use as a context manager. `folder` is its working directory."""

    folder: Path
    arguments: tuple[str, ...]

    def __enter__(self) -> Self:
        self.look = Look(self.folder / ".totes")
        self.log = (self.folder / "up.log").open("w+")
        self.process = subprocess.Popen(
            [str(TOTES), "up", *self.arguments],
            cwd=self.folder,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=clean(),
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.look.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                totes("down", folder=self.folder)
        if kind is not None:
            print(self.output)
        self.log.close()

    @property
    def output(self) -> str:
        return (self.folder / "up.log").read_text()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_SECONDS)

    def status(self) -> Status | None:
        """How it is, for waiting; None while there is nothing to say."""
        return self.look.status()

    def feeds(self) -> Mapping[str, FeedStatus]:
        """How each feed is, none while there is nothing to say."""
        found = self.status()
        return {} if found is None else found.feeds

    def parked(self) -> int:
        """Messages in both dead-letter queues."""
        found = self.status()
        return 0 if found is None else found.parked

    def samples(self) -> int:
        """Changed rows whose freshness was measured."""
        found = self.status()
        return 0 if found is None else found.freshness.samples

    def until(self, what: str, holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until something holds; the seconds it took. Fails with the command's output."""
        began = time.monotonic()
        while (looked := time.monotonic()) - began < seconds:
            if self.process.poll() is not None:
                raise AssertionError(f"totes up ended with {self.process.returncode}:\n{self.output}")
            if holds():
                return time.monotonic() - began
            time.sleep(pause_after(time.monotonic() - looked))
        raise AssertionError(f"not within {seconds} s: {what}\n{self.output}")
