"""The reference says what the code has: every command and option, setting, metric and alarm, each once."""

import re
from pathlib import Path

import pytest
import yaml

from services.ops.reference import COMMAND, rendered, stale, write
from services.ops.reference.__main__ import main
from tests.docs.helped import helped
from tests.docs.test_documents import GROUPS, ROOT

REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def test_the_pages_are_as_the_code_has_them() -> None:
    assert stale(ROOT) == (), f"run `{COMMAND}`"


def listed(*words: str) -> list[str]:
    """The commands that a group's help lists: another way to them than the objects that the page is made from."""
    below = helped(*words).partition("Commands")[2]
    return re.findall(r"^│ ([a-z][a-z-]*) {2}", below, re.M)


def commands() -> list[tuple[str, ...]]:
    single = [(name,) for name in listed() if name not in GROUPS]
    return single + [(group, name) for group in GROUPS for name in listed(group)]


def test_every_command_that_the_help_lists_has_a_section_and_no_other() -> None:
    sections = re.findall(r"^## totes (.*)$", page("cli"), re.M)

    assert sorted(sections) == sorted(" ".join(words) for words in commands())
    assert len(sections) >= 20


@pytest.mark.parametrize("words", [("up",), ("bench",), ("dlq", "replay"), ("contracts", "check")], ids=" ".join)
def test_every_option_that_the_help_lists_is_in_its_section(words: tuple[str, ...]) -> None:
    section = page("cli").partition(f"## totes {' '.join(words)}\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(--[a-z-]+)`", section, re.M))

    assert told == set(re.findall(r"^│ (?:\* +)?(--[a-z-]+)", helped(*words), re.M)) - {"--help"}


def test_every_setting_that_terraform_gives_a_function_is_there_with_the_function() -> None:
    described = yaml.safe_load((ROOT / "terraform" / "topology.yaml").read_text())["functions"]
    rows = dict(
        re.findall(r"^\| `(TOTES_\w+)` .*\| ([^|]*?) ?\|$", page("settings").partition("## Of the functions")[2], re.M)
    )

    for function, each in described.items():
        for name in each["environment"]:
            assert function in rows[f"TOTES_{name.upper()}"].split(", ")


def test_every_alarm_of_the_topology_has_a_section_with_its_text_and_its_section_of_the_runbook() -> None:
    alarms = yaml.safe_load((ROOT / "terraform" / "topology.yaml").read_text())["alarms"]
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page("alarms"), re.M | re.S))

    assert list(sections) == list(alarms)
    for name, alarm in alarms.items():
        assert alarm["runbook"] in sections[name]
        assert f"{alarm['threshold']:,}" in sections[name]
        assert f"(../operations.md#{name})" in sections[name]


def test_a_metric_shows_the_alarms_that_watch_it() -> None:
    alarms = yaml.safe_load((ROOT / "terraform" / "topology.yaml").read_text())["alarms"]

    for name, alarm in alarms.items():
        assert re.search(rf"^\| `{alarm['metric']}` \| .*`{name}`", page("metrics"), re.M)


def test_what_is_stale_is_told_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], tmp_path) == 1
    assert "docs/reference/cli.md is not as the code has it" in capsys.readouterr().out

    assert main(["--write"], tmp_path) == 0
    assert {f"{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*.md")} == {f"{path}" for path in rendered()}

    assert main([], tmp_path) == 0
    assert write(tmp_path) == ()
