"""The `totes` command as a user runs it: a process of its own, its output kept, ended by a signal."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

TOTES = Path(sys.executable).parent / "totes"
PATIENCE_SECONDS = 120
PAUSE_SECONDS = 0.2
"""At least, between two looks at what a test waits for."""


def pause_after(look_seconds: float) -> float:
    """How long to wait after a look that took so long: looks, some of which start a command, must not be the load."""
    return max(PAUSE_SECONDS, 2 * look_seconds)


def totes(*arguments: str, folder: Path, timeout: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [str(TOTES), *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=timeout, env=clean()
    )


def clean() -> dict[str, str]:
    """The environment without settings that a test machine may carry."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TOTES_", "AWS_", "COV_"))}


def processes_of(folder: Path) -> list[str]:
    """Command lines of whatever still runs out of a folder."""
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
    ]


@dataclass
class Up:
    """A running `totes up`; use as a context manager. `folder` is its working directory."""

    folder: Path
    arguments: tuple[str, ...]

    def __enter__(self) -> Self:
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

    def status(self) -> dict[str, Any]:
        """What `totes status --json` says, empty while there is nothing to say."""
        answer = totes("status", "--json", folder=self.folder)
        return json.loads(answer.stdout) if answer.returncode == 0 else {}

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
