"""Documents cannot rot: every command they show exists and is run somewhere, every link leads somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from services.local.alarms import alarms_table
from services.local.topology import topology
from shared.telemetry import metrics_table

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNBOOK = ROOT / "docs" / "operations.md"
TOTES = Path(sys.executable).parent / "totes"


def _commands(document: Path) -> list[str]:
    """The lines of `sh` blocks, without prompts, comments and what a line prints."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _verbs(words: list[str]) -> list[str]:
    """The command's name; of a group of commands both words."""
    return words[1:3] if words[1] == "dlq" else [word for word in words[1:2] if not word.startswith("-")]


COMMANDS = sorted({(document.name, command) for document in DOCUMENTS for command in _commands(document)})


def test_the_documents_show_commands_at_all() -> None:
    assert len(COMMANDS) >= 3


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_every_command_shown_is_one_that_runs(document: str, command: str) -> None:
    words = shlex.split(command, comments=True)

    if words[0] == "make":
        rehearsal = ["make", "--dry-run", *words[1:]]
        answer = subprocess.run(rehearsal, cwd=ROOT, capture_output=True, text=True, check=False)
    else:
        assert words[0] == ".venv/bin/totes", f"{document} shows a command that nothing runs: {command}"
        options = [word for word in words[1:] if word.startswith("--")]
        verbs = _verbs(words)
        answer = subprocess.run([TOTES, *verbs, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert all(option in answer.stdout for option in options), f"{document}: {command}"

    assert answer.returncode == 0, f"{document}: {command}\n{answer.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text())
    relative = [link for link in links if "://" not in link]

    missing = [link for link in relative if not (document.parent / link).exists()]

    assert missing == []


def test_make_alone_lists_every_target_with_a_sentence() -> None:
    answer = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)

    declared = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    for target in " ".join(declared).split():
        assert re.search(rf"make {target} +[A-Z].*\.", answer.stdout), target


def test_the_runbook_has_a_section_for_every_alarm_and_no_alarm_s_section_without_it() -> None:
    chapter = RUNBOOK.read_text().partition("## When an alarm goes off\n")[2].partition("\n## ")[0]
    sections = re.findall(r"^### (\w+)$", chapter, re.M)

    assert sorted(sections) == sorted(topology().alarms)


def test_the_runbook_shows_every_alarm_as_it_is_deployed() -> None:
    """What to paste between the two marks is what `alarms_table` gives."""
    [shown] = re.findall(r"^<!-- alarms -->\n(.*)^<!-- /alarms -->", RUNBOOK.read_text(), re.M | re.S)

    assert shown.strip() == alarms_table(topology()).strip()


def test_the_runbook_names_every_metric_as_it_is_emitted() -> None:
    """What to paste between the two marks is what `metrics_table` gives."""
    [shown] = re.findall(r"^<!-- metrics -->\n(.*)^<!-- /metrics -->", RUNBOOK.read_text(), re.M | re.S)

    assert shown.strip() == metrics_table().strip()
