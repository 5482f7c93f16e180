"""`totes bench` for real, on few orders: every part measures, and nothing of it runs or lies there afterwards."""

import json
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from services.ops.cli import app


@pytest.mark.slow
def test_every_part_measures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    figures, chart, folder = tmp_path / "figures.json", tmp_path / "chart.svg", tmp_path / "bench"
    asked = ["stages", "path", "growth", "idle", "--runs", "1", "--orders", "1000"]
    files = ["--json", str(figures), "--chart", str(chart), "--folder", str(folder)]

    answer = CliRunner().invoke(app, ["bench", *asked, *files])

    assert answer.exit_code == 0, answer.output
    parts = json.loads(figures.read_text())["parts"]
    assert [part["failed"] for part in parts.values()] == [None] * 4
    assert all(one["value"] > 0 for one in parts["path"]["figures"])
    assert chart.read_text().startswith("<svg")
    assert not folder.exists()
    commands = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    assert [command for command in commands if str(folder) in command] == []
