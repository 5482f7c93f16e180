"""Terraform's root, and plans of the pipeline, for whoever looks at them."""

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

ROOT = FILE.parent
PLANS = "tests/plans.tftest.hcl"
"""Each plan that Terraform tells comes with the provider's whole schema, so these are few."""
Plans = Mapping[str, Mapping[str, Any]]
"""Name of a run -> what it would make, as `terraform show -json` tells it."""
_UNREACHABLE = ("Failed to query available provider packages", "could not connect to registry", "Failed to install")


@dataclass(frozen=True)
class Root:
    """One root module, ready; what Terraform keeps for it lies in a folder of its own."""

    module: Path
    folder: Path

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "TF_DATA_DIR": str(self.folder), "TF_IN_AUTOMATION": "1"}
        command = ["terraform", f"-chdir={self.module}", words[0], "-no-color", *words[1:]]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def ready(module: Path, folder: Path) -> Root:
    """Skips where there is no Terraform, or no provider for it."""
    if shutil.which("terraform") is None:
        pytest.skip("No terraform is found: its rules are tested where there is one.")
    root = Root(module, folder)
    said = root.run("init", "-backend=false", "-input=false", "-lockfile=readonly")
    if any(sign in said.stderr for sign in _UNREACHABLE):
        pytest.skip("Terraform's AWS provider cannot be had: its rules are tested where it can.")
    assert said.returncode == 0, said.stderr
    return root


@pytest.fixture(scope="session")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    """Those of the pipeline, without an account."""
    root = ready(ROOT, tmp_path_factory.mktemp("plans"))
    said = root.run("test", "-json", "-verbose", f"-filter={PLANS}")
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert said.returncode == 0, [line for line in lines if line["type"] == "diagnostic"]
    return {line["@testrun"]: line["test_plan"] for line in lines if line["type"] == "test_plan"}
