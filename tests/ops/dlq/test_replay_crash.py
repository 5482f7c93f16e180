"""Whichever outside call a replay dies at, or loses: nothing is lost, and the warehouse is that which never failed.

No call is picked by hand: one after the other fails, until a run makes fewer calls than the one that was to fail. After
each, and before anything is mended, whatever was to be replayed is still parked, or open in the quarantine, or on its
way, or loaded.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from contracts.messages import ChangeBatch, LoadBatch, Origin
from services.ops.dlq.replay import Task
from shared.archive import Publisher, keys_at
from shared.errors import Unavailable, WarehouseUnavailable
from tests.attack.calls import Fault, Gate, GatedClient, Killed, Mode
from tests.ops.dlq.stage import MISTAKEN, Stage, rows_of_designs
from tests.transform.archived import changed, row

pytestmark = pytest.mark.no_cover

FULL = os.environ.get("TOTES_ATTACK") == "full"
WAYS = [(mode, after) for mode in Mode for after in (False, True)]
STRIDE = 1 if FULL else 7
EVERY = 1 if FULL else STRIDE * len(WAYS)
"""Each call fails in all four ways, or, to be quick, every seventh call in one of them in turn."""
KEYS = 100
"""Of one round; no two rounds share one."""


@dataclass(frozen=True)
class GatedBooks:
    """The warehouse's books behind the gate."""

    real: Any
    gate: Gate

    def read(self, statement: str, **parameters: Any) -> Any:
        return self.gate.call(
            lambda: self.real.read(statement, **parameters), lambda: WarehouseUnavailable("The warehouse is lost.")
        )


@dataclass
class Round:
    """What failed in one round, and was mended: messages of both queues, rows of two objects."""

    parked: list[str]
    open_rows: list[tuple[str, str | None]]


def fail(stage: Stage, number: int) -> Round:
    """Lost objects of one cause, a load batch that SQS gave up on, and rows that broke a contract; then mend all."""
    first = number * KEYS
    stage.feeds = MISTAKEN
    lost = []
    for offset in range(5):
        stage.page += 1
        lines = [row("sales_order", sales_order_id=str(first + offset), units_sold=str(first + offset + 1))]
        lost.append(changed("sales_order", lines, page=stage.page, revision=number + 1))
    stage.send(*(batch for batch, _ in lost))
    good = [stage.archive("currency", [row("currency", currency_id=str(first + 1))], revision=number + 1)]
    stage.send(*good)
    broken = [
        stage.archive("design", rows_of_designs("short", "far too long", first=first + 1), revision=number + 1),
        stage.archive("design", rows_of_designs("a name too long", first=first + 11), revision=number + 1),
    ]
    stage.send(*broken)
    redrive_loads(stage, of="currency")
    for batch, body in lost:
        stage.put_back(batch, body)
    stage.mend()
    return Round([*stage.waiting("changes", dead=True), *stage.waiting("loads", dead=True)], stage.open_rows())


def redrive_loads(stage: Stage, *, of: str) -> None:
    """Let the loader die on the load batches of a feed until SQS gives up on them; all others are loaded."""
    stage.serve_transform()
    for received in stage.queue("loads").receive(30):
        if LoadBatch.model_validate_json(received.body).data.feed == of:
            stage.queue("loads", dead=True).send([received.body])
            stage.queue("loads").delete(received.receipt_handle)
        else:
            stage.queue("loads").put_off(received.receipt_handle, 0)
    stage.let_time_out()
    stage.serve()


def forget(stage: Stage) -> None:
    """The next round begins with empty buckets, so that it makes no more calls than this one."""
    for bucket in (stage.aws.archive, stage.aws.processed):
        for key in list(stage.objects.keys(bucket, "")):
            stage.aws.s3.delete_object(Bucket=bucket, Key=key)


def run(stage: Stage, number: int, gate: Gate | None = None) -> None:
    def gated(client: Any) -> Any:
        return client if gate is None else GatedClient(client, gate)

    def books(real: Any) -> Any:
        return real if gate is None else GatedBooks(real, gate)

    stage.replay(f"run-{number}", task=Task(), gate=books, s3=gated(stage.aws.s3), sqs=gated(stage.aws.sqs))


def somewhere(stage: Stage, failed: Round) -> None:
    """Nothing is gone from where it failed and not on its way or loaded."""
    held = {*stage.waiting("changes"), *stage.waiting("loads")}
    held |= {*stage.waiting("changes", dead=True), *stage.waiting("loads", dead=True)}
    loaded = {name for [name] in stage.rows("SELECT change_batch FROM _load_batch")}
    for body in failed.parked:
        assert body in held or change_batch(body) in loaded, f"lost: {body[:120]}"
    on_the_way = loaded | {change_batch(body) for body in held}
    assert set(failed.open_rows) <= {*stage.open_rows(), *replayed_rows(stage, on_the_way)}, (
        "rows neither open nor sent"
    )


def replayed_rows(stage: Stage, batches: set[str]) -> Iterator[tuple[str, str | None]]:
    """Feed and key of the rows in those of the batches that are replays."""
    archive = Publisher(stage.objects, stage.aws.archive, stage.queue("changes"))
    for key in stage.objects.keys(stage.aws.archive, "design/"):
        batch = archive.batch(key)
        if batch.data.origin is Origin.REPLAY and batch.id in batches:
            yield from (("design", str(key)) for key in keys_at(archive.lines(batch), 0))


def change_batch(body: str) -> str:
    if '"change_batch"' in body:
        return LoadBatch.model_validate_json(body).data.change_batch
    return ChangeBatch.model_validate_json(body).id


def faults(way: int) -> Iterator[Fault]:
    mode, after = WAYS[way]
    call = 1 if FULL else 1 + STRIDE * way
    while True:
        yield Fault(call, mode, after)
        call += EVERY


@pytest.mark.parametrize("way", range(len(WAYS)), ids=["killed before", "killed after", "lost before", "lost after"])
def test_whichever_call_of_a_replay_fails_nothing_is_lost_and_running_it_again_ends_as_if_it_never_had(
    stage: Stage, twin: Stage, way: int
):
    for number, fault in enumerate(faults(way)):
        failed = fail(stage, number)
        assert (len(failed.parked), len(failed.open_rows)) == (6, 2)
        gate = Gate()
        gate.arm(fault)

        with suppress(Killed, Unavailable):
            run(stage, number, gate)
        somewhere(stage, failed)
        stage.let_time_out()
        run(stage, number + 1000)
        stage.serve()

        try:
            assert stage.waiting("changes", dead=True) == stage.waiting("loads", dead=True) == []
            assert stage.open_rows() == []
            assert stage.contents() == twin.load_the_archive()
            forget(stage)
        except AssertionError as exc:
            exc.add_note(str(fault))
            raise
        if not gate.struck:
            assert gate.count < fault.call, f"{fault} was made, and nothing failed"
            break
    assert fault.call > 40
