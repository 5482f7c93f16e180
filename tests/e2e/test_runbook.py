"""Every command of the runbook, in its order, as it stands there, on a running stack that has something to mend."""

import json
import re
import shlex
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.e2e.command import totes
from tests.e2e.stack import QUIET, Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("runbook")]
RUNBOOK = Path(__file__).parents[2] / "docs" / "operations.md"
LOOKS = ("totes status", "totes doctor", "totes dlq list")
"""They change nothing, and most sections of the runbook begin with them."""
NOT_NOW = 3
FOUND_SOMETHING = 1
"""The exit code of a look that found something, and of a replay that left something."""


def commands() -> list[str]:
    """The lines of the runbook's `sh` blocks, in their order; those about a deployment are tried on one (deployed/)."""
    blocks = re.findall(r"^```sh\n(.*?)^```", RUNBOOK.read_text(encoding="utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if _is_for_the_embedded_stack(line)]


def once_each(lines: list[str]) -> list[str]:
    """Without the looks that were taken already, in the same words, since something was last changed."""
    kept: list[str] = []
    seen: set[str] = set()
    for line in lines:
        if not line.endswith(LOOKS):
            seen.clear()
        if line not in seen:
            kept.append(line)
        seen.add(line)
    return kept


def _is_for_the_embedded_stack(line: str) -> bool:
    return line.startswith(".venv/bin/totes ") and " --env " not in line


def test_every_command_of_the_runbook_runs(tmp_path: Path) -> None:
    with running(tmp_path, *QUIET, "--orders", "60") as stack:
        stack.until_equal()
        _make_trouble(stack)
        names = {"ID": _parked_id(stack)}
        names["postgresql://owner@wh.example.com/warehouse"] = stack.description["warehouse_owner_dsn"]

        for command in once_each(commands()):
            words = [names.get(word, word) for word in shlex.split(command)[1:]]
            answer = _as_an_operator_would(stack, words)

            assert answer.returncode in (0, FOUND_SOMETHING), f"{command}\n{answer.stdout}{answer.stderr}"
            assert "Traceback" not in answer.stderr, command

        assert len(commands()) > 20
        stack.until_complete()


def _as_an_operator_would(stack: Stack, words: list[str]) -> CompletedProcess[str]:
    """Run it; where it says that something must come to its end first (a backfill), wait for that."""
    answers: list[CompletedProcess[str]] = []

    def asked() -> bool:
        answers.append(totes(*words, folder=stack.up.folder))
        return answers[-1].returncode != NOT_NOW

    stack.up.until(f"totes {' '.join(words)} to be possible", asked)
    return answers[-1]


def _make_trouble(stack: Stack) -> None:
    """One row that breaks its contract, one message that is nobody's."""
    with stack.source() as source:
        source.run("UPDATE design SET design_name = design_name, last_updated = now() WHERE design_id = 1")
        source.run(
            "UPDATE sales_order SET agreed_delivery_date = 'soon', last_updated = now() "
            "WHERE sales_order_id = (SELECT min(sales_order_id) FROM sales_order)"
        )
    url = stack.description["queues"]["changes"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"hello": "world"}))
    stack.up.until("a message to be parked", lambda: stack.up.parked() == 1)
    stack.up.until("a row in quarantine", lambda: stack.up.feeds()["sales_order"].rows_quarantined > 0)
    with stack.source() as source:
        source.run(
            "UPDATE sales_order SET agreed_delivery_date = '2031-01-31', last_updated = now() "
            "WHERE agreed_delivery_date = 'soon'"
        )


def _parked_id(stack: Stack) -> str:
    listed = json.loads(totes("dlq", "list", "--json", folder=stack.up.folder).stdout)
    return next(group["example"] for group in listed["groups"] if group["cause"] == "malformed_message")
