"""The calendar knows working hours only."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.local.simulator.working_time import next_weekday, weekday_after, working_time

MOMENTS = st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2035-01-01"))


def working_seconds(start: datetime, end: datetime) -> float:
    """The oracle: walk from day to day and add up what lies between 08:00 and 19:00 of weekdays."""
    total, day = 0.0, start.date()
    while day <= end.date():
        opens, closes = datetime.combine(day, time(8)), datetime.combine(day, time(19))
        if day.isoweekday() <= 5:
            total += max((min(end, closes) - max(start, opens)).total_seconds(), 0)
        day += timedelta(days=1)
    return total


@settings(max_examples=100, deadline=None)
@given(MOMENTS, st.integers(0, 10_000_000))
def test_the_calendar_moves_by_exactly_the_working_seconds_asked_for(start, seconds):
    end = working_time(start, seconds)

    assert working_seconds(start, end) == pytest.approx(seconds, abs=1e-3)
    assert end.isoweekday() <= 5
    assert time(8) <= end.time() < time(19)


@settings(max_examples=100, deadline=None)
@given(st.dates(date(2020, 1, 1), date(2035, 1, 1)), st.integers(1, 400))
def test_weekdays_back_and_forth_meet(day, weekdays):
    later = weekday_after(day, weekdays)

    assert sum((day + timedelta(days=n + 1)).isoweekday() <= 5 for n in range((later - day).days)) == weekdays
    assert weekday_after(later, -weekdays) == weekday_after(day, 0)


def test_the_weekday_after_a_friday_or_a_weekend_is_monday():
    friday, monday = date(2026, 1, 9), date(2026, 1, 12)

    assert {next_weekday(friday + timedelta(days=n)) for n in range(3)} == {monday}
