"""Read a heartbeat that came over a queue, for each stage that it passes. Pure.

Invariant: what is no heartbeat as its poller made it is refused with a reason, so that it is parked; none is mended.
"""

from pydantic import ValidationError

from contracts.messages import Heartbeat
from shared.errors import MalformedMessage


def read_heartbeat(body: str) -> Heartbeat:
    """The heartbeat in a message's body. Raises MalformedMessage."""
    try:
        return Heartbeat.model_validate_json(body)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the message"
        raise MalformedMessage(f"Expected a heartbeat, found one where {place} is wrong: {first['msg']}.") from exc
