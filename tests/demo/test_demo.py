"""The demonstration is made by one command, and shows nothing of the machine that made it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.demo import __main__ as demo
from tests.demo.play import flows, loaded
from tests.demo.terminal import COLUMNS, ready
from tests.ops.screens import HEALTHY, START, text

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "demo.svg"


def test_the_play_reads_the_live_view_as_a_person_does() -> None:
    assert loaded(text(HEALTHY, COLUMNS, 38), "payment") == 12
    assert loaded(text(START, COLUMNS, 38), "payment") == 0
    assert flows(text(HEALTHY, COLUMNS, 38))
    assert not flows(text(START, COLUMNS, 38))


@pytest.mark.parametrize(("shown", "waits"), [("$ ls\na b\n$\n\n", True), ("$ ls\n\n", False), ("", False)])
def test_a_command_has_ended_where_the_shell_asks_for_the_next(shown: str, waits: bool) -> None:
    assert ready(shown) is waits


def test_a_recording_ends_where_the_play_ends() -> None:
    header, *events = (
        json.dumps(each) for each in ({}, [0.1, "o", "a"], [3.0, "o", "b"], [6.0, "o", "bye"], [6.1, "o", ""])
    )

    assert demo.without_end([header, *events]) == [header, *events[:2]]


def test_without_its_tools_it_ends_with_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "TOOLS", tmp_path)
    with monkeypatch.context() as without_tmux, pytest.raises(SystemExit, match="Expected tmux, .* apt install tmux"):
        without_tmux.setattr(shutil, "which", lambda _: None)
        demo.expect_tools()

    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/tmux")
    with pytest.raises(SystemExit, match="Expected asciinema and termtosvg in .*`make demo` installs"):
        demo.expect_tools()


def test_a_recording_that_names_its_machine_is_refused(tmp_path: Path) -> None:
    cast = tmp_path / "demo.cast"
    cast.write_text('[0.1, "o", "/home/somebody"]', encoding="utf-8")

    with pytest.raises(SystemExit, match="Expected nothing of this machine in .*, found somebody"):
        demo.refuse_traces(cast, ("elsewhere", "somebody"))
    demo.refuse_traces(cast, ("elsewhere",))


def test_the_picture_is_light_stands_alone_and_shows_no_folder_of_a_machine() -> None:
    svg = PICTURE.read_text(encoding="utf-8")

    assert PICTURE.stat().st_size <= demo.MOST_BYTES
    assert re.findall(r"/(?:tmp|home|root|Users|work)/", svg) == []
    assert re.findall(r"""(?:href|src)=["'](?!#)|url\((?!#)|<script""", svg) == []
    assert re.search(r"viewBox=\"0 0 830 [0-9]+\"", svg)
