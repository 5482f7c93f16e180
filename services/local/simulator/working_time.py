"""The calendar of a business that works 08:00 to 19:00 on weekdays. Pure: no clock.

Invariant: every moment it gives lies in working hours; nights and weekends take no time, so that changes stay
evenly spread however fast the calendar runs.
"""

from datetime import date, datetime, time, timedelta

OPENS = time(8)
DAY_SECONDS = 11 * 3600
"""08:00 to 19:00: no order of the real source lies outside."""
_WEEK = 5


def next_weekday(day: date) -> date:
    """The first weekday after this day."""
    return weekday_after(day, 1)


def weekday_after(day: date, weekdays: int) -> date:
    """The day so many weekdays later, or earlier if negative; a weekend counts as the Friday before it."""
    weeks, weekday = divmod(min(day.weekday(), _WEEK - 1) + weekdays, _WEEK)
    return day + timedelta(days=7 * weeks + weekday - day.weekday())


def working_time(start: datetime, seconds: float) -> datetime:
    """The moment so many working seconds after `start`; both without time zone.

    A start outside working hours counts as the next opening.
    """
    opened = _in_working_hours(start)
    into_day = (opened - datetime.combine(opened.date(), OPENS)).total_seconds()
    days, rest = divmod(into_day + seconds, DAY_SECONDS)
    return datetime.combine(weekday_after(opened.date(), int(days)), OPENS) + timedelta(seconds=rest)


def _in_working_hours(moment: datetime) -> datetime:
    """The moment itself, or the next opening."""
    opening = datetime.combine(moment.date(), OPENS)
    if moment.weekday() < _WEEK and moment < opening + timedelta(seconds=DAY_SECONDS):
        return max(moment, opening)
    return datetime.combine(next_weekday(moment.date()), OPENS)
