"""Trouble at the source: a poller alone, or the whole pipeline, and a source whose clock a test may set."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.conftest import Aws, Server
from tests.conftest import Source as Totesys
from tests.poller.conftest import Bench
from tests.reconciler.conftest import SEED, Pipeline, pipeline, template, warehouse_dsn
from tests.trouble.servers import PRIVILEGED, READER

__all__ = ["SEED", "Pipeline", "pipeline", "template", "warehouse_dsn"]


@dataclass
class SourceClock:
    """What the source's clock shows: the true time and every step made so far.

    The poller asks the true source through a connection that turns each clock in its SQL; a writer's own times are
    `shows("now()")`. A step changes nothing of what was begun before it, as it is with a real clock.
    """

    bench: Bench
    steps: list[tuple[str, float]] = field(default_factory=list)
    rows_read: int = 0

    def step(self, seconds: float) -> None:
        """From now on the clock shows so much more; an hour passes, or it is set back."""
        [[moment]] = self.bench.run("SELECT clock_timestamp()::text")
        self.steps.append((moment, seconds))

    def shows(self, moment: str, zone: str = "UTC") -> str:
        """SQL of what a clock on the wall of that zone showed at a moment of the true time."""
        return f"(({self.turned(moment)}) AT TIME ZONE '{zone}')"

    def turned(self, moment: str) -> str:
        steps = (
            f" + CASE WHEN {moment} >= '{at}' THEN interval '{seconds} s' ELSE interval '0' END"
            for at, seconds in self.steps
        )
        return f"({moment}{''.join(steps)})"

    def through(self, real: Any) -> "TurnedConnection":
        return TurnedConnection(real, self)


class TurnedConnection:
    """The true connection, its clocks turned, counting the rows that COPY gave."""

    def __init__(self, real: Any, clock: SourceClock) -> None:
        self._real, self._clock = real, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def run(self, sql: str, **arguments: Any) -> Any:
        for moment in ("clock_timestamp()", "a.xact_start"):
            sql = sql.replace(moment, self._clock.turned(moment))
        answer = self._real.run(sql, **arguments)
        self._clock.rows_read += self._real.row_count if sql.startswith("COPY") else 0
        return answer


@pytest.fixture(scope="session")
def privileged_reader(server: Server) -> str:
    with server.connect() as connection:
        connection.run(f"CREATE ROLE {PRIVILEGED} LOGIN IN ROLE {READER}, pg_read_all_stats")
    return PRIVILEGED


@pytest.fixture(params=[False, True], ids=["select only", "pg_read_all_stats"])
def both(request: pytest.FixtureRequest, totesys: Totesys, aws: Aws, privileged_reader: str) -> Iterator[Bench]:
    """A poller's bench, once for each of the two logins the source may give us."""
    reader = privileged_reader if request.param else READER
    made = Bench(Totesys(totesys.dsn, totesys.reader_dsn.replace(READER, reader)), aws)
    yield made
    made.close()


@pytest.fixture
def bench(totesys: Totesys, aws: Aws) -> Iterator[Bench]:
    made = Bench(totesys, aws)
    yield made
    made.close()
