"""What a parked message says of itself: the attributes it carries in a dead-letter queue. Pure.

Invariant: a message parked again after a replay still says when it failed first, how often it was replayed and by which
run. Parking one delivery twice writes the same attributes, except the receives and, where it never failed before, the
time. A message that SQS redrove itself (its receives used up, its function killed each time) carries none.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from shared.errors import ContractViolation

REASON = "reason"
"""The sentence for the operator."""
REASON_CLASS = "reason_class"
"""The cause in one word, to group by."""
RECEIVES = "receives"
"""How often the message had been received from its work queue when it was parked."""
FIRST_FAILED_AT = "first_failed_at"
"""When it was first parked (RFC 3339); kept over replays."""
REPLAYS = "replays"
"""How often it was replayed; absent where it never was."""
REPLAY = "replay"
"""Which replay run sent it last."""

CARRIED_OVER = (REPLAYS, REPLAY, FIRST_FAILED_AT)
"""What a replayed message brings to its work queue and keeps when it is parked again."""

RECEIVES_EXHAUSTED = "receives_exhausted"
"""The cause of messages that SQS redrove by itself."""


class Delivered(Protocol):
    """A received message, as far as parking looks at it."""

    @property
    def receive_count(self) -> int:
        """Receives so far, this one among them."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """What its sender gave it."""


def attributes_of(error: ContractViolation, delivery: Delivered, now: datetime) -> dict[str, str]:
    """What the message carries into the dead-letter queue."""
    carried = {name: delivery.attributes[name] for name in CARRIED_OVER if name in delivery.attributes}
    return {
        REASON: str(error),
        REASON_CLASS: error.reason_class,
        RECEIVES: str(delivery.receive_count),
        FIRST_FAILED_AT: now.astimezone(UTC).isoformat(),
        **carried,
    }


def cause_of(attributes: Mapping[str, str]) -> str:
    """Why a message is parked, in one word."""
    return attributes.get(REASON_CLASS, RECEIVES_EXHAUSTED)
