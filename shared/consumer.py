"""The batch loop of a queue's consumer: the only place that catches, and decides what becomes of a message.

A message is done, handed back, or parked with its reason; never dropped. Handed back messages become visible after a
delay that grows with their receive count. A second delivery is handled like the first: the handlers are idempotent.

A message that kills its function leaves one trace: it has been received before. So have its neighbours, which are
innocent, and the next kill would charge them all again. Invariant: whatever was received before is tried alone and
after everything fresh, in an order that is drawn, and what is done by then is deleted first. So an innocent message
beside n killers passes with a chance of 1 in n + 1 at each receive, and a killer is soon received alone. (The least
received first would be worse: a killer received less often than its neighbours would be before them for ever.) A
timeout is such a kill: where the invocation is nearly over nothing more is begun, and what was not tried goes back at
once.

Powertools' BatchProcessor is not used: it calls a function for each record and answers when all were called, but the
loader loads a group of messages in one transaction, and a suspect may be tried only when what is done is deleted. Nor
is its Tracer: aws_xray_sdk takes 0.11 s to import beside the 0.33 s of everything a function imports at its cold start,
and knows nothing of pg8000. What joins the stages is the change batch's id, in every line of the log about a batch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import SystemRandom
from typing import Any

from contracts.messages import change_batch_id
from shared import parking
from shared.errors import ContractViolation, NotTried, PipelineError, QueueUnavailable
from shared.invocation import utc_now
from shared.queues import Queue
from shared.telemetry import Logger, emit

LARGEST_SHARE_RESERVED = 0.6
"""Of the time there is at the beginning: where a function is given little, it still does more than one message."""
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
InTime = Callable[[], bool]
"""Asked before each message or group is begun: whether there is time for it."""
Handle = Callable[[Sequence[Delivery], InTime], Failures]
"""Does a service's work; what there is no time for fails with `no_time()`."""


def always() -> bool:
    """Time does not matter: nobody ends this by force."""
    return True


def no_time() -> NotTried:
    """The failure of a message for which no time was left."""
    return NotTried("Expected time for one more message, found the invocation nearly over: it is tried in another.")


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


def delay_for(error: PipelineError, receive_count: int) -> int:
    """None for what was not tried, unless this goes on so long that it would use up the receives."""
    delay = delay_seconds(receive_count)
    return 0 if isinstance(error, NotTried) and delay < LONGEST_DELAY_SECONDS else delay


def in_turn(received: Sequence[Delivery], draw: Callable[[], float]) -> list[list[Delivery]]:
    """What is tried together, one after the other: all that is fresh, then each suspect alone, in the order drawn."""
    fresh = [delivery for delivery in received if delivery.receive_count == 1]
    suspects = [delivery for delivery in received if delivery.receive_count > 1]
    return [fresh] * bool(fresh) + [[suspect] for suspect in sorted(suspects, key=lambda _: draw())]


class Allowance:
    """The time of one invocation. The first message is always tried, or a reserve too large would stop everything."""

    def __init__(self, seconds_left: Callable[[], float], reserve_seconds: float) -> None:
        """Take how long the invocation may still take, and how much of it the work begun last may need."""
        self._seconds_left = seconds_left
        self._reserve_seconds = min(reserve_seconds, LARGEST_SHARE_RESERVED * seconds_left())
        self._begun = False

    def another(self) -> bool:
        """Whether one more message or group may be begun."""
        begun, self._begun = self._begun, True
        return not begun or self._seconds_left() >= self._reserve_seconds


@dataclass(frozen=True)
class Consumer:
    """One queue's consumer: the work, the queue it comes from, and where it is parked."""

    handle: Handle
    queue: Queue
    dead_letters: Queue
    log: Logger
    reserve_seconds: float
    """What a message or group takes at the most, as far as it can be known: none is begun with less time left."""
    draw: Callable[[], float] = SystemRandom().random
    now: Callable[[], datetime] = utc_now

    def consume(self, event: Event, seconds_left: Callable[[], float]) -> Answer:
        """Handle a batch and answer with the messages to be kept (ReportBatchItemFailures).

        A contract violation is parked at once; anything else stays on the queue and comes back later.
        """
        allowance = Allowance(seconds_left, self.reserve_seconds)
        kept: list[str] = []
        done: list[Delivery] = []
        for received in in_turn(deliveries(event), self.draw):
            self._delete(done)
            failures = self.handle(received, allowance.another)
            stays = [delivery.message_id for delivery in received if not self._settled(delivery, failures)]
            done = [delivery for delivery in received if delivery.message_id not in stays]
            kept += stays
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in kept]}

    def _delete(self, done: Iterable[Delivery]) -> None:
        """Acknowledge what is done, before a suspect may end the function. What SQS refuses, Lambda deletes later."""
        for delivery in done:
            try:
                self.queue.delete(delivery.receipt_handle)
            except QueueUnavailable as exc:
                self._warn("not deleted yet", delivery, reason=str(exc))

    def _settled(self, delivery: Delivery, failures: Failures) -> bool:
        """Whether the queue may delete the message: it is done, or parked.

        Where SQS refuses to park or to put off, the message stays and its neighbours are not held up: it comes back
        when its visibility times out.
        """
        error = failures.get(delivery.message_id)
        if error is None:
            return True
        try:
            if isinstance(error, ContractViolation):
                self._park(delivery, error)
                return True
            self._hand_back(delivery, error)
        except QueueUnavailable as exc:
            self._warn("left to its visibility timeout", delivery, reason=str(exc))
        return False

    def _park(self, delivery: Delivery, error: ContractViolation) -> None:
        """Send the message to the dead-letter queue with its reason; the loop then lets the queue delete it."""
        self.dead_letters.park(delivery.body, parking.attributes_of(error, delivery, self.now()))
        cause, batch = error.reason_class, change_batch_id(delivery.body)
        self.log.error("parked", batch=batch, reason=str(error), reason_class=cause, message_id=delivery.message_id)
        emit(self.log.service, {"parked_messages": 1}, of=cause)

    def _hand_back(self, delivery: Delivery, error: PipelineError) -> None:
        """Leave the message on its queue: at once where it was not tried, else after a growing delay."""
        delay = delay_for(error, delivery.receive_count)
        said = "not tried" if isinstance(error, NotTried) else "handed back"
        self._warn(said, delivery, reason=str(error), delay_seconds=delay)
        self.queue.put_off(delivery.receipt_handle, delay)

    def _warn(self, said: str, delivery: Delivery, **more: Any) -> None:
        self.log.warning(said, batch=change_batch_id(delivery.body), message_id=delivery.message_id, **more)
