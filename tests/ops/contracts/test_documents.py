"""The documents are what the models say today, byte for byte, and whoever changed a model is told what to run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.feeds import FEEDS
from contracts.star import STAR_TABLES
from services.ops.contracts import documents
from services.ops.contracts.documents.__main__ import main
from services.ops.contracts.documents.text import COMMAND, table, yaml_text

ROOT = Path(__file__).parents[3]
PAGE = Path("docs/data-dictionary.md")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A root below which every document is current."""
    documents.write(tmp_path)
    return tmp_path


def test_every_document_is_as_the_models_have_it() -> None:
    assert [f"{path}" for path in documents.stale(ROOT)] == [], f"a model has changed: run `{COMMAND}`"


def test_there_is_a_document_for_the_queues_for_every_table_and_for_all_columns() -> None:
    made = documents.rendered()

    assert len(made) == 2 + len(FEEDS) + len(STAR_TABLES)
    assert {path.parts[0] for path in made} == {"docs"}
    assert all(text.endswith("\n") and COMMAND in text.partition("\n")[0] for text in made.values())


def test_two_runs_give_the_same_bytes_whatever_the_hash_seed() -> None:
    program = (
        "import hashlib; from services.ops.contracts.documents import rendered; "
        "print([(str(path), hashlib.sha256(text.encode()).hexdigest()) for path, text in rendered().items()])"
    )

    runs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "TOTES_SCAN_INTERVAL_SECONDS": seed, "TZ": zone},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("77", "Asia/Kathmandu"))
    }

    assert len(runs) == 1


def test_a_document_that_was_edited_is_missing_or_has_no_model_any_more_is_stale(written: Path) -> None:
    edited, missing = PAGE, Path("docs/contracts/odcs/star/dim_date.odcs.yaml")
    left = Path("docs/contracts/odcs/source/shoes.odcs.yaml")
    (written / edited).write_text("by hand")
    (written / missing).unlink()
    (written / left).write_text("version: 1.0.0")

    assert documents.stale(written) == tuple(sorted([edited, missing, left]))


def test_writing_mends_what_is_stale_and_touches_nothing_else(written: Path) -> None:
    (written / PAGE).write_text("by hand")
    left = written / "docs/contracts/odcs/source/shoes.odcs.yaml"
    left.write_text("version: 1.0.0")
    other = written / "docs/contracts/asyncapi.yaml"
    before = other.stat().st_mtime_ns

    changed = documents.write(written)

    assert changed == (left.relative_to(written), PAGE)
    assert documents.stale(written) == ()
    assert not left.exists()
    assert other.stat().st_mtime_ns == before


def test_the_command_says_what_to_run_and_fails_until_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([], tmp_path) == 1
    said = capsys.readouterr().out
    assert f"{PAGE} is not as the models have it: run `{COMMAND}`." in said

    assert main(["--write"], tmp_path) == 0
    assert f"Wrote {PAGE}" in capsys.readouterr().out

    assert main([], tmp_path) == 0
    assert capsys.readouterr().out == "All documents are current.\n"


def test_yaml_says_twice_what_occurs_twice_and_keeps_the_order_given() -> None:
    shared = {"b": 1, "a": [1]}

    assert yaml_text({"z": shared, "y": shared}).partition("\n")[2] == (
        "z:\n  b: 1\n  a:\n  - 1\ny:\n  b: 1\n  a:\n  - 1\n"
    )


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(["a", "b"], [["x|y", ""]]) == "| a | b |\n| --- | --- |\n| x\\|y | |\n"


@pytest.mark.parametrize(("on_github", "code"), [("", 0), ("true", 1)])
def test_without_npm_the_official_check_says_so_and_fails_only_in_ci(tmp_path: Path, on_github: str, code: int) -> None:
    """The shell's own words suffice, so nothing at all is on the path."""
    answer = subprocess.run(
        ["/bin/bash", ".ci/asyncapi", f"{tmp_path}"],
        env={"PATH": f"{tmp_path}", "GITHUB_ACTIONS": on_github},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == code
    assert "npm and node" in answer.stdout + answer.stderr
    assert ("apt install npm" in answer.stdout) is (code == 0)
