"""An audit that could not look anything up never reads as clean, and fails where an advisory source must be there."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".ci"


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"ci_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


audit = load("audit")
KNOWN = {"name": "requests", "version": "2.30.0", "vulns": []}
UNKNOWN = {"name": "requests", "skip_reason": "Dependency not found on PyPI and could not be audited"}
BAD = {"name": "requests", "version": "2.30.0", "vulns": [{"id": "GHSA-1"}]}
SAFETY_HEAD = "+====+\nDEPRECATED: this command (`check`) has been DEPRECATED.\n+====+\n"
"""As safety 3.8.1 prints it before its JSON."""


def from_pip_audit(*entries: dict):
    return audit.of_pip_audit(json.dumps({"dependencies": entries}))


def from_safety(*vulnerabilities: dict):
    return audit.of_safety(
        SAFETY_HEAD
        + json.dumps({"report_meta": {"packages_found": 2}, "vulnerabilities": vulnerabilities})
        + "\n+==+\n"
    )


@pytest.mark.parametrize(
    "silent", [audit.of_pip_audit(""), from_pip_audit(UNKNOWN), from_pip_audit(), audit.of_safety("Traceback …")]
)
def test_a_tool_that_reached_no_source_says_not_audited_and_fails_only_where_it_must_be_there(silent) -> None:
    [sentence] = silent.sentences("requirements.lock")

    assert sentence.endswith("not audited: no advisory source")
    assert "no known vulnerability" not in sentence
    assert not silent.failed(strict=False)
    assert silent.failed(strict=True)


def test_one_package_that_was_not_looked_up_keeps_the_others_from_reading_as_clean() -> None:
    found = from_pip_audit(KNOWN, UNKNOWN)

    assert found.sentences("lock") == ["lock: pip-audit: 1 not audited: no advisory source"]
    assert found.failed(strict=True)


@pytest.mark.parametrize(
    "found",
    [
        from_pip_audit(BAD),
        from_safety({"package_name": "requests", "analyzed_version": "2.30.0", "vulnerability_id": "GHSA-1"}),
    ],
)
def test_a_vulnerability_fails_everywhere_and_is_named(found) -> None:
    assert found.sentences("lock")[0] == f"lock: {found.tool}: requests 2.30.0 is vulnerable: GHSA-1"
    assert found.failed(strict=False)


@pytest.mark.parametrize("found", [from_pip_audit(KNOWN), from_safety()])
def test_a_lock_that_was_looked_up_whole_is_said_to_be_without_known_vulnerability(found) -> None:
    assert "no known vulnerability" in found.sentences("lock")[0]
    assert not found.failed(strict=True)
