"""What a stranger does: clone, `make run`, read the output, run it again."""

import re
import subprocess
from pathlib import Path

import pytest

from contracts.star import STAR_TABLES
from tests.e2e.command import clean, processes_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fresh clone")]
ROOT = Path(__file__).parents[2]


def _make_run(clone: Path, seconds: int) -> str:
    answer = subprocess.run(
        ["make", "run", f"SECONDS={seconds}"],
        cwd=clone,
        env=clean()
        | {"VIRTUAL_ENV": "", "PIP_NO_COMPILE": "1"},  # half of pip's time, for modules that nothing imports
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


def test_a_fresh_clone_runs_fills_every_star_table_ends_and_resumes(tmp_path: Path) -> None:
    clone = tmp_path / "totes"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)

    first = _make_run(clone, 15)

    for model in STAR_TABLES:
        rows = re.search(rf"{model.table}\s+([\d,]+)", first)
        assert rows is not None, first
        assert int(rows[1].replace(",", "")) > 0, model.table
    assert processes_of(clone) == []

    second = _make_run(clone, 5)

    captured = [int(re.search(r"sales_order\s+([\d,]+)", text)[1].replace(",", "")) for text in (first, second)]
    assert captured[1] >= captured[0], "the second run goes on where the first stopped"
    assert processes_of(clone) == []
