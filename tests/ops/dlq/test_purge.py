"""What is given up is archived before it is deleted, and the quarantine keeps its objects."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from services.ops.audit import AuditTrail, Phase, audited
from services.ops.dlq import cli_replay, replay
from services.ops.dlq.browse import Browse
from services.ops.dlq.filters import Filter
from services.ops.dlq.purge import PURGED, Purged, Store, count, purge
from services.ops.quarantine import OpenQuarantine
from shared.errors import QueueUnavailable, Unavailable
from shared.objects import ObjectStore
from shared.queues import Queue
from tests.attack.calls import Fault, Gate, GatedClient, Killed, Mode
from tests.ops.dlq.stage import Stage, rows_of_designs

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EVERYTHING = Filter()


def looks(stage: Stage, sqs: Any = None) -> list[Any]:
    return [
        partial(Browse, name, Queue(sqs or stage.aws.sqs, stage.url(name, dead=True)), wait=lambda _seconds: None)
        for name in ("changes", "loads")
    ]


def give_up(stage: Stage, wanted: Filter = EVERYTHING, *, name: str = "p-1", s3: Any = None, sqs: Any = None) -> Purged:
    store = Store(ObjectStore(s3 or stage.aws.s3), stage.aws.processed, name, NOW)
    return purge(looks(stage, sqs), wanted, store, lambda _done: None)


def park(stage: Stage, number: int) -> None:
    for each in range(number):
        stage.queue("changes", dead=True).park(f"m{each}", {"reason": f"because {each}", "reason_class": "contract"})


def archived(stage: Stage) -> list[dict[str, Any]]:
    found = stage.objects_in(stage.aws.processed, f"{PURGED}/")
    return [json.loads(line) for body in found.values() for line in body.splitlines()]


def quarantine_two(stage: Stage) -> None:
    stage.send(stage.archive("design", rows_of_designs("far too long", "a name too long", "good")))
    stage.serve()
    assert len(stage.open_rows()) == 2


def test_purged_messages_are_archived_whole_with_their_attributes_and_then_gone(stage: Stage):
    park(stage, 113)

    done = give_up(stage)

    assert (done.messages, stage.waiting("changes", dead=True)) == (113, [])
    found = {line["body"]: line["attributes"]["reason"] for line in archived(stage)}
    assert found == {f"m{each}": f"because {each}" for each in range(113)}
    assert len(stage.objects_in(stage.aws.processed, f"{PURGED}/date=2026-11-24/")) == 2


def test_only_what_is_wanted_is_given_up_and_counted(stage: Stage):
    park(stage, 3)
    stage.queue("loads", dead=True).park("kept", {"reason_class": "corrupt_object"})
    quarantine_two(stage)
    wanted = Filter(causes=("contract",))

    found = count(looks(stage), OpenQuarantine(stage.objects, stage.aws.processed).objects(), wanted)
    done = give_up(stage, wanted)

    assert (found.messages, done.messages) == (3, 3)
    assert stage.waiting("loads", dead=True) == ["kept"]
    assert stage.queue("loads", dead=True).depth().visible == 1


def test_purged_rows_are_marked_and_their_quarantine_objects_stay(stage: Stage):
    quarantine_two(stage)
    before = stage.objects_in(stage.aws.processed, "_quarantine/")

    done = give_up(stage)

    assert (done.rows, stage.open_rows()) == (2, [])
    assert stage.objects_in(stage.aws.processed, "_quarantine/") == before
    assert sorted(line["key"] for line in archived(stage)) == ["1", "2"]
    stage.mend()
    assert stage.replay().sent == 0


@pytest.mark.no_cover
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("mode", list(Mode))
def test_whichever_call_of_a_purge_fails_no_message_is_gone_that_is_not_archived_and_running_it_again_ends_it(
    stage: Stage, mode: Mode, *, after: bool
):
    call = 0
    while True:
        call += 1
        park(stage, 12)
        gate = Gate()
        gate.arm(Fault(call, mode, after))

        with_gate = {"s3": GatedClient(stage.aws.s3, gate), "sqs": GatedClient(stage.aws.sqs, gate)}
        with suppress(Killed, Unavailable):
            give_up(stage, name=f"p-{call}", **with_gate)
        held = {*stage.waiting("changes", dead=True), *(line["body"] for line in archived(stage))}
        stage.let_time_out()
        give_up(stage, name=f"again-{call}")

        assert held == {f"m{each}" for each in range(12)}, f"{mode} {after} {call}"
        assert stage.waiting("changes", dead=True) == []
        for key in stage.objects_in(stage.aws.processed, f"{PURGED}/"):
            stage.aws.s3.delete_object(Bucket=stage.aws.processed, Key=key)
        if not gate.struck:
            break
    assert call > 10


def test_the_audit_of_a_purge_that_died_shows_it_as_begun_and_of_one_that_failed_why(stage: Stage):
    park(stage, 3)
    gate = Gate()
    gate.arm(Fault(3, Mode.KILLED, after=False))
    dying = AuditTrail(ObjectStore(GatedClient(stage.aws.s3, gate)), stage.aws.processed, who="ada@night", now=_now)
    trail = AuditTrail(stage.objects, stage.aws.processed, who="ada@night", now=_now)

    with pytest.raises(Killed), audited(dying, action="dlq purge", what="everything", why="too old"):
        give_up(stage, s3=GatedClient(stage.aws.s3, gate), sqs=GatedClient(stage.aws.sqs, gate))
    with suppress(QueueUnavailable), audited(trail, action="dlq purge", what="everything") as outcome:
        outcome.counts = {"messages": 1}
        raise QueueUnavailable("The queue is away.")

    died, failed = trail.actions()
    assert (died.ended_at, died.last.why, died.last.what) == (None, "too old", "everything")
    assert (failed.last.phase, failed.outcome) == (Phase.FAILED, "failed: The queue is away.")
    assert failed.last.counts == {"messages": 1}


def test_the_command_and_the_engine_agree_on_the_cap():
    assert cli_replay.CAP == replay.CAP


def _now() -> datetime:
    return datetime.now(UTC)
