"""Ten thousand parked messages: how fast they are replayed, and in how much memory (make replay-figures).

The emulator is a process of its own, so that what is measured here is the replay alone; a pipeline that takes whatever
it is given stands for the real one, which would set the pace.
"""

import os
import time
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contracts.feeds import FEEDS
from services.local.emulator import Emulator
from services.ops.dlq.browse import Browse
from services.ops.dlq.replay import Clock, Replay, Task, survey
from services.ops.dlq.send_again import Messages, Run, Wanted
from shared.queues import Queue
from tests.transform.archived import changed, row

MESSAGES = int(os.environ.get("MESSAGES", "10000"))
FEW = 1000
MOST_BYTES = 16 * 1024 * 1024
"""Peak of what Python allocates in a run, whatever the number of messages."""


@dataclass(frozen=True)
class Hungry:
    """A pipeline that has loaded everything by the time anybody asks."""

    def loaded(self, batches: Sequence[str]) -> Mapping[str, int]:
        return dict.fromkeys(batches, 0)

    def idle(self) -> bool:
        return True


@pytest.fixture
def sqs(tmp_path: Path) -> Iterator[Any]:
    emulator = Emulator(tmp_path / "aws")
    try:
        emulator.start()
        yield emulator.client("sqs")
    finally:
        emulator.stop()


def park(dead: Queue, count: int) -> None:
    lines = [row("design")]
    parked = {"reason": "An object was truncated.", "reason_class": "corrupt_object", "receives": "1"}
    dead.send_again([(changed("design", lines, page=page)[0].body(), parked) for page in range(count)])


def replay(work: Queue, dead: Queue) -> tuple[int, float, float]:
    """Messages sent, seconds, and seconds of this process's own work: the rest is the emulator's."""
    run = Run("run-1", datetime.now(UTC))
    source = Messages("changes", work, partial(Browse, "changes", dead, wait=_no_wait), Wanted(), run, FEEDS).look
    started, worked = time.monotonic(), time.process_time()
    tally = Replay([source], Hungry(), Task(), clock=Clock(time.monotonic, _no_wait)).run(survey([source]))
    assert tally.complete
    return tally.sent, time.monotonic() - started, time.process_time() - worked


@pytest.mark.parametrize(
    "count", [pytest.param(FEW, marks=pytest.mark.slow), pytest.param(MESSAGES, marks=pytest.mark.measured)]
)
def test_any_number_of_parked_messages_is_replayed_in_bounded_memory(sqs: Any, count: int):
    work, dead = (Queue(sqs, sqs.create_queue(QueueName=name)["QueueUrl"]) for name in ("changes", "changes-dlq"))
    park(dead, count)
    sent, seconds, own_seconds = replay(work, dead)
    assert (sent, dead.depth().total, work.depth().total) == (count, 0, count)

    park(dead, count)
    tracemalloc.start()
    replay(work, dead)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    print(
        f"\n{count:,} parked messages looked through and replayed in {seconds:.1f} s: {count / seconds:,.0f} a second, "
        f"{own_seconds:.1f} s of it our own work, {peak / 1e6:.1f} MB allocated at the most",
        flush=True,
    )
    assert peak < MOST_BYTES


def _no_wait(_seconds: float) -> None:
    """The quiet answers at a queue's end are asked for at once."""
