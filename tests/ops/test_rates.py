"""Rates are differences of what two looks saw, and none is made up."""

from services.ops.rates import WINDOW_SECONDS, Rate, Rates
from tests.ops.fakes import status_of


def status(captured: int, loaded: int, **fields: object):
    return status_of({"payment": {"rows_captured": captured, "rows_loaded": loaded}}, **fields)


def test_the_first_look_has_no_rate() -> None:
    assert Rates().add(status(5, 5), 1.0) == {}


def test_a_rate_is_rows_a_second_between_the_first_and_the_last_look_of_the_window() -> None:
    rates = Rates()
    rates.add(status(0, 0), 0.0)
    rates.add(status(500, 100), WINDOW_SECONDS)

    found = rates.add(status(520, 110), WINDOW_SECONDS + 5)

    assert found["payment"] == Rate(20 / 5, 10 / 5)
    assert found["design"] == Rate(0, 0)


def test_a_total_that_fell_is_no_rate_below_zero() -> None:
    rates = Rates()
    rates.add(status(9, 9), 0.0)

    assert rates.add(status(9, 3), 1.0)["payment"] == Rate(0, 0)


def test_totals_that_could_not_be_read_give_no_rate_and_no_leap_afterwards() -> None:
    rates = Rates()
    rates.add(status(900, 900), 0.0)

    assert rates.add(status(900, 0, notes=("The warehouse is away.",)), 1.0) == {}
    assert rates.add(status(900, 900), 2.0) == {}
