"""A poller between a real totesys and an emulated AWS, with a clock that only moves when it is told to."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from contracts.feeds import FEEDS
from services.poller.poller import Adapters, Poller
from shared.archive import Publisher
from shared.checkpoint import Checkpoint, CheckpointStore
from shared.objects import ObjectStore
from shared.postgres import Dsn, connect
from shared.queues import Queue
from shared.settings import Settings
from shared.telemetry import logger
from shared.totesys.session import Source
from tests.conftest import Aws, open_connection
from tests.conftest import Source as Totesys
from tests.poller.archived import Batch, receive


@dataclass
class Clock:
    """Monotonic seconds; a sleep is over at once."""

    seconds: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


class Calls:
    """Counts calls to the outside and fails the n-th, before or after it took effect."""

    def __init__(self, fail_at: int = 0, *, after: bool = False) -> None:
        self.count = 0
        self.fail_at = fail_at
        self.after = after

    def through(self, call: Callable[..., Any], failure: Callable[[], Exception]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.count += 1
            if self.count != self.fail_at:
                return call(*arguments, **named)
            if self.after:
                call(*arguments, **named)
            raise failure()

        return counted


class Failing:
    """A client or connection of which chosen methods pass through `Calls`; everything else is the real one's."""

    def __init__(self, real: Any, names: tuple[str, ...], calls: Calls, failure: Callable[[], Exception]) -> None:
        self._real = real
        self._names = names
        self._calls = calls
        self._failure = failure

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return self._calls.through(found, self._failure) if name in self._names else found


class FailingS3(Failing):
    """Listing is an outside call too, made when its first page is asked for."""

    def get_paginator(self, name: str) -> Any:
        return _FailingPaginator(self._real.get_paginator(name), self._calls, self._failure)


class _FailingPaginator:
    def __init__(self, real: Any, calls: Calls, failure: Callable[[], Exception]) -> None:
        self._real, self._calls, self._failure = real, calls, failure

    def paginate(self, **arguments: Any) -> Any:
        yield from self._calls.through(lambda: list(self._real.paginate(**arguments)), self._failure)()


@dataclass
class Bench:
    """One source, one AWS, one clock; as many pollers as a test wants."""

    totesys: Totesys
    aws: Aws
    clock: Clock = field(default_factory=Clock)
    opened: list[Any] = field(default_factory=list)

    def poller(
        self,
        *feeds: str,
        owner: str = "a",
        s3: Any = None,
        sqs: Any = None,
        wrap: Callable[[Any], Any] = lambda connection: connection,
        **settings: Any,
    ) -> Poller:
        objects = ObjectStore(s3 or self.aws.s3)
        source = Source(
            lambda: wrap(self._connect()), schema="public", statement_timeout_seconds=60, lock_timeout_seconds=0.2
        )
        self.opened.append(source)
        adapters = Adapters(
            source=source,
            publisher=Publisher(objects, self.aws.archive, Queue(sqs or self.aws.sqs, self.aws.changes)),
            checkpoints=CheckpointStore(objects, self.aws.control),
            log=logger("poller-test", "CRITICAL"),
        )
        return Poller(
            owner=owner,
            feeds=[FEEDS[name] for name in feeds] or list(FEEDS.values()),
            settings=Settings(**{"scan_interval_seconds": 10.0, **settings}),
            adapters=adapters,
            now=self.clock.now,
        )

    def started(self, *feeds: str, **options: Any) -> Poller:
        """A poller that owns the checkpoint, has read everything once and then seen that nothing is new.

        Its messages are off the queue.
        """
        poller = self.poller(*feeds, **options)
        assert poller.claim()
        self.drain(poller)
        self.move()
        self.scan_next()
        self.drain(poller)
        receive(self.aws)
        return poller

    def move(self) -> None:
        """Commit something that is no feed's: every snapshot moves on."""
        self.run("SELECT pg_current_xact_id()")

    def drain(self, poller: Poller) -> None:
        """Poll until nothing is under way."""
        poller.poll()
        while poller.busy:
            poller.poll()

    def polled(self, poller: Poller) -> list[Batch]:
        self.drain(poller)
        return receive(self.aws)

    def scan_next(self) -> None:
        """Let the next poll find a scan due."""
        self.clock.seconds += 12

    def run(self, sql: str, **parameters: Any) -> Any:
        with self.totesys.connect() as connection:
            return connection.run(sql, **parameters)

    def writer(self) -> Any:
        """A session of an application, closed with the test."""
        connection = open_connection(self.totesys.dsn)
        self.opened.append(connection)
        return connection

    def checkpoint(self) -> Checkpoint:
        return CheckpointStore(ObjectStore(self.aws.s3), self.aws.control).load()

    def let_the_lease_run_out(self) -> None:
        """As if the owner had been silent for longer than its lease: anyone may take over."""
        found = json.loads(self.aws.s3.get_object(Bucket=self.aws.control, Key="checkpoint.json")["Body"].read())
        self.edit_checkpoint(**{**found, "resting": True})

    def edit_checkpoint(self, **fields: Any) -> None:
        """Move the checkpoint behind everybody's back, as an operator or another poller does."""
        body = json.loads(self.aws.s3.get_object(Bucket=self.aws.control, Key="checkpoint.json")["Body"].read())
        self.aws.s3.put_object(Bucket=self.aws.control, Key="checkpoint.json", Body=json.dumps({**body, **fields}))

    def close(self) -> None:
        """End every session; a poller's source may open another, so it is kept to be closed again."""
        for one in self.opened:
            one.close()
        self.opened = [one for one in self.opened if isinstance(one, Source)]

    def _connect(self) -> Any:
        return connect(
            Dsn.parse(self.totesys.reader_dsn),
            application_name="totes-poller",
            statement_timeout_seconds=60,
            lock_timeout_seconds=0.2,
        )


@pytest.fixture
def bench(totesys: Totesys, aws: Aws) -> Any:
    made = Bench(totesys, aws)
    yield made
    made.close()


DESIGN = (
    "INSERT INTO design (design_id, design_name, file_location, file_name, created_at, last_updated) "
    "VALUES (:id, :name, '/usr', 'a.json', :at, :at)"
)


def design(connection: Any, number: int, name: str = "Wooden", at: str = "now") -> None:
    """Insert a design as an application does, with the transaction's start as its time unless told."""
    if at == "now":
        connection.run(
            "INSERT INTO design (design_id, design_name, file_location, file_name)"
            " VALUES (:id, :name, '/usr', 'a.json')",
            id=number,
            name=name,
        )
    else:
        connection.run(DESIGN, id=number, name=name, at=at)
