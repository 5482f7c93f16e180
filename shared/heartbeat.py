"""Read a heartbeat that came over a queue, for each stage that it passes. Pure.

Invariant: what is no heartbeat as its poller made it is refused with a reason, so that it is parked; none is mended.
"""

from contracts.messages import Heartbeat
from shared.reading import read


def read_heartbeat(body: str) -> Heartbeat:
    """The heartbeat in a message's body. Raises MalformedMessage, NewerThanCode."""
    return read(Heartbeat, body, "a heartbeat")
