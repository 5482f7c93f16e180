"""The workflows hold what no linter checks: pinned actions, least rights, no stored key, targets that exist."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def jobs(path: Path) -> dict:
    return yaml.safe_load(path.read_text())["jobs"]


EVERY_JOB = [pytest.param(job, id=f"{path.stem}-{name}") for path in WORKFLOWS for name, job in jobs(path).items()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_commit_with_its_release_beside_it(path: Path) -> None:
    uses = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses:" in line]

    assert uses
    assert [line for line in uses if not PINNED.match(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_is_allowed_unless_a_job_asks_for_it_and_no_key_is_stored(path: Path) -> None:
    text = path.read_text()

    assert yaml.safe_load(text)["permissions"] == {}
    assert yaml.safe_load(text)["concurrency"]
    assert "secrets." not in text


@pytest.mark.parametrize("job", EVERY_JOB)
def test_every_job_ends_by_itself_says_what_it_may_and_leaves_no_token_behind(job: dict) -> None:
    assert job["timeout-minutes"] <= 60
    assert job["permissions"]["contents"] == "read"
    checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


@pytest.mark.parametrize("job", EVERY_JOB)
def test_no_script_is_made_of_what_an_event_says(job: dict) -> None:
    scripts = [step.get("run", "") + step.get("with", {}).get("script", "") for step in job["steps"]]

    assert [script for script in scripts if "${{" in script] == []


@pytest.mark.parametrize("job", EVERY_JOB)
def test_every_target_that_a_step_makes_exists(job: dict) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))
    made = {name for step in job["steps"] for name in re.findall(r"^make (\S+)", step.get("run", ""), re.M)}

    assert made - targets == set()


def test_packages_are_built_once_and_applied_from_the_artefact_of_that_run_or_an_earlier_one() -> None:
    deploy = jobs(ROOT / ".github" / "workflows" / "deploy.yml")

    builders = [
        name for name, job in deploy.items() if any("make package" in step.get("run", "") for step in job["steps"])
    ]
    sources = {
        step["with"]["run-id"]
        for name in ("plan", "apply")
        for step in deploy[name]["steps"]
        if step.get("uses", "").startswith("actions/download-artifact@")
    }

    assert builders == ["packages"]
    assert "workflow_dispatch" in deploy["packages"]["if"]
    assert sources == {"${{ inputs.run_id || github.run_id }}"}


def test_only_the_approved_environment_applies_and_only_main() -> None:
    deploy = jobs(ROOT / ".github" / "workflows" / "deploy.yml")

    applying = {
        name for name, job in deploy.items() if any("terraform apply" in step.get("run", "") for step in job["steps"])
    }

    assert applying == {"apply"}
    assert deploy["apply"]["environment"] == "prod"
    assert "refs/heads/main" in deploy["apply"]["if"]
