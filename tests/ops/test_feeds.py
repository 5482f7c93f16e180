"""An operator pauses a feed, lets it go on, or has it read anew, while a poller lives."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.ops.cli import app
from services.ops.feeds import backfill, cost_of_reading_anew, pause, resume
from shared.checkpoint import Checkpoint, CheckpointStore, FeedState
from shared.objects import ObjectStore
from tests.conftest import Aws
from tests.conftest import Source as Totesys
from tests.poller.conftest import Bench, design


@pytest.fixture
def bench(totesys: Totesys, aws: Aws) -> Iterator[Bench]:
    made = Bench(totesys, aws)
    yield made
    made.close()


def store(aws: Aws) -> CheckpointStore:
    return CheckpointStore(ObjectStore(aws.s3), aws.control)


def keys(batches: Any, feed: str = "design") -> list[str]:
    return sorted(row[f"{feed}_id"] for batch in batches if batch.data["feed"] == feed for row in batch.rows)


def test_a_feed_read_anew_comes_whole_from_a_poller_that_rested_and_remembers_every_row(bench: Bench):
    with bench.totesys.connect() as writer:
        design(writer, 1)
        design(writer, 2)
    poller = bench.started("design", "staff")
    poller.rest()

    said = backfill(store(bench.aws), "design")

    assert poller.claim()
    found = bench.polled(poller)
    assert keys(found) == ["1", "2"]
    assert {batch.data["origin"] for batch in found} == {"backfill"}
    assert {batch.data["position"]["generation"] for batch in found} == {1}
    assert said == "Feed design is read anew, from within a minute; `totes status` shows how far it is."


def test_a_feed_read_anew_comes_whole_from_a_poller_at_work(bench: Bench):
    with bench.totesys.connect() as writer:
        design(writer, 1)
    poller = bench.started("design")
    backfill(store(bench.aws), "design")

    poller.run(30, bench.clock.sleep)

    state = bench.checkpoint().feed("design")
    assert (state.page, state.rows_captured) == (2, 2)


def test_pages_are_numbered_on_and_the_other_feeds_keep_their_place(aws: Aws):
    clock = {"clock": "2026-11-24T10:00:00Z", "xmax": 5}
    known = FeedState.model_validate({"polled": clock, "scanned": clock, "page": 7, "as_of": clock["clock"]})
    store(aws).move(Checkpoint(owner="a", generation=3, feeds={"design": known, "staff": known}))

    backfill(store(aws), "design")

    found = store(aws).load()
    assert (found.owner, found.generation, found.feed("staff")) == ("", 3, known)
    assert (found.feed("design").polled, found.feed("design").page) == (None, 7)


def test_the_cost_of_reading_anew_is_said_before_it_is_paid(aws: Aws):
    store(aws).move(Checkpoint(feeds={"design": FeedState(rows_captured=1_200, paused=True)}))

    said = cost_of_reading_anew(store(aws), "design")

    assert "(1,200 rows were captured so far)" in said
    assert said.endswith("It begins when the feed goes on: it is paused or stopped.")


def test_pausing_and_resuming_say_what_they_came_to(aws: Aws):
    assert pause(store(aws), "design").startswith("Feed design is paused.")
    assert pause(store(aws), "design") == "Feed design was paused already."
    assert pause(store(aws), None).startswith("The poller is paused.")
    assert store(aws).load().paused

    assert resume(store(aws), "staff") == (
        "Feed staff was not paused. The poller as a whole is still paused. Still paused: design."
    )
    assert resume(store(aws), None) == "The poller goes on where it was, within a minute. Still paused: design."
    assert resume(store(aws), "design") == "Feed design goes on where it was, within a minute."
    assert not store(aws).load().paused
    assert not store(aws).load().feed("design").paused


def totes(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="totes")


@pytest.mark.parametrize("command", ["pause", "resume", "backfill"])
def test_a_feed_that_does_not_exist_is_named_before_anything_is_asked_of_a_stack(command: str, tmp_path: Any):
    answer = totes(command, "orders", "--state-dir", str(tmp_path))

    assert answer.exit_code == 2
    assert answer.stderr.startswith("Expected one of the feeds currency, payment_type, department")


@pytest.mark.parametrize("command", [("pause",), ("resume", "design"), ("backfill", "design", "--yes")])
def test_without_a_stack_there_is_nothing_to_pause(command: tuple[str, ...], tmp_path: Any):
    answer = totes(*command, "--state-dir", str(tmp_path))

    assert answer.exit_code == 3
    assert answer.stderr.startswith("Expected a running stack")
