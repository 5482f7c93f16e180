"""How far back a poll must read is seen before it is felt: as a metric, and in `totes status`."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from services.poller import reading
from services.poller.measured import measured
from services.poller.poller import Summary
from shared.checkpoint import Checkpoint, FeedState, Horizon
from tests.conftest import Aws, Source
from tests.poller.archived import receive
from tests.poller.conftest import Bench, design
from tests.poller.test_handler import Context, environment, handler
from tests.shared.emf import metrics_in

__all__ = ["environment"]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def horizon(**starts: datetime) -> Horizon:
    return Horizon(clock=NOON, xmax=9, open={name.replace("_", "/"): start for name, start in starts.items()})


@pytest.mark.parametrize(
    ("base", "seconds"),
    [
        (None, None),
        (horizon(), 5),
        (horizon(v3_7=NOON - HOUR), 3605),
        (horizon(v3_7=NOON - HOUR, p17=NOON - 2 * HOUR), 7205),
        (horizon(x17=NOON - HOUR), 5),
        (horizon().model_copy(update={"clock": NOON + HOUR}), 0),
        (horizon(v3_7=reading.NO_LOWER_BOUND), None),
    ],
    ids=[
        "never polled",
        "nothing open",
        "an hour",
        "prepared",
        "an id met twice",
        "a clock set back",
        "no known start",
    ],
)
def test_the_look_back_is_as_old_as_the_oldest_transaction_open(base: Horizon | None, seconds: float | None):
    assert reading.look_back_seconds(base, NOON + timedelta(seconds=5)) == seconds


def an_hour_older(bench: Bench) -> None:
    """As if every transaction that the checkpoint knows to be open had begun an hour earlier."""
    feeds = bench.checkpoint().model_dump(mode="json")["feeds"]
    for state in feeds.values():
        begun = {name: datetime.fromisoformat(start) - HOUR for name, start in state["polled"]["open"].items()}
        state["polled"]["open"] = {name: start.isoformat() for name, start in begun.items()}
    bench.edit_checkpoint(feeds=feeds)


@pytest.mark.parametrize("first", ["SELECT now()", "INSERT INTO currency (currency_code) VALUES ('GBP')"])
def test_a_transaction_open_for_an_hour_stalls_no_feed_and_its_age_is_seen_to_grow(bench: Bench, first: str):
    before = bench.started("design", scan_max_rows=0)
    late = bench.writer()
    late.run("BEGIN")
    late.run(first)
    bench.drain(before)
    before.rest()
    an_hour_older(bench)
    poller = bench.poller("design", owner="heir", scan_max_rows=0)

    ages, sent, as_of = [], [], []
    for number in range(1, 4):
        design(bench.writer(), number)
        ages.append(poller.run(1, bench.clock.sleep).look_back_seconds["design"])
        sent += [row["design_id"] for batch in receive(bench.aws) for row in batch.rows]
        as_of.append(poller.checkpoint.feed("design").as_of)
    design(late, 9, at=str(datetime.now(UTC).replace(tzinfo=None) - HOUR / 2))
    late.run("COMMIT")
    poller.run(1, bench.clock.sleep)
    found = [row["design_id"] for batch in receive(bench.aws) for row in batch.rows]

    assert ages == sorted(set(ages))
    assert ages[0] > HOUR.total_seconds()
    assert (sent, as_of) == (["1", "2", "3"], sorted(set(as_of)))
    assert found == ["9"]
    assert poller.run(1, bench.clock.sleep).look_back_seconds["design"] < HOUR.total_seconds()


def test_an_idle_invocation_measures_what_ages_once_however_often_it_polls_and_no_feed_by_itself(
    environment: Aws, totesys: Source, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("TOTES_POLL_LIFETIME_SECONDS", "1")
    monkeypatch.setenv("TOTES_POLL_INTERVAL_SECONDS", "0.01")

    handler.handler({}, Context(900))
    capsys.readouterr()
    polls = handler.handler({}, Context(900))["polls"]
    found = metrics_in(capsys.readouterr().out)

    assert polls > 1
    assert {of: len(values) for of, values in found.items()} == {
        ("look_back_seconds", "poller", ""): 1,
        ("as_of_age_seconds", "poller", ""): 1,
    }


def test_captured_rows_are_counted_by_feed(
    environment: Aws, totesys: Source, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("TOTES_POLL_LIFETIME_SECONDS", "2")
    with totesys.connect() as connection:
        design(connection, 1)
        design(connection, 2)

    handler.handler({}, Context(900))

    found = metrics_in(capsys.readouterr().out)
    assert {name: values for name, values in found.items() if name[0] == "rows_captured"} == {
        ("rows_captured", "poller", ""): [2],
        ("rows_captured", "poller", "design"): [2],
    }


def test_the_age_of_a_feed_grows_from_its_as_of_although_nothing_was_polled():
    checkpoint = Checkpoint(feeds={"design": FeedState(as_of=NOON), "payment": FeedState()})

    found = measured(Summary(owner=True), checkpoint, NOON + HOUR)

    assert found == {"": {"as_of_age_seconds": 3600}, "design": {"as_of_age_seconds": 3600}}


def test_the_oldest_feed_is_measured_for_all_and_only_a_late_one_for_itself():
    late, early = NOON - timedelta(seconds=61), NOON - timedelta(seconds=60)
    checkpoint = Checkpoint(feeds={"design": FeedState(as_of=early), "payment": FeedState(as_of=late)})
    summary = Summary(owner=True, look_back_seconds={"design": 3605.0, "payment": 5.0}, rows_captured=Counter(staff=2))

    found = measured(summary, checkpoint, NOON)

    assert found == {
        "": {"as_of_age_seconds": 61, "look_back_seconds": 3605},
        "design": {"look_back_seconds": 3605},
        "payment": {"as_of_age_seconds": 61},
    }


def test_a_feed_that_was_captured_has_its_rows_and_of_a_poller_that_knows_none_nothing_is_said():
    checkpoint = Checkpoint(feeds={"design": FeedState()})

    assert measured(Summary(owner=True), checkpoint, NOON) == {}
    assert measured(Summary(owner=True, rows_captured=Counter(design=2)), checkpoint, NOON) == {
        "design": {"rows_captured": 2}
    }


def test_a_poller_that_was_not_the_owner_measures_nothing():
    assert measured(Summary(), Checkpoint(feeds={"design": FeedState(as_of=NOON)}), NOON) == {}
