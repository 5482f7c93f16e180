"""Spread changes evenly over time. Pure: `now` is an argument.

Invariant: over any long while, changes per second are the rate asked for, if the database can keep up; what it
could not do is forgotten rather than made up for in one burst.
"""

from datetime import UTC, datetime, timedelta

CATCH_UP = timedelta(seconds=1)
"""How much delay is made up for: more than a slow commit, less than an outage."""


class Pace:
    """Says when the next transaction may begin. Changes nobody foresaw (the payment job's) are repaid bit by bit."""

    def __init__(self, changes_per_second: float) -> None:
        self._seconds_per_change = 1 / changes_per_second
        self._due = datetime.min.replace(tzinfo=UTC)
        self._debt = 0

    def wait(self, now: datetime) -> timedelta:
        """How long until the next transaction is due; not positive if it is due now."""
        return self._due - now

    def spend(self, changes: int, now: datetime) -> None:
        """A transaction of so many changes begins: the next is due after their time, twice that while in debt."""
        repaid = min(self._debt, changes)
        self._debt -= repaid
        seconds = (changes + repaid) * self._seconds_per_change
        start = self._due if now - self._due < CATCH_UP else now
        self._due = start + timedelta(seconds=seconds)

    def owe(self, changes: int) -> None:
        """A transaction made so many more changes (fewer, if negative) than it began with."""
        self._debt += changes
