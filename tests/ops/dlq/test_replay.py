"""What an operator replays arrives, once, and a replay that mends nothing stops by itself."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from contracts.feeds import FEEDS
from contracts.messages import ChangeBatch
from services.ops.dlq.replay import Task, Verdict
from services.ops.dlq.send_again import Wanted
from shared.errors import QueueUnavailable
from shared.parking import FIRST_FAILED_AT, REASON_CLASS, REPLAY, REPLAYS
from tests.ops.dlq.stage import Stage, rows_of_designs
from tests.transform.archived import changed, row


def lose_objects(stage: Stage, count: int) -> list[tuple[ChangeBatch, bytes]]:
    """Change batches whose objects were taken away, parked for it."""
    made = []
    for number in range(count):
        stage.page += 1
        made.append(changed("design", rows_of_designs(f"lost {number}", first=100 + number), page=stage.page))
    stage.send(*(batch for batch, _ in made))
    stage.serve()
    assert len(stage.waiting("changes", dead=True)) == count
    return made


class Deaf:
    """SQS that takes no message; all else is the real one's."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def send_message_batch(self, **_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://sqs")


def test_what_could_not_be_sent_is_still_parked_and_still_open(stage: Stage):
    [(batch, body)] = lose_objects(stage, 1)
    stage.put_back(batch, body)
    stage.send(stage.archive("design", rows_of_designs("far too long")))
    stage.serve()
    stage.mend()

    for wanted in (Wanted(row=lambda _: False), Wanted(message=lambda _: False)):
        with pytest.raises(QueueUnavailable):
            stage.replay(wanted=wanted, sqs=Deaf(stage.aws.sqs))

    assert stage.waiting("changes", dead=True) == [batch.body()]
    assert stage.open_rows() == [("design", "1")]


def test_messages_whose_cause_was_mended_are_loaded_and_gone_from_the_dead_letters(stage: Stage):
    for batch, body in lose_objects(stage, 14):
        stage.put_back(batch, body)

    tally = stage.replay()

    assert (tally.sent, tally.failed_again, tally.complete) == (14, 0, True)
    assert stage.waiting("changes", dead=True) == []
    assert len(stage.names()) == 14


def test_a_cause_that_is_not_mended_costs_its_first_few_and_the_rest_stays_where_it_was(stage: Stage):
    lose_objects(stage, 14)

    tally = stage.replay()

    assert (tally.sent, tally.failed_again) == (3, 3)
    assert "The first 3 of corrupt_object in design (changes) failed again" in (tally.stopped or "")
    replays = sorted(found.get(REPLAYS, "0") for found in stage.attributes("changes"))
    assert replays == ["0"] * 11 + ["1"] * 3


def test_what_failed_again_still_says_when_it_failed_first_and_which_run_sent_it(stage: Stage):
    lose_objects(stage, 1)
    [before] = stage.attributes("changes")

    stage.replay("run-7")

    [after] = stage.attributes("changes")
    assert (after[REPLAY], after[REPLAYS], after[REASON_CLASS]) == ("run-7", "1", "corrupt_object")
    assert after[FIRST_FAILED_AT] == before[FIRST_FAILED_AT]


def test_a_message_that_was_replayed_as_often_as_the_cap_allows_is_refused_by_name(stage: Stage):
    lose_objects(stage, 1)
    for number in range(3):
        assert stage.replay(f"run-{number}").failed_again == 1

    tally = stage.replay("run-4")

    assert (tally.sent, tally.refused, tally.complete) == (0, 1, False)
    assert len(tally.refused_ids) == 1
    assert stage.replay("run-5", wanted=Wanted(cap=4)).sent == 1


def test_quarantined_rows_are_loaded_as_a_batch_of_their_own_at_their_own_position(stage: Stage):
    stage.send(stage.archive("design", rows_of_designs("good", "too long a name", "fine", "far too long")))
    stage.serve()
    assert stage.open_rows() == [("design", "2"), ("design", "4")]
    stage.mend()

    tally = stage.replay()

    assert (tally.sent, tally.complete) == (2, True)
    assert stage.open_rows() == []
    assert stage.names() == ["far too long", "fine", "good", "too long a name"]
    books = stage.rows("SELECT origin, revision, page, rows, quarantined FROM _load_batch ORDER BY loaded_at")
    assert books == [["poll", 5, 1, 2, 2], ["replay", 5, 1, 2, 0]]
    assert len(stage.rows("SELECT DISTINCT as_of FROM _load_batch")) == 1


def test_rows_that_fail_again_are_quarantined_again_and_refused_beyond_the_cap(stage: Stage):
    stage.send(stage.archive("design", rows_of_designs("far too long")))
    stage.serve()

    for number in range(3):
        tally = stage.replay(f"run-{number}")
        assert (tally.sent, tally.failed_again) == (1, 1)
        assert "failed again" in (tally.stopped or "")
        assert stage.open_rows() == [("design", "1")]
    refused = stage.replay("run-4")

    assert (refused.sent, refused.refused) == (0, 1)
    stage.mend()
    assert stage.replay("run-5", wanted=Wanted(cap=4)).complete
    assert stage.names() == ["far too long"]


def test_the_newest_version_of_a_row_stays_when_an_older_one_comes_out_of_the_quarantine(stage: Stage):
    stage.send(stage.archive("design", rows_of_designs("far too long"), revision=5))
    stage.serve()
    stage.send(stage.archive("design", rows_of_designs("short"), revision=9))
    stage.serve()
    stage.mend()

    assert stage.replay().complete

    assert stage.names() == ["short"]


def test_of_passing_rows_alone_the_others_stay_open(stage: Stage):
    stage.send(stage.archive("design", rows_of_designs("far too long", "a name too long")))
    stage.serve()
    stage.mend()

    tally = stage.replay(wanted=Wanted(passing_rows=lambda _found: {1}))

    assert (tally.sent, tally.still_failing, tally.complete) == (1, 1, True)
    assert (stage.names(), stage.open_rows()) == (["a name too long"], [("design", "1")])


def test_of_passing_messages_alone_the_others_stay_parked(stage: Stage):
    made = lose_objects(stage, 5)
    for batch, body in made:
        stage.put_back(batch, body)
    refused = made[0][0].id

    tally = stage.replay(wanted=Wanted(passes=lambda message: message.batch != refused))

    assert (tally.sent, tally.still_failing) == (4, 1)
    assert [ChangeBatch.model_validate_json(body).id for body in stage.waiting("changes", dead=True)] == [refused]


def test_only_what_is_wanted_is_sent_and_the_rest_is_visible_again(stage: Stage):
    lose_objects(stage, 12)

    tally = stage.replay(wanted=Wanted(message=lambda _message: False))

    assert tally.sent == 0
    assert stage.queue("changes", dead=True).depth().visible == 12


def test_a_limit_counts_messages_and_rows(stage: Stage):
    for batch, body in lose_objects(stage, 4):
        stage.put_back(batch, body)
    stage.send(stage.archive("design", rows_of_designs("far too long", "a name too long", "longer still")))
    stage.serve()
    stage.mend()

    first, second = (stage.replay(f"run-{number}", task=Task(limit=5)) for number in range(2))

    assert (first.sent, second.sent) == (5, 2)
    assert len(stage.names()) == 7


def test_a_look_sends_nothing_and_counts_each_group(stage: Stage):
    lose_objects(stage, 12)
    stage.send(stage.archive("design", rows_of_designs("far too long")))
    stage.serve()

    found = {(group.place, group.cause, verdict): count for (group, verdict), count in stage.plan().items()}

    assert found[("changes", "corrupt_object", Verdict.SEND)] == 12
    assert sum(found.values()) == 13
    assert stage.waiting("changes") == []
    assert stage.queue("changes", dead=True).depth().visible == 12


def test_a_pipeline_that_does_not_live_is_told_and_gets_no_more_than_the_first_few(stage: Stage):
    lose_objects(stage, 14)
    stage.while_waiting = lambda: None

    tally = stage.replay()

    assert (tally.sent, len(stage.waiting("changes"))) == (3, 3)
    assert "neither loaded nor back" in (tally.stopped or "")
    assert stage.seconds >= 60


def test_a_rate_is_kept(stage: Stage):
    for batch, body in lose_objects(stage, 13):
        stage.put_back(batch, body)

    stage.replay(task=Task(rate=2.0))

    assert stage.seconds >= 10 / 2.0


def test_a_cause_that_is_mended_for_some_stops_the_run_when_more_than_a_few_fail_again(stage: Stage):
    for batch, body in lose_objects(stage, 60)[:8]:
        stage.put_back(batch, body)

    tally = stage.replay(task=Task(most_ahead=10))

    assert "that were sent failed again: mend the cause first" in (tally.stopped or "")
    assert 8 < tally.sent <= 30
    assert len(stage.waiting("changes", dead=True)) + len(stage.names()) == 60


def test_few_that_fail_again_among_many_that_pass_do_not_stop_the_run(stage: Stage):
    made = lose_objects(stage, 60)
    for batch, body in made[:30] + made[33:]:
        stage.put_back(batch, body)

    tally = stage.replay(task=Task(most_ahead=10))

    assert (tally.sent, tally.failed_again, tally.stopped) == (60, 3, None)
    assert not tally.complete
    assert len(stage.names()) == 57


def test_no_more_is_under_way_than_the_pipeline_takes(stage: Stage):
    for batch, body in lose_objects(stage, 40):
        stage.put_back(batch, body)
    most = 0

    def look(_tally: object) -> None:
        nonlocal most
        most = max(most, len(stage.waiting("changes")))

    assert stage.replay(task=Task(most_ahead=10), progress=look).sent == 40
    assert most <= 20


def test_a_message_nobody_can_read_is_tried_like_any_other(stage: Stage):
    stage.send("no batch at all")
    stage.serve()

    tally = stage.replay()

    assert (tally.sent, tally.failed_again) == (1, 1)
    assert stage.waiting("changes", dead=True) == ["no batch at all"]


def test_a_feed_without_a_star_table_is_replayed_too_though_the_books_never_tell_of_it(stage: Stage):
    assert FEEDS["department"].star is None
    batch, body = changed("department", [row("department")])
    stage.send(batch)
    stage.serve()
    stage.put_back(batch, body)

    tally = stage.replay()

    assert (tally.sent, tally.complete) == (1, True)
    assert stage.waiting("changes", dead=True) == []


def test_a_load_batch_that_fails_after_its_change_batch_was_replayed_counts_as_failed_again(stage: Stage):
    made = lose_objects(stage, 4)
    for batch, body in made:
        stage.put_back(batch, body)

    def break_on_the_way() -> None:
        """The transform works, and what it wrote is damaged before the loader reads it."""
        stage.serve_transform()
        for key in stage.objects_in(stage.aws.processed, "dim_design/"):
            stage.aws.s3.put_object(Bucket=stage.aws.processed, Key=key, Body=b"damaged")
        stage.serve()

    stage.while_waiting = break_on_the_way
    tally = stage.replay()

    assert (tally.sent, tally.failed_again) == (3, 3)
    assert len(stage.waiting("loads", dead=True)) == 3


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_rows_that_the_archive_does_not_give_back_stay_open_and_hold_nobody_up(stage: Stage, harm: str):
    batches = [
        stage.archive("design", rows_of_designs("far too long", first=1)),
        stage.archive("design", rows_of_designs("a name too long", first=2)),
    ]
    stage.send(*batches)
    stage.serve()
    stage.mend()
    key = batches[0].data.object.key
    stage.aws.s3.delete_object(Bucket=stage.aws.archive, Key=key)
    if harm == "damaged":
        stage.aws.s3.put_object(Bucket=stage.aws.archive, Key=key, Body=b"?", Metadata={"envelope": batches[0].body()})

    tally = stage.replay()

    assert (tally.sent, tally.unreadable, tally.complete) == (1, 1, False)
    assert (stage.names(), stage.open_rows()) == (["a name too long"], [("design", "1")])
