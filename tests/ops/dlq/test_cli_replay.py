"""`totes dlq replay`, `purge` and `audit` as they are typed, on the emulator that the embedded stack runs."""

import json
from pathlib import Path

import pytest

from tests.ops.dlq.test_cli import Stack, stack, totes  # noqa: F401 - the fixture


@pytest.mark.parametrize("command", ["replay", "purge", "audit"])
def test_where_nothing_runs_it_says_so(tmp_path: Path, command: str) -> None:
    result = totes("dlq", command, "--state-dir", str(tmp_path))

    assert (result.exit_code, "Expected a running stack" in result.stderr) == (3, True)


def test_a_queue_that_does_not_exist_is_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    result = totes("dlq", "purge", "--queue", "nowhere", "--yes", "--state-dir", str(tmp_path))

    assert (result.exit_code, "changes, loads, quarantine" in result.stderr) == (2, True)


@pytest.mark.slow
def test_nothing_is_sent_or_deleted_unasked_and_the_audit_tells_of_all_that_was(stack: Stack) -> None:  # noqa: F811
    stack.park(12)
    stack.quarantine()
    before = stack.depths()

    dry = stack.totes("replay", "--dry-run", "--json")
    unasked, unasked_purge = stack.totes("replay"), stack.totes("purge")
    after_looks = stack.depths()
    nothing_yet = stack.totes("audit")
    away = stack.totes("replay", "--yes", "--why", "contract mended")
    purged = stack.totes("purge", "--cause", "contract_drift", "--yes", "--json")
    told = json.loads(stack.totes("audit", "--json").stdout)["actions"]
    text = stack.totes("audit", "--since", "1h").stdout

    plan = json.loads(dry.stdout)
    assert (dry.exit_code, plan["to_send"]) == (0, 13)
    assert {(group["place"], group["to_send"]) for group in plan["groups"]} == {("changes", 12), ("quarantine", 1)}
    assert (unasked.exit_code, unasked_purge.exit_code) == (2, 2)
    assert "Send 13 messages and rows again?" in unasked.stderr
    assert "Give up 12 parked messages and 1 quarantined rows" in unasked_purge.stderr
    assert after_looks == before
    assert (nothing_yet.exit_code, nothing_yet.stdout) == (0, "Nothing was done in that time.\n")
    assert away.exit_code == 3  # no warehouse answers, so nobody knows what became of the first few
    assert (purged.exit_code, json.loads(purged.stdout)["messages"]) == (0, 9)
    assert [(each["action"], each["why"], each["counts"].get("sent")) for each in told] == [
        ("dlq replay", "contract mended", 4),
        ("dlq purge", None, None),
    ]
    assert told[0]["outcome"].startswith("failed: ")
    assert "contract mended" in text
