"""The audit: written before and after, readable by time, complete also where an action died."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from services.ops.audit import Action, AuditTrail, Phase, audited
from shared.errors import QueueUnavailable
from shared.objects import ObjectStore
from tests.attack.stores import Clock as StoreClock
from tests.attack.stores import MemoryS3
from tests.conftest import Aws

START = datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC)


@dataclass
class Clock:
    """Every look at it is a second later than the one before."""

    seconds: Iterator[int] = field(default_factory=count)

    def now(self) -> datetime:
        return START + timedelta(seconds=next(self.seconds))


@pytest.fixture
def trail(aws: Aws) -> AuditTrail:
    return AuditTrail(ObjectStore(aws.s3), aws.processed, who="ada@night", now=Clock().now)


def test_an_action_tells_who_did_what_when_why_and_with_what_outcome(trail: AuditTrail):
    with audited(trail, action="dlq replay", what="--feed staff", why="contract mended") as outcome:
        outcome.text, outcome.counts = "replayed 3", {"sent": 3}

    (action,) = trail.actions()
    assert (action.last.who, action.last.action, action.last.what) == ("ada@night", "dlq replay", "--feed staff")
    assert (action.last.why, action.outcome, action.last.counts) == ("contract mended", "replayed 3", {"sent": 3})
    assert (action.last.begun_at, action.ended_at) == (START, START + timedelta(seconds=1))


def test_the_beginning_is_written_before_anything_is_done(trail: AuditTrail):
    with audited(trail, action="pause", what="everything") as outcome:
        (begun,) = trail.actions()

    assert begun.ended_at is None
    assert begun.last.id == outcome.id
    assert "no end was written down" in begun.outcome


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (QueueUnavailable("The queue is away."), "failed: The queue is away."),
        (ValueError("'4111 1111' is secret"), "failed: ValueError"),
        (KeyboardInterrupt(), "broken off"),
    ],
)
def test_a_failed_action_is_written_down_as_failed_without_the_words_of_errors_not_ours(
    trail: AuditTrail, error: BaseException, said: str
):
    with pytest.raises(type(error)), audited(trail, action="rebuild", what="staff"):
        raise error

    (action,) = trail.actions()
    assert (action.last.phase, action.outcome) == (Phase.FAILED, said)


def test_what_cannot_be_written_down_is_not_begun(aws: Aws):
    trail = AuditTrail(ObjectStore(aws.s3), "no-such-bucket", who="ada@night", now=Clock().now)
    done = []

    with pytest.raises(Exception, match="S3 failed to store"), audited(trail, action="pause", what=""):
        done.append("paused")

    assert done == []


def test_actions_of_one_moment_do_not_clash(aws: Aws):
    trail = AuditTrail(ObjectStore(aws.s3), aws.processed, who="ada@night", now=lambda: START)

    for _ in range(3):
        with audited(trail, action="pause", what=""):
            pass

    assert [action.outcome for action in trail.actions()] == ["done"] * 3


def test_since_and_until_choose_by_time_across_midnight(trail: AuditTrail):
    for name in ("first", "second", "third"):
        with audited(trail, action=name, what=""):
            pass

    def named(since: int, until: int | None = None) -> list[str]:
        end = None if until is None else START + timedelta(seconds=until)
        return [action.last.action for action in trail.actions(START + timedelta(seconds=since), end)]

    assert named(0) == ["first", "second", "third"]
    assert named(2) == ["second", "third"]
    assert named(1, 4) == ["first", "second"]
    assert named(6) == []


def test_an_action_of_which_only_the_end_lies_in_the_time_asked_for_is_whole(trail: AuditTrail):
    with audited(trail, action="rebuild", what="staff", why="moved"):
        pass

    (action,) = trail.actions(START + timedelta(seconds=0.5))
    assert action == Action(action.last)
    assert (action.last.begun_at, action.last.why) == (START, "moved")


def test_more_records_than_a_page_of_a_listing_are_all_shown():
    trail = AuditTrail(ObjectStore(MemoryS3(StoreClock())), "processed", who="ada@night", now=Clock().now)
    for _ in range(501):
        with audited(trail, action="pause", what=""):
            pass

    assert len(list(trail.records())) == 1002
