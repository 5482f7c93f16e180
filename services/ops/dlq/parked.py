"""A message in a dead-letter queue, as far as it can be read, whatever it is. Pure.

Invariant: any body and any attributes make one; what is not plainly there is None, never a guess and never an error.
The id is the same at every look as long as the message lies there; a replayed message that is parked again has another.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from shared import parking
from shared.objects import sha256
from shared.queues import Received

ID_CHARACTERS = 10
"""Of a digest in hex: two of 10,000 messages share it once in 20,000 looks, and then the id names both."""
OTHER = "other"
"""The cause of a message whose attribute for it is no word: it was not parked by us."""
NO_REASON = "SQS gave up on it after its last receive: its function died or never answered, so no reason was written."
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""A feed, a cause: anything else in their place would only spoil the list."""
_BATCH_CHARACTERS = 200
_CONTRACTS = range(1, 2**31)


@dataclass(frozen=True)
class Parked:
    """One parked message. `queue` is the work queue's name in the topology, `batch` the id of its change batch.

    `parked_at` is the dead-letter queue's clock, except of a message that SQS redrove itself: that keeps the time at
    which it was first sent. `receives` are those of the work queue, or, where nobody wrote them down, SQS's own count,
    which every look raises.
    """

    queue: str
    id: str
    message_id: str
    receipt_handle: str
    body: str
    attributes: Mapping[str, str]
    cause: str
    reason: str
    feed: str | None
    contract: int | None
    batch: str | None
    parked_at: datetime
    first_failed_at: datetime
    receives: int
    replays: int

    @property
    def at(self) -> datetime:
        """What --since and --until look at."""
        return self.parked_at


@dataclass(frozen=True)
class Glimpse:
    """What a body says of feed, contract and change batch, if it is a batch at all."""

    feed: str | None = None
    contract: int | None = None
    batch: str | None = None


def of(queue: str, message: Received) -> Parked:
    """The parked message that was received from the dead-letter queue of the work queue `queue`."""
    attributes, seen = message.attributes, glimpse(message.body)
    return Parked(
        queue=queue,
        id=id_of(queue, message.message_id),
        message_id=message.message_id,
        receipt_handle=message.receipt_handle,
        body=message.body,
        attributes=attributes,
        cause=_word(parking.cause_of(attributes)) or OTHER,
        reason=attributes.get(parking.REASON, NO_REASON),
        feed=seen.feed,
        contract=seen.contract,
        batch=seen.batch,
        parked_at=message.sent_at,
        first_failed_at=_moment(attributes.get(parking.FIRST_FAILED_AT, "")) or message.sent_at,
        receives=_count(attributes.get(parking.RECEIVES, "")) or message.receive_count,
        replays=_count(attributes.get(parking.REPLAYS, "")),
    )


def id_of(queue: str, message_id: str) -> str:
    """`c-…` or `l-…`: the queue's initial and a digest of queue and message id."""
    return f"{queue[0]}-{sha256(f'{queue}/{message_id}'.encode())[:ID_CHARACTERS]}"


def glimpse(body: str) -> Glimpse:
    """Look into a body that may be anything."""
    try:
        message = from_json(body)
    except ValueError:
        return Glimpse()
    data = _dict(_dict(message).get("data"))
    contract = _dict(data.get("position")).get("contract")
    return Glimpse(
        feed=_word(data.get("feed")),
        contract=contract if type(contract) is int and contract in _CONTRACTS else None,
        batch=_batch(data.get("change_batch", _dict(message).get("id"))) if data else None,
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _batch(value: Any) -> str | None:
    fits = isinstance(value, str) and value.isascii() and value.isprintable() and 0 < len(value) <= _BATCH_CHARACTERS
    return value if fits else None


def _count(text: str) -> int:
    """A count in an attribute; 0 where there is none."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def _moment(text: str) -> datetime | None:
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None
