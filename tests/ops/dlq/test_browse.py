"""Looking never consumes: what was there before a look is there after it, however the look ended."""

from datetime import UTC, datetime

import pytest

from services.ops.dlq.browse import QUIET_ANSWERS, Browse
from shared.errors import QueueUnavailable
from shared.queues import QueueDepth, Received
from tests.ops.dlq.conftest import Waits

SENT = datetime(2026, 3, 2, tzinfo=UTC)


class FakeDeadLetters:
    """A queue with scripted answers; each receive of a message makes a new handle, the last of which counts."""

    def __init__(self, *answers: list[str], refuse_restore: bool = False) -> None:
        self.answers = list(answers)
        self.refuse_restore = refuse_restore
        self.receives = 0
        self.handles: dict[str, str] = {}
        self.deleted: list[str] = []

    def receive(self, hidden_seconds: int) -> list[Received]:
        self.receives += 1
        return [self._received(name) for name in (self.answers.pop(0) if self.answers else [])]

    def delete(self, receipt_handle: str) -> None:
        self.deleted.append(receipt_handle)

    def restore(self, receipt_handles: list[str]) -> None:
        if self.refuse_restore:
            raise QueueUnavailable("q did not restore.")
        for name, handle in list(self.handles.items()):
            if handle in receipt_handles:
                del self.handles[name]

    def _received(self, name: str) -> Received:
        self.handles[name] = f"{name}.{self.receives}"
        return Received(name, self.handles[name], self.receives, SENT, "body", {})


def browse(queue, **options):
    return Browse("changes", queue, **{"wait": Waits(), **options})


def fill(dead_letters, count):
    for number in range(count):
        dead_letters.redrive(f"m{number:03}")


def look_and_fail(look, error):
    with look as looked:
        for _ in looked:
            raise error


def test_every_message_is_shown_once_and_stays(dead_letters):
    queue = dead_letters["changes"]
    fill(queue, 25)

    with queue.browse() as looked:
        shown = [message.body for message in looked]
        during = queue.queue.depth()

    assert sorted(shown) == [f"m{number:03}" for number in range(25)]
    assert looked.complete
    assert during == QueueDepth(visible=0, in_flight=25, delayed=0)
    assert queue.queue.depth() == QueueDepth(visible=25, in_flight=0, delayed=0)
    assert queue.bodies() == sorted(shown)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_look_that_is_broken_off_leaves_the_queue_as_it_was(dead_letters, error):
    queue = dead_letters["changes"]
    fill(queue, 12)

    with pytest.raises(error):
        look_and_fail(queue.browse(), error)

    assert queue.queue.depth() == QueueDepth(visible=12, in_flight=0, delayed=0)


def test_a_look_at_some_leaves_the_others_visible_too(dead_letters):
    queue = dead_letters["changes"]
    fill(queue, 12)

    with queue.browse(limit=3) as looked:
        shown = list(looked)

    assert len(shown) == 3
    assert not looked.complete
    assert queue.queue.depth() == QueueDepth(visible=12, in_flight=0, delayed=0)


def test_what_is_deleted_during_a_look_is_gone_and_only_that(dead_letters):
    queue = dead_letters["changes"]
    fill(queue, 12)

    with queue.browse() as looked:
        for message in looked:
            if message.body < "m005":
                looked.delete(message)

    assert queue.bodies() == [f"m{number:03}" for number in range(5, 12)]


def test_a_message_that_becomes_visible_during_the_look_is_shown_once_and_restored_by_its_last_handle():
    queue = FakeDeadLetters(["a", "b"], ["a"], ["c", "b", "a"])

    with browse(queue) as looked:
        shown = [message.message_id for message in looked]

    assert shown == ["a", "b", "c"]
    assert queue.handles == {}


def test_what_was_deleted_and_is_delivered_once_more_is_deleted_again():
    queue = FakeDeadLetters(["a"], ["a", "b"])

    with browse(queue) as looked:
        for message in looked:
            looked.delete(message)
            looked.delete(message)

    assert queue.deleted == ["a.1", "a.2", "b.2"]


def test_an_empty_answer_is_not_the_end_until_it_was_given_some_times_in_a_row():
    nearly = [[]] * (QUIET_ANSWERS - 1)
    queue, waits = FakeDeadLetters(["a"], *nearly, ["b"], *nearly, ["a"]), Waits()

    with browse(queue, wait=waits) as looked:
        shown = [message.message_id for message in looked]

    assert shown == ["a", "b"]
    assert queue.receives == 2 + 2 * (QUIET_ANSWERS - 1) + 1
    assert len(waits.seconds) == 2 * (QUIET_ANSWERS - 1)


def test_a_queue_that_gives_the_same_messages_for_ever_comes_to_an_end():
    queue = FakeDeadLetters(*[["a"]] * 100)

    with browse(queue) as looked:
        assert len(list(looked)) == 1

    assert queue.receives == 1 + QUIET_ANSWERS


def test_a_look_stops_before_sqs_refuses_more_in_flight_but_what_is_deleted_does_not_count(monkeypatch):
    monkeypatch.setattr("services.ops.dlq.browse.MOST_HIDDEN", 3)
    answers = [[f"{one}{two}" for two in "ab"] for one in "abcdef"]

    with browse(FakeDeadLetters(*answers)) as looked:
        shown = list(looked)
    with browse(FakeDeadLetters(*answers)) as deleting:
        for message in deleting:
            deleting.delete(message)

    assert (len(shown), looked.complete) == (4, False)
    assert deleting.complete


def test_a_queue_that_does_not_restore_is_told_unless_something_worse_is():
    refusing = FakeDeadLetters(["a"], refuse_restore=True)

    with pytest.raises(QueueUnavailable), browse(refusing) as looked:
        list(looked)
    with pytest.raises(ValueError, match="worse"):
        look_and_fail(browse(FakeDeadLetters(["a"], refuse_restore=True)), ValueError("worse"))


def test_a_look_remembers_handles_and_no_bodies(dead_letters):
    queue = dead_letters["changes"]
    queue.redrive("x" * 200_000)

    with queue.browse() as looked:
        list(looked)
        kept = {name: value for name, value in vars(looked).items() if name != "_queue"}

    assert len(repr(kept)) < 2_000
