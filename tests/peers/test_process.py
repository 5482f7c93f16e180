"""What is known of a process that ran: its words, its time, and the memory of it and its children."""

import sys

import pytest

from tests.peers.contestants import Command
from tests.peers.process import run

HOLDS = "held = bytearray({mib} * 2**20); import time; time.sleep({seconds})"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{HOLDS.format(mib=64, seconds=0.5)}'])"


def python(code: str, **environment: str) -> Command:
    return Command((sys.executable, "-c", code), environment)


def test_a_tool_gets_its_own_environment_and_says_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "not for tools")

    ended = run(python("import os; print(os.environ.get('PGPASSWORD'), os.environ['GIVEN'])", GIVEN="word"))

    assert [line.text for line in ended.lines] == ["None word\n"]
    assert 0 < ended.lines[0].seconds < ended.seconds


def test_memory_is_that_of_the_whole_tree() -> None:
    assert run(python(PARENT)).peak_mib > 64


def test_a_tool_that_fails_is_no_contestant() -> None:
    with pytest.raises(RuntimeError, match="no such table"):
        run(python("raise SystemExit('no such table')"))
