"""Dead-letter queues and a quarantine on emulated AWS, filled as the pipeline fills them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.ops.dlq.browse import Browse
from shared.queues import Queue
from tests.conftest import Aws


@dataclass
class Waits:
    """Counts the waits and takes no time."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@dataclass
class DeadLetters:
    """One dead-letter queue, seen as an operator sees it."""

    aws: Aws
    name: str

    @property
    def url(self) -> str:
        return str(getattr(self.aws, f"{self.name}_dlq"))

    @property
    def queue(self) -> Queue:
        return Queue(self.aws.sqs, self.url)

    def park(self, body: str, **attributes: str) -> None:
        self.queue.park(body, attributes)

    def redrive(self, body: str) -> None:
        """As SQS does it: without attributes."""
        self.queue.send([body])

    def browse(self, **options: Any) -> Browse:
        return Browse(self.name, self.queue, **{"wait": Waits(), **options})

    def bodies(self) -> list[str]:
        """What is visible now; it stays so."""
        with self.browse() as looked:
            return sorted(message.body for message in looked)


@pytest.fixture
def dead_letters(aws: Aws) -> Mapping[str, DeadLetters]:
    return {name: DeadLetters(aws, name) for name in ("changes", "loads")}
