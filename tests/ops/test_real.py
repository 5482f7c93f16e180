"""The command on the real embedded stack, from another process's point of view."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.feeds import FEEDS
from contracts.star import STAR_TABLES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stack")]
TOTES = Path(sys.executable).with_name("totes")
PATIENCE_SECONDS = 120.0


@pytest.fixture
def state() -> Iterator[Path]:
    """A folder with a short path, because sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="totes-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def up(state: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [TOTES, "up", "--state-dir", state, "--orders", "60", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
            totes("down", "--state-dir", str(state))


def totes(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([TOTES, *arguments], capture_output=True, text=True, check=False)


def eventually(ask: Callable[[], Any]) -> Any:
    """What `ask` answers once that is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)
    return answer


def status_once(state: Path, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    def ask() -> dict[str, Any] | None:
        answer = totes("status", "--json", "--state-dir", str(state))
        found = json.loads(answer.stdout) if answer.returncode == 0 else None
        return found if found is not None and holds(found) else None

    return dict(eventually(ask))


def all_loaded(status: dict[str, Any]) -> bool:
    fed = [feed for feed in status["feeds"].values() if feed["star_table"]]
    return all(feed["rows_loaded"] > 0 for feed in fed) and status["freshness"]["samples"] > 0


def left_running(state: Path) -> list[str]:
    """Processes that have to do with this folder: named in their command line, or working in it."""
    seen = (process.info for process in psutil.process_iter(["pid", "cmdline", "cwd"]))
    return [
        f"{each['pid']} {each['cmdline']}"
        for each in seen
        if any(str(state) in part for part in (*(each["cmdline"] or ()), each["cwd"] or ""))
    ]


def test_a_run_fills_every_star_table_shows_its_status_and_ends_in_good_order(state: Path) -> None:
    with up(state) as running:
        status = status_once(state, all_loaded)
        refused = totes("up", "--state-dir", str(state))
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=PATIENCE_SECONDS)

    assert list(status["feeds"]) == list(FEEDS)
    assert status["freshness"]["p99_ms"] >= status["freshness"]["p50_ms"] > 0
    assert refused.returncode == 2
    assert "Another `totes up` runs" in refused.stderr
    assert running.returncode == 0
    assert "Drained: everything captured is loaded, quarantined or parked." in output
    rows = {words[0]: words[1] for line in output.splitlines() if len(words := line.split()) > 1}
    assert all(rows[table.table] != "0" for table in STAR_TABLES)
    assert "\x1b" not in output
    eventually(lambda: not left_running(state))
    assert totes("status", "--state-dir", str(state)).returncode == 3


def test_a_killed_run_is_cleaned_up_and_the_next_one_goes_on_where_it_stopped(state: Path) -> None:
    with up(state) as running:
        status_once(state, all_loaded)
        running.send_signal(signal.SIGKILL)
        running.wait()

        ended = totes("down", "--state-dir", str(state))
        assert ended.returncode == 0
        eventually(lambda: not left_running(state))

    with up(state, "--seconds", "3", "--no-simulate") as again:
        output, _ = again.communicate(timeout=PATIENCE_SECONDS)

    assert again.returncode == 0
    assert "totesys holds rows: it goes on from there" in output
    assert "Drained" in output


def test_a_port_that_is_taken_is_one_sentence_and_leaves_nothing_running(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = totes("up", "--state-dir", str(state), "--port", str(port))

    assert result.returncode == 2
    assert str(port) in result.stderr
    assert result.stderr.count("\n") == 1
    eventually(lambda: not left_running(state))
