"""Run chosen tests in a copy and say what came out: only a test that failed has caught anything.

Code that does not even run proves nothing: an error in Python or SQL that any use would meet is no catch, and neither
is a test that could not be set up or collected, nor one that did not come to its end.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic

from tests.mutations.checkout import ENVIRONMENT

LONGEST_SECONDS = 1200.0
"""Of one run: many times what the slowest takes, so that only a test that hangs is ended."""
SECONDS_TO_END = 30.0
"""For pytest to stop its Postgres after it was interrupted."""
PASSED, FAILED = 0, 1
"""Exit codes of pytest; every other one means that the tests did not run."""
_FAILED_TEST = re.compile(r"^FAILED (?P<test>.+?)(?: - (?P<reason>.*))?$", re.MULTILINE)
_MEANINGLESS = re.compile(
    r"^E +(?:[\w.]+\.)?(?:NameError|UnboundLocalError|AttributeError|TypeError|ImportError|SyntaxError)\b.*$"
    r"|^E .*'C': '42(?:601|703|883|P01|P10)'.*$",
    re.MULTILINE,
)
"""Python, or SQL by its SQLSTATE, that cannot run."""


class Outcome(StrEnum):
    """What became of a bug."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"


@dataclass(frozen=True)
class Verdict:
    """What one run came to: the test that failed and why, or in words why that says nothing."""

    outcome: Outcome
    caught_by: str = ""
    reason: str = ""


def judge(code: int, output: str) -> Verdict:
    """What a run of pytest says of the bug that was in the code."""
    if code == PASSED:
        return Verdict(Outcome.SURVIVED, reason="every test passed")
    found = _FAILED_TEST.search(output)
    if code != FAILED or found is None:
        last = output.strip().splitlines()[-1:] or ["nothing was printed"]
        return Verdict(Outcome.BROKEN, reason=f"the tests did not run (exit code {code}): {last[0]}")
    if meaningless := _MEANINGLESS.search(output):
        return Verdict(Outcome.BROKEN, reason=f"the code does not run: {meaningless[0][1:].strip()}")
    return Verdict(Outcome.CAUGHT, found["test"], found["reason"] or "")


@dataclass(frozen=True)
class Run:
    """An ended run of pytest."""

    code: int
    output: str
    seconds: float


def run_tests(copy: Path, tests: Sequence[str]) -> Run:
    """Run the tests in the copy, up to the first that fails."""
    started = monotonic()
    with tempfile.TemporaryDirectory(prefix="totes-mutations-run-") as folder:
        process = subprocess.Popen(
            [*_PYTEST, f"--basetemp={Path(folder) / 'tests'}", *tests],
            cwd=copy,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output = _output(process)
    return Run(process.returncode, output, monotonic() - started)


_PYTEST = (
    *(sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "tests.mutations.profile"),
    *("--hypothesis-seed=0", "--tb=short", "-rf", "--color=no"),
)


def _output(process: subprocess.Popen[str]) -> str:
    """What it printed. Whatever ends the waiting ends the tests too, and no Postgres of theirs is left behind."""
    try:
        return process.communicate(timeout=LONGEST_SECONDS)[0]
    except subprocess.TimeoutExpired:
        return _ended(process)
    except BaseException:
        _ended(process)
        raise


def _ended(process: subprocess.Popen[str]) -> str:
    process.terminate()
    try:
        return process.communicate(timeout=SECONDS_TO_END)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]
