"""The `terraform` command on a copy of the project's configuration, pointed at an emulated account.

The committed configuration knows no emulator: what differs stands in an override file, which Terraform merges over it,
and in AWS_ENDPOINT_URL, which provider and backend read as every SDK does.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CONFIGURATION = Path(__file__).parents[3] / "terraform"
REQUIRED = "TOTES_TERRAFORM"
"""Set to `required`, a machine without Terraform or its provider fails instead of being passed over."""
PARALLEL = 40
"""Creating a queue or a lifecycle rule is waiting, for 25 and 55 seconds: let all of it be waited for at once."""
APPLY_SECONDS = 300
OVERRIDE = """
provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
}
"""
_UNREACHABLE = ("Failed to query available provider packages", "could not connect to registry", "Failed to install")


@dataclass(frozen=True)
class Terraform:
    """One root module in a folder of its own; `variables` go with every command that takes some."""

    folder: Path
    environment: Mapping[str, str]
    variables: Mapping[str, Any]

    @classmethod
    def copied(
        cls, module: str, folder: Path, endpoint_url: str, variables: Mapping[str, Any], region: str
    ) -> "Terraform":
        """A copy of the configuration (`module` is a folder of it, or "."), for the account behind the endpoint."""
        copy = folder / "terraform"
        if not copy.exists():
            shutil.copytree(CONFIGURATION, copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars"))
        (copy / module / "emulator_override.tf").write_text(OVERRIDE)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "TF_VAR_", "TOTES_", "COV_"))
        }
        return cls(copy / module, {**environment, **account(endpoint_url, region)}, variables)

    def init(self, **backend: str) -> None:
        """Prepare; a machine that cannot get the provider is passed over with its reason."""
        given = [f"-backend-config={name}={value}" for name, value in backend.items()]
        said = self._run("init", "-input=false", *given, check=False)
        if said.returncode != 0:
            if any(sign in said.stderr for sign in _UNREACHABLE):
                passed_over(f"Terraform's AWS provider could not be had: {said.stderr.strip().splitlines()[0]}")
            raise AssertionError(said.stdout + said.stderr)

    def apply(self) -> None:
        self._run("apply", "-input=false", "-auto-approve", f"-parallelism={PARALLEL}", *self._given())

    def destroy(self) -> None:
        self._run("destroy", "-input=false", "-auto-approve", f"-parallelism={PARALLEL}", *self._given())

    def plan(self) -> dict[str, Any]:
        """What an apply would do now, as `terraform show -json` tells it."""
        kept = self.folder / "tfplan"
        self._run("plan", "-input=false", f"-out={kept}", *self._given())
        return dict(json.loads(self._run("show", "-json", str(kept)).stdout))

    def outputs(self) -> dict[str, Any]:
        """Name -> value."""
        found = json.loads(self._run("output", "-json").stdout)
        return {name: output["value"] for name, output in found.items()}

    def addresses(self) -> list[str]:
        """Every resource that the state knows, data sources aside."""
        lines = self._run("state", "list").stdout.splitlines()
        return [line for line in lines if not line.startswith("data.") and ".data." not in line]

    def _given(self) -> list[str]:
        return [
            f"-var={name}={value if isinstance(value, str) else json.dumps(value)}"
            for name, value in self.variables.items()
        ]

    def _run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["terraform", words[0], "-no-color", *words[1:]]
            if words[0] not in ("state", "show", "output")
            else ["terraform", *words],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=APPLY_SECONDS,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"terraform {words[0]}:\n{done.stdout[-4000:]}\n{done.stderr}")
        return done


def changes(plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """Address -> what the plan would do there, of all that it would not leave as it is."""
    return {
        change["address"]: change["change"]["actions"]
        for change in plan.get("resource_changes", ())
        if change["change"]["actions"] not in (["no-op"], ["read"])
    }


def expect_terraform() -> None:
    """Pass the test over, in one sentence, where there is no Terraform."""
    if shutil.which("terraform") is None:
        passed_over("no `terraform` was found on this machine: install 1.11 or later to run it")


def passed_over(reason: str) -> None:
    """Skip; fail where the machine was said to have it."""
    if os.environ.get(REQUIRED) == "required":
        raise AssertionError(reason)
    pytest.skip(f"The deployment on the emulator was not tried: {reason}.")


def account(endpoint_url: str, region: str) -> dict[str, str]:
    """Variables by which any tool of AWS finds the emulated account."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "TF_IN_AUTOMATION": "1",
    }
