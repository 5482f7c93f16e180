"""Changes are spread evenly, and a rate is kept over any long while."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.local.simulator.pace import Pace

START = datetime(2026, 1, 7, tzinfo=UTC)


def spend_all(pace: Pace, transactions: list[int], surprise: int = 0) -> datetime:
    """The moment the last transaction's time is over, if each begins when it is due."""
    now = START
    for changes in transactions:
        now += max(pace.wait(now), timedelta())
        pace.spend(changes, now)
        pace.owe(surprise)
        surprise = 0
    return now + pace.wait(now)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=200))
def test_a_transaction_waits_for_the_time_of_the_changes_before_it(transactions):
    end = spend_all(Pace(10), transactions)

    assert end - START == timedelta(seconds=sum(transactions) / 10)


def test_a_burst_nobody_foresaw_slows_the_others_down_to_half_until_it_is_repaid():
    pace = Pace(10)

    early = spend_all(pace, [1] * 11, surprise=50)

    assert early - START == timedelta(seconds=(11 + 10) / 10)
    assert spend_all(Pace(10), [1] * 100, surprise=50) - START == timedelta(seconds=(100 + 50) / 10)


def test_an_outage_is_not_made_up_for_in_a_burst():
    pace = Pace(10)
    pace.spend(1, START)
    back = START + timedelta(hours=1)

    pace.spend(1, back)

    assert pace.wait(back) == timedelta(seconds=0.1)


def test_a_slow_commit_is_made_up_for():
    pace = Pace(10)
    pace.spend(1, START)
    late = START + timedelta(seconds=0.5)

    pace.spend(1, late)

    assert pace.wait(late) == timedelta(seconds=-0.3)
