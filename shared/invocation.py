"""What a function knows of its invocation: how long it may still take, and what time it is.

A second reading gives less of the one and more of the other.
"""

from datetime import UTC, datetime
from typing import Protocol


class Context(Protocol):
    """What is used of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended by force."""


def seconds_left(context: Context) -> float:
    """Until the invocation is ended by force."""
    return context.get_remaining_time_in_millis() / 1000


def utc_now() -> datetime:
    """By the machine's own clock, which decides nothing: it is told and measured."""
    return datetime.now(UTC)
