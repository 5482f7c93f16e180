"""How far back a poll must read is seen before it is felt: as a metric, and in `totes status`."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from services.poller import reading
from shared.checkpoint import Horizon
from shared.telemetry import emit_seconds
from tests.conftest import Aws, Source
from tests.poller.archived import receive
from tests.poller.conftest import Bench, design
from tests.poller.test_handler import Context, environment, handler

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


def emitted(printed: str) -> dict[tuple[str, ...], float]:
    """Metric lines by service and feed."""
    lines = [json.loads(line) for line in printed.splitlines() if "_aws" in line]
    assert {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in lines} <= {"totes"}
    found = {}
    for line in lines:
        [dimensions] = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
        found[tuple(line[name] for name in ("service", "feed") if name in dimensions)] = line["look_back_seconds"][0]
    assert len(found) == len(lines)
    return found


def test_each_feed_has_a_line_and_the_greatest_of_all_has_one(capsys: pytest.CaptureFixture[str]):
    emit_seconds("poller", "look_back_seconds", {"design": 2.5, "payment": 3600.0})

    assert emitted(capsys.readouterr().out) == {
        ("poller",): 3600.0,
        ("poller", "design"): 2.5,
        ("poller", "payment"): 3600.0,
    }


def test_an_invocation_emits_once_however_often_it_polls(
    environment: Aws, totesys: Source, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("TOTES_POLL_LIFETIME_SECONDS", "1")
    monkeypatch.setenv("TOTES_POLL_INTERVAL_SECONDS", "0.01")

    handler.handler({}, Context(900))
    capsys.readouterr()
    polls = handler.handler({}, Context(900))["polls"]
    found = emitted(capsys.readouterr().out)

    assert polls > 1
    assert len(found) == len(handler._poller().checkpoint.feeds) + 1


def test_the_embedded_stack_emits_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")

    emit_seconds("poller", "look_back_seconds", {"design": 2.5})

    assert capsys.readouterr().out == ""
