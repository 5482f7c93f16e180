"""A stack that runs the copied checkout, and the terminal beside it: every command with what it printed.

Invariant: what the terminal keeps is what a person would have seen, word for word.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from pg8000.native import Connection

from services.ops.status import Status
from tests.conftest import open_connection
from tests.e2e.command import PATIENCE_SECONDS, Look, clean, pause_after
from tests.incident.changes import Checkout

ENTRY = "from services.ops.cli import main; main()"
UP = ("--no-simulate", "--orders", "60", "--poll-interval", "0.25", "--reconcile-interval", "3600")


@dataclass(frozen=True)
class Shown:
    """One command of the session: why it was typed, its words, its exit code, all it printed."""

    why: str
    words: str
    code: int
    output: str


@dataclass
class Terminal:
    """Runs `totes` out of the checkout and keeps the session."""

    checkout: Checkout
    session: list[Shown] = field(default_factory=list)

    def type(self, why: str, *arguments: str) -> Shown:
        """Run a command and keep it in the session."""
        answer = self.run(*arguments, errors=subprocess.STDOUT)
        words = " ".join(f"'{word}'" if " " in word else word for word in ("totes", *arguments))
        shown = Shown(why, words, answer.returncode, answer.stdout)
        self.session.append(shown)
        return shown

    def note(self, what: str, text: str) -> None:
        """Keep something that was done by other means than the command."""
        self.session.append(Shown(what, "", 0, text))

    def run(self, *arguments: str, errors: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
        """Run a command beside the session; `errors` is where it says what goes wrong."""
        return subprocess.run(
            [sys.executable, "-c", ENTRY, *arguments],
            cwd=self.checkout.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
            stdin=subprocess.DEVNULL,
        )

    def asked(self, *arguments: str) -> Any:
        """A command's JSON, nothing where it had none to give."""
        answer = self.run(*arguments, "--json")
        return json.loads(answer.stdout) if answer.stdout.startswith("{") else {}

    @property
    def environment(self) -> dict[str, str]:
        return {**clean(), "PYTHONPATH": str(self.checkout.folder), "COLUMNS": "100", "NO_COLOR": "1"}


@dataclass
class Stage:
    """One running stack of the checkout."""

    terminal: Terminal
    process: "subprocess.Popen[bytes]"
    log: Path
    look: Look

    @property
    def description(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.log.parent / ".totes" / "running.json").read_text())
        return found

    def source(self) -> Connection:
        return open_connection(self.description["source_owner_dsn"])

    def warehouse(self) -> Connection:
        connection = open_connection(self.description["warehouse_dsn"])
        connection.run(f"SET search_path = {self.description['warehouse_schema']}")
        return connection

    def client(self, service: str) -> Any:
        there = self.description
        return boto3.client(
            service,
            endpoint_url=there["endpoint_url"],
            region_name=there["region"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until something holds. Fails with what the stack said."""
        looked = time.monotonic()
        deadline = looked + PATIENCE_SECONDS
        while not holds():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"not reached: {what}\n{self.log.read_text()[-4000:]}")
            time.sleep(pause_after(time.monotonic() - looked))
            looked = time.monotonic()

    def status(self) -> Status:
        """How it is, for what is waited for; what the night shows is typed."""
        found = self.look.status()
        assert found is not None, self.log.read_text()[-4000:]
        return found


@contextmanager
def up(terminal: Terminal) -> Iterator[Stage]:
    """`totes up` out of the checkout, until the block ends."""
    log = terminal.checkout.folder / "up.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", ENTRY, "up", *UP],
            cwd=terminal.checkout.folder,
            env=terminal.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    look = Look(terminal.checkout.folder / ".totes")
    stage, began = Stage(terminal, process, log, look), len(log.read_bytes())
    try:
        stage.until("the stack to be up", lambda: b"  Up: " in log.read_bytes()[began:])
        yield stage
    finally:
        look.close()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            terminal.run("down")
