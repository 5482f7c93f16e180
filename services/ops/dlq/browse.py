"""Look through a dead-letter queue and leave it as it was.

Invariant: whatever was received and not deleted is visible again when the look ends, however it ends; a process that is
killed leaves that to the visibility timeout. Each message is shown once, though it may be received again. Memory holds
receipt handles, never bodies. What a look does change: SQS counts its receives, which is why a parked message carries
its own count.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from services.ops.dlq import parked
from services.ops.dlq.parked import Parked
from shared.errors import QueueUnavailable
from shared.queues import Queue

HIDDEN_SECONDS = 300
"""How long a message that was looked at stays hidden if the look is killed; a longer look receives it again."""
MOST_HIDDEN = 100_000
"""At once; SQS refuses to receive when 120,000 messages are in flight."""
QUIET_ANSWERS = 5
"""In a row without a message that is new: SQS asks few of its hosts, so it may answer empty though there are more."""
QUIET_SECONDS = 0.2
"""Between two such answers."""


class Browse:
    """One look through one dead-letter queue, as a context manager over an iterator."""

    def __init__(
        self,
        name: str,
        dead_letters: Queue,
        *,
        hidden_seconds: int = HIDDEN_SECONDS,
        limit: int | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the work queue's name in the topology, its dead-letter queue, how many messages to show at most."""
        self._name = name
        self._queue = dead_letters
        self._hidden_seconds = hidden_seconds
        self._limit = limit
        self._wait = wait
        self._handles: dict[str, str | None] = {}
        """Message id -> the receipt handle that counts, the last one; None once it is deleted."""
        self._hidden = 0
        self.complete = False
        """Whether the look came to the end of the queue: not at `limit`, and not at MOST_HIDDEN."""

    def __enter__(self) -> Self:
        """Nothing is received before the first message is asked for."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Restore visibility. Raises QueueUnavailable where SQS refuses, unless another error is on its way."""
        try:
            self._queue.restore([handle for handle in self._handles.values() if handle is not None])
        except QueueUnavailable:
            if error is None:
                raise

    def __iter__(self) -> Iterator[Parked]:
        """Each message of the queue, once."""
        shown = quiet = 0
        while quiet < QUIET_ANSWERS and self._hidden < MOST_HIDDEN:
            fresh = self._receive()
            for message in fresh:
                yield message
                shown += 1
                if shown == self._limit:
                    return
            quiet = 0 if fresh else quiet + 1
            if 0 < quiet < QUIET_ANSWERS:
                self._wait(QUIET_SECONDS)
        self.complete = quiet == QUIET_ANSWERS

    def delete(self, message: Parked) -> None:
        """Remove a message that was shown, for good. Raises QueueUnavailable: then it is still there."""
        handle = self._handles[message.message_id]
        if handle is not None:
            self._queue.delete(handle)
            self._handles[message.message_id] = None
            self._hidden -= 1

    def delete_all(self, messages: Sequence[Parked]) -> None:
        """Remove messages that were shown, ten a call. Raises QueueUnavailable: then some may still be there."""
        held = {one.message_id: handle for one in messages if (handle := self._handles[one.message_id]) is not None}
        self._queue.delete_all(list(held.values()))
        self._handles.update(dict.fromkeys(held))
        self._hidden -= len(held)

    def _receive(self) -> list[Parked]:
        """What is new in one answer; of what is not, the new handle is noted and it stays hidden."""
        fresh = []
        for message in self._queue.receive(self._hidden_seconds):
            known = message.message_id in self._handles
            if known and self._handles[message.message_id] is None:  # SQS may deliver once more what was deleted
                self._queue.delete(message.receipt_handle)
                continue
            self._handles[message.message_id] = message.receipt_handle
            if not known:
                self._hidden += 1
                fresh.append(parked.of(self._name, message))
        return fresh
