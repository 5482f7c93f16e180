"""A heartbeat about once a minute, that says no more than what is stored and sent."""

from typing import Any

import pytest

from contracts.messages import Heartbeat
from shared.errors import QueueUnavailable
from tests.poller.archived import heartbeats, objects
from tests.poller.conftest import Bench, Calls, Failing, design


def beats(bench: Bench) -> list[Heartbeat]:
    return [Heartbeat.model_validate(one) for one in heartbeats(bench.aws)]


def said(heartbeat: Heartbeat) -> dict[str, tuple[Any, int]]:
    return {beat.feed: (beat.as_of, beat.page) for beat in heartbeat.data.feeds}


def test_an_idle_poller_sends_a_heartbeat_each_minute_and_archives_nothing(bench: Bench):
    poller = bench.poller("design", "staff", poll_interval_seconds=5)

    poller.run(150, bench.clock.sleep)

    found = beats(bench)
    assert len(found) == 3
    assert [said(one).keys() for one in found] == [{"design", "staff"}] * 3
    assert len({one.data.as_of for one in found}) == 3
    assert objects(bench.aws) == []


def test_a_heartbeat_says_as_of_when_each_feed_is_captured_and_which_page_comes_next(bench: Bench):
    with bench.totesys.connect() as writer:
        design(writer, 1)
    poller = bench.poller("design", "staff")

    poller.run(1, bench.clock.sleep)

    [found] = beats(bench)
    state = bench.checkpoint().feed("design")
    assert said(found) == {"design": (state.as_of, 1), "staff": (bench.checkpoint().feed("staff").as_of, 0)}
    assert found.data.as_of >= state.as_of
    assert (found.data.generation, found.data.revision) == (1, bench.checkpoint().revision)


def test_a_feed_that_is_still_being_read_for_the_first_time_claims_nothing(bench: Bench):
    with bench.totesys.connect() as writer:
        for number in range(1, 4):
            design(writer, number)
    poller = bench.poller("design", page_rows=1, pages_per_turn=1)

    poller.run(0.001, bench.clock.sleep)

    assert [said(one) for one in beats(bench)] == [{}]
    assert bench.checkpoint().feed("design").page == 3


def test_a_poller_that_was_overtaken_sends_no_heartbeat(bench: Bench):
    poller = bench.started("design")
    bench.edit_checkpoint(owner="rival")

    poller.poll()
    with pytest.raises(Exception, match="checkpoint"):
        poller._beat()

    assert beats(bench) == []


def test_a_heartbeat_that_was_not_acknowledged_is_sent_by_the_next_round(bench: Bench):
    calls = Calls(fail_at=1)
    failing = Failing(bench.aws.sqs, ("send_message_batch",), calls, lambda: QueueUnavailable("away"))
    poller = bench.poller("design", sqs=failing)
    with pytest.raises(QueueUnavailable):
        poller.run(1, bench.clock.sleep)

    poller.run(1, bench.clock.sleep)

    assert len(beats(bench)) == 1


def test_a_repair_left_unsent_takes_no_number_from_the_pages_to_come(bench: Bench):
    """Or a page of that number would never come, and nothing after it were ever proven complete."""
    with bench.totesys.connect() as writer:
        design(writer, 1)
    poller = bench.started("design")
    [key] = objects(bench.aws)
    stored = bench.aws.s3.get_object(Bucket=bench.aws.archive, Key=key)
    envelope = stored["Metadata"]["envelope"].replace('"origin":"backfill"', '"origin":"repair"')
    bench.aws.s3.put_object(
        Bucket=bench.aws.archive,
        Key=key.replace("-p0000000000-", "-p0000000001-"),
        Body=stored["Body"].read(),
        Metadata={"envelope": envelope},
    )
    poller.rest()

    assert bench.poller("design", owner="b").claim()

    assert bench.checkpoint().feed("design").page == 1
