"""One embedded stack without simulator, one Superset on it and one headless Chromium, for all tests of this folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pg8000.native import Connection

from tests.conftest import open_connection
from tests.e2e.command import PAUSE_SECONDS, Up, clean

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 600
"""Superset makes its database first; many times what an idle machine takes."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Dashboards:
    """What `make dashboard` says it serves, and the stack beneath."""

    url: str
    door: str
    folder: Path
    description: dict[str, Any]

    def source(self) -> Connection:
        return open_connection(self.description["source_owner_dsn"])

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """The module behind `make dashboard`, in the stack's folder."""
        return subprocess.Popen(
            [sys.executable, "-m", "services.dashboards", *arguments],
            cwd=self.folder,
            env=clean() | {"TOTES_SUPERSET_DIR": str(REPOSITORY / "build" / "superset"), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("dashboards")
    with Up(folder, ("--no-simulate", "--poll-interval", "0.25")) as running:
        running.until("the stack to be up", lambda: "  Up: " in running.output)
        yield running


@pytest.fixture(scope="session")
def dashboards(up: Up) -> Iterator[Dashboards]:
    description = json.loads((up.folder / ".totes" / "running.json").read_text())
    stack = Dashboards("", "", up.folder, description)
    process = stack.command("serve")
    try:
        door = _door(process)
        yield Dashboards(door.split("/open/")[0], door, up.folder, description)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=START_SECONDS)
    assert process.returncode == 0


def _door(process: subprocess.Popen[str]) -> str:
    """The address it prints."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        if "  Open " in line:
            return line.split("  Open ")[1].strip()
    raise AssertionError("".join(said))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("Expected Chromium and found none: install it with `apt-get install chromium`.", pytrace=False)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=sandbox)
        yield opened
        opened.close()


def until(what: Callable[[], str], holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
        time.sleep(PAUSE_SECONDS)
