"""Terraform's own tests, run once for all that look at them."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.local.topology import FILE

ROOTS = (FILE.parent, FILE.parent / "bootstrap")
_UNREACHABLE = ("Failed to query available provider packages", "could not connect to registry", "Failed to install")


@dataclass(frozen=True)
class Answer:
    """What `terraform test` said of one root: the plan of each run by its name, and the runs that did not pass."""

    plans: Mapping[str, Mapping[str, Any]]
    failed: tuple[str, ...]
    passed: int


@pytest.fixture(scope="session")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Answer]:
    """By the root's folder; skips where there is no Terraform, or no provider for it."""
    if shutil.which("terraform") is None:
        pytest.skip("No terraform is found: its rules are tested where there is one.")
    return {root.name: _tested(root, tmp_path_factory.mktemp("terraform")) for root in ROOTS}


def _tested(root: Path, folder: Path) -> Answer:
    said = _terraform(root, folder, "init", "-backend=false", "-input=false", "-lockfile=readonly")
    if said.returncode != 0 and any(sign in said.stderr for sign in _UNREACHABLE):
        pytest.skip("Terraform's AWS provider cannot be had: its rules are tested where it can.")
    for words in (["init", "-backend=false", "-input=false", "-lockfile=readonly"], ["validate"]):
        answer = _terraform(root, folder, *words)
        assert answer.returncode == 0, answer.stderr or answer.stdout
    lines = [json.loads(line) for line in _terraform(root, folder, "test", "-json", "-verbose").stdout.splitlines()]
    ended = [line["test_run"] for line in lines if line["type"] == "test_run" and "status" in line["test_run"]]
    done = {run["run"]: run["status"] for run in ended if run.get("progress", "complete") == "complete"}
    return Answer(
        plans={line["@testrun"]: line["test_plan"] for line in lines if line["type"] == "test_plan"},
        failed=tuple(name for name, status in done.items() if status != "pass"),
        passed=sum(status == "pass" for status in done.values()),
    )


def _terraform(root: Path, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "TF_DATA_DIR": str(folder / "data"), "TF_IN_AUTOMATION": "1"}
    command = ["terraform", f"-chdir={root}", words[0], "-no-color", *words[1:]]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
