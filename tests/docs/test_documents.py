"""Documents cannot rot: every command they show exists and is run somewhere, every link leads somewhere."""

import re
import shlex
import shutil
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from services.local.alarms import alarms_table
from services.local.topology import topology
from shared.telemetry import metrics_table
from tests.docs.helped import helped

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNBOOK = ROOT / "docs" / "operations.md"
GROUPS = ("ask", "dlq", "contracts")
"""Commands that have commands of their own."""


def _commands(document: Path) -> list[str]:
    """The lines of `sh` blocks, without prompts, comments and what a line prints."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _verbs(words: list[str]) -> list[str]:
    """The command's name; of a group of commands both words."""
    return words[1:3] if words[1] in GROUPS else [word for word in words[1:2] if not word.startswith("-")]


COMMANDS = sorted({(document.name, command) for document in DOCUMENTS for command in _commands(document)})


def test_the_documents_show_commands_at_all() -> None:
    assert len(COMMANDS) >= 3


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_every_command_shown_is_one_that_runs(document: str, command: str) -> None:
    tried = {"make": _make, ".venv/bin/totes": _totes, "terraform": _terraform, "aws": _aws}

    for part in command.split(" | "):
        words = shlex.split(part, comments=True)
        assert words[0] in {*tried, *BUILTINS}, f"{document} shows a command that nothing runs: {command}"
        if words[0] in tried:
            assert tried[words[0]](words) == [], f"{document}: {command}"


BUILTINS = {"read", "printf", "export", "unset"}
"""Of the shell; with them a secret gets into no history and no list of processes."""


def _make(words: list[str]) -> list[str]:
    """What is wrong with it, as with all of these."""
    return _said(("make", "--dry-run", *words[1:]))


def _totes(words: list[str]) -> list[str]:
    words = [words[0], *words[3:]] if words[1] == "--env" else words
    said = helped(*_verbs(words))
    return [word for word in words[1:] if word.startswith("--") and word not in said]


def _terraform(words: list[str]) -> list[str]:
    """The root is there, and declares each variable that is set; options are terraform's own where it is at hand."""
    root = ROOT / words[1].removeprefix("-chdir=")
    set_here = [after.partition("=")[0] for word, after in pairwise(words) if word == "-var"]
    wrong = sorted(set(set_here) - _variables(root))
    if shutil.which("terraform"):
        said = _help_of_terraform(words[2])
        options = [word.partition("=")[0] for word in words[3:] if word.startswith("-")]
        wrong += [option for option in options if not re.search(rf"{option}\b", said)]
    return wrong


def _help_of_terraform(command: str) -> str:
    """Apply and destroy take plan's options too, which only its own help lists."""
    asked = {command} | ({"plan", "apply"} if command in ("apply", "destroy") else set())
    return "".join(
        subprocess.run(["terraform", name, "-help"], capture_output=True, text=True, check=False).stdout
        for name in sorted(asked)
    )


def _variables(root: Path) -> set[str]:
    """The variables that a Terraform root declares."""
    return {name for file in root.glob("*.tf") for name in re.findall(r'^variable "(\w+)"', file.read_text(), re.M)}


def _aws(words: list[str]) -> list[str]:
    """The SDK knows the service, the operation and each of its options: the command line is made of the same models."""
    service = botocore.session.get_session().get_service_model(words[1])
    [operation] = [name for name in service.operation_names if xform_name(name, "-") == words[2]]
    shape = service.operation_model(operation).input_shape
    known = {f"--{xform_name(name, '-')}" for name in (shape.members if shape else ())}
    return [word for word in words[3:] if word.startswith("--") and word not in known]


@cache
def _said(command: tuple[str, ...]) -> list[str]:
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [answer.stderr] * bool(answer.returncode)


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
