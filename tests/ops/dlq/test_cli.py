"""`totes dlq` as it is typed: exit codes and words, on the emulator that the embedded stack runs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from contracts.messages import ENVELOPE
from services.local.description import StackDescription
from services.local.emulator import Emulator
from services.local.processes import Process
from services.ops.cli import app
from services.ops.dlq.browse import Browse
from services.ops.dlq.places import Places, places_of
from services.ops.dlq.report import NOTHING_MATCHES, NOTHING_THERE
from services.transform.transform import Workshop
from tests.transform.archived import changed, row, rows


def totes(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="totes")


@pytest.mark.parametrize("command", [("list",), ("show", "c-1"), ("check",)])
def test_where_nothing_runs_it_says_so(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = totes("dlq", *command, "--state-dir", str(tmp_path))

    assert (result.exit_code, "Expected a running stack" in result.stderr) == (3, True)


def test_its_help_names_its_commands_and_filters() -> None:
    found, listed = totes("dlq", "--help").stdout, totes("dlq", "check", "--help").stdout

    assert all(f" {command} " in found for command in ("list", "show", "check"))
    assert all(f"--{name} " in listed for name in ("queue", "feed", "cause", "since", "until", "id", "limit", "json"))


def this_process() -> Process:
    found = Process.of("up", os.getpid())
    assert found is not None
    return found


class Stack:
    """Queues and buckets on the emulator, described in a state folder as a running stack describes itself."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.folder = folder
        s3, sqs = emulator.client("s3"), emulator.client("sqs")
        for name in ("archive", "processed", "control"):
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
        urls = {
            name: sqs.create_queue(QueueName=name)["QueueUrl"]
            for name in ("changes", "changes-dlq", "loads", "loads-dlq")
        }
        self.description = StackDescription(
            up=this_process(),
            children=(),
            state_dir=folder,
            endpoint_url=emulator.endpoint_url,
            region="eu-west-2",
            buckets={name: name for name in ("archive", "processed", "control")},
            queues={name: urls[name] for name in ("changes", "loads")},
            dead_letter_queues={name: urls[f"{name}-dlq"] for name in ("changes", "loads")},
            source_dsn="postgresql://nobody@127.0.0.1:1/none",
            source_owner_dsn=None,
            warehouse_dsn="postgresql://nobody@127.0.0.1:1/none",
            warehouse_owner_dsn="postgresql://nobody@127.0.0.1:1/none",
            loader_role=None,
            analyst_role=None,
            warehouse_schema="warehouse",
            time_zone="UTC",
        )
        self.description.write(folder)

    @property
    def places(self) -> Places:
        return places_of(self.description)

    def totes(self, *arguments: str) -> Result:
        return totes("dlq", *arguments, "--state-dir", str(self.folder))

    def park(self, count: int, start: int = 0) -> None:
        for page in range(start, start + count):
            batch, body = changed("staff", rows("staff", 2), page=page)
            metadata = {"sha256": batch.data.object.sha256, ENVELOPE: batch.body()}
            ref = batch.data.object
            self.description.client("s3").put_object(Bucket=ref.bucket, Key=ref.key, Body=body, Metadata=metadata)
            attributes = {"reason": f"Page {page} broke.", "reason_class": "contract_drift"}
            self.places.queues["changes"].dead_letters.park(batch.body(), attributes)

    def quarantine(self) -> None:
        batch, body = changed("payment", [row("payment", payment_id="x"), row("payment")])
        ref = batch.data.object
        metadata = {"sha256": ref.sha256, ENVELOPE: batch.body()}
        self.description.client("s3").put_object(Bucket=ref.bucket, Key=ref.key, Body=body, Metadata=metadata)
        Workshop(self.places.objects, "processed").build(batch)

    def depths(self) -> list[object]:
        return [queue.dead_letters.depth() for queue in self.places.queues.values()]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    emulator = Emulator(tmp_path / "aws")
    try:
        emulator.start()
        yield Stack(emulator, tmp_path)
    finally:
        emulator.stop()


@pytest.mark.slow
def test_looking_at_a_stack_leaves_its_queues_as_they_were_and_tells_by_exit_code(stack: Stack) -> None:
    empty = stack.totes("list")
    stack.park(23)
    stack.quarantine()
    before = stack.depths()

    listed, again = (json.loads(stack.totes("list", "--json").stdout) for _ in range(2))
    filtered = stack.totes("list", "--feed", "sales_order")
    text = stack.totes("list")
    ident = listed["groups"][0]["example"]
    shown = stack.totes("show", ident)
    unknown, ambiguous = stack.totes("show", "c-zz"), stack.totes("show", "c-")
    checked, failing = stack.totes("check", "--queue", "changes", "--json"), stack.totes("check")

    assert (empty.exit_code, empty.stdout) == (0, f"{NOTHING_THERE}\n")
    assert (filtered.exit_code, filtered.stdout) == (0, f"{NOTHING_MATCHES}\n")
    assert (listed["parked"], listed["quarantined"], listed["complete"]) == (23, 1, True)
    assert listed == again
    assert (text.exit_code, "Parked messages of changes: 23" in text.stdout) == (0, True)
    assert (shown.exit_code, ident in shown.stdout) == (0, True)
    assert (unknown.exit_code, ambiguous.exit_code) == (2, 2)
    assert (checked.exit_code, json.loads(checked.stdout)["passes"]) == (0, 23)
    assert (failing.exit_code, "1 of 24 would still fail." in failing.stdout) == (1, True)
    assert stack.depths() == before


@pytest.mark.slow
def test_a_look_that_is_broken_off_leaves_a_stack_as_it_was(stack: Stack) -> None:
    stack.park(12)
    before = stack.depths()

    def look_and_break_off() -> None:
        with Browse("changes", stack.places.queues["changes"].dead_letters) as looked:
            for _ in looked:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_and_break_off()

    assert stack.depths() == before
