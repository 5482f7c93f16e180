"""What a deployment costs follows from topology, settings, metrics and one file of prices, and named assumptions."""

import pytest
from pydantic import ValidationError

from services.costs import model
from services.costs.model import ASSUMPTIONS, Line
from services.costs.prices import Price, prices
from services.costs.table import WATCHING, report, totals
from services.local.topology import Topology, topology


def line(what: str, described: Topology | None = None) -> Line:
    [found] = [line for line in model.lines(described or topology()) if line.what.startswith(what)]
    return found


def with_memory(memory_mb: int) -> Topology:
    poller = topology().functions["poller"].model_copy(update={"memory_mb": memory_mb})
    return topology().model_copy(update={"functions": {**topology().functions, "poller": poller}})


def test_an_idle_poller_runs_all_month_but_for_the_handover() -> None:
    month_seconds = 730 * 3600

    seconds = model.idle_seconds(topology())["poller"]

    assert 0.99 * month_seconds < seconds < 1.01 * month_seconds
    assert line("poller").idle == pytest.approx(seconds * 0.25)


def test_idling_stays_below_15_dollars_a_month_and_a_million_rows_in_bulk_below_a_cent() -> None:
    paid = [line for line in model.lines(topology()) if line.price not in WATCHING]

    idle, bulk, _ = totals(paid, prices())

    assert idle <= 15
    assert bulk <= 0.01


def test_twice_the_memory_costs_twice_as_much() -> None:
    assert line("poller", with_memory(1024)).idle == pytest.approx(2 * line("poller", with_memory(512)).idle)


def test_the_checkpoint_moves_with_every_poll_every_heartbeat_and_every_life() -> None:
    polls = 730 * 3600 / 5

    assert model.checkpoint_moves(topology()) == pytest.approx(polls + model.beats() + 3 * model.lives(topology()))


def test_every_alarm_and_every_idle_metric_is_counted() -> None:
    as_of, look_back, heartbeat = 1, 1, 1

    assert line("metrics").idle == as_of + look_back + heartbeat == model.idle_metrics()
    assert line("alarms").idle == sum(len(topology().alarmed(name)) for name in topology().alarms)
    assert line("composite").idle == 2


def test_small_batches_cost_more_than_full_ones_by_their_number_of_requests() -> None:
    queues = line("queues")

    assert queues.bulk == 6 * 20
    assert queues.trickle == 6 * 100_000


def test_every_price_in_the_file_is_used_and_every_one_used_is_in_the_file() -> None:
    used = {line.price for line in (*model.lines(topology()), *model.options(topology()))}

    assert used == set(prices().prices)


def test_every_assumption_moves_the_result(monkeypatch) -> None:
    def result() -> tuple[Line, ...]:
        return (*model.lines(topology()), *model.options(topology()))

    before = result()
    for name, assumption in ASSUMPTIONS.items():
        doubled = {**ASSUMPTIONS, name: model.Assumption(assumption.value * 2, assumption.reason)}
        monkeypatch.setattr(model, "ASSUMPTIONS", doubled)
        assert result() != before, name


def test_a_price_without_a_day_or_a_source_is_refused() -> None:
    for wrong in ({"date": "lately"}, {"source": "a friend"}, {"usd": 0}):
        with pytest.raises(ValidationError):
            Price.model_validate({"usd": 1, "unit": "x", "date": "2026-11-25", "source": "unverified", **wrong})


def test_the_total_is_the_sum_of_its_lines_and_an_unverified_price_says_so() -> None:
    idle, bulk, trickle = totals(model.lines(topology()), prices())
    printed = report(topology(), prices())

    all_else, _, _ = totals((line for line in model.lines(topology()) if line.price not in WATCHING), prices())
    assert f"**{idle:.2f}** | **{bulk:.2f}** | **{trickle:.2f}**" in printed
    assert (
        f"{idle - all_else:.2f} are CloudWatch's alarms, metrics and dashboard, and {all_else:.2f} all else." in printed
    )
    [endpoints] = [row for row in printed.splitlines() if row.startswith("| VPC")]
    assert "(unverified)" in endpoints
