"""The batch loop of a queue's consumer: the only place that catches, and decides what becomes of a message.

A message is done, handed back, or parked with its reason; never dropped. Handed back messages become visible after a
delay that grows with their receive count. A second delivery is handled like the first: the handlers are idempotent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.errors import ContractViolation, PipelineError, QueueUnavailable
from shared.queues import Queue
from shared.telemetry import Logger

FIRST_DELAY_SECONDS = 2
LONGEST_DELAY_SECONDS = 900
"""Together with the queue's maxReceiveCount, the delays outlast a 12-hour outage (see delay_seconds)."""

Answer = dict[str, list[dict[str, str]]]
Event = Mapping[str, Any]


@dataclass(frozen=True)
class Delivery:
    """One received message: its id on the queue, receipt handle, receives so far, body, its sender's attributes."""

    message_id: str
    receipt_handle: str
    receive_count: int
    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)


Failures = Mapping[str, PipelineError]
"""Message id -> why it was not handled; a message without an entry is done."""


def deliveries(event: Event) -> list[Delivery]:
    """The messages of a Lambda event from SQS."""
    return [
        Delivery(
            record["messageId"],
            record["receiptHandle"],
            int(record["attributes"]["ApproximateReceiveCount"]),
            record["body"],
            {name: each.get("stringValue", "") for name, each in record.get("messageAttributes", {}).items()},
        )
        for record in event["Records"]
    ]


def delay_seconds(receive_count: int) -> int:
    """2, 4, 8 … up to 900 seconds: a short fault costs little, a long one does not use up the receives."""
    return int(min(FIRST_DELAY_SECONDS * 2 ** (receive_count - 1), LONGEST_DELAY_SECONDS))


def consume(
    event: Event,
    handle: Callable[[Sequence[Delivery]], Failures],
    *,
    queue: Queue,
    dead_letters: Queue,
    log: Logger,
) -> Answer:
    """Handle a batch and answer with the messages to be kept (ReportBatchItemFailures).

    A contract violation is parked at once; anything else stays on the queue and comes back later.
    """
    received = deliveries(event)
    by_id = {delivery.message_id: delivery for delivery in received}
    kept = [
        {"itemIdentifier": message_id}
        for message_id, error in handle(received).items()
        if not _settle(by_id[message_id], error, queue=queue, dead_letters=dead_letters, log=log)
    ]
    return {"batchItemFailures": kept}


def _settle(delivery: Delivery, error: PipelineError, *, queue: Queue, dead_letters: Queue, log: Logger) -> bool:
    """Park or hand back one message; True if the queue may delete it.

    Where SQS refuses even that, the message stays and its neighbours are not held up: it comes back when its
    visibility times out.
    """
    try:
        if isinstance(error, ContractViolation):
            park(delivery, error, dead_letters=dead_letters, log=log)
            return True
        hand_back(delivery, error, queue=queue, log=log)
    except QueueUnavailable as exc:
        log.warning("left to its visibility timeout", reason=str(exc), message_id=delivery.message_id)
    return False


def park(delivery: Delivery, error: ContractViolation, *, dead_letters: Queue, log: Logger) -> None:
    """Send the message to the dead-letter queue with its reason; the loop then lets the queue delete the original."""
    log.error("parked", reason=str(error), reason_class=error.reason_class, message_id=delivery.message_id)
    attributes = {"reason": str(error), "reason_class": error.reason_class, "receives": str(delivery.receive_count)}
    dead_letters.park(delivery.body, attributes)


def hand_back(delivery: Delivery, error: PipelineError, *, queue: Queue, log: Logger) -> None:
    """Leave the message on its queue, to come back after a growing delay."""
    delay = delay_seconds(delivery.receive_count)
    log.warning("handed back", reason=str(error), message_id=delivery.message_id, delay_seconds=delay)
    queue.put_off(delivery.receipt_handle, delay)
