"""What a poll of all feeds costs the source where nothing is new: backend time and buffers, with and without an index.

The poller is the real one, in this process, without S3 and SQS; its clock is a counter that goes on by one interval a
poll, so that scans and looks at the catalog come as often as they do in an account. Cost is what Postgres itself has
counted for the database: every statement with its parsing and planning, and every buffer.
Invariant: nobody else works in that database meanwhile; what moves the snapshot is written in another one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from contracts.feeds import FEEDS
from services.local.postgres import SUPERUSER
from services.ops.bench.copied import LOCK_TIMEOUT_SECONDS, STATEMENT_TIMEOUT_SECONDS, session
from services.ops.bench.figures import Figure, Task, measured
from services.ops.bench.kept import KeptMessages, KeptObjects
from services.ops.bench.stand import Server, standing
from services.poller import reading
from services.poller.poller import Adapters, Poller
from shared.archive import Publisher
from shared.checkpoint import Checkpoint, CheckpointStore, FeedState, Horizon
from shared.errors import PipelineError
from shared.postgres import Connection, Dsn, connect, rows_of
from shared.settings import Settings
from shared.telemetry import logger
from shared.totesys.session import Source

POLLS = 12
"""A sample: a minute of polls at the default interval, and the median of many is steady."""
WARM_UP_POLLS = 3
"""The first one counts every small feed."""
FULL = 10
"""Times as many rows where the task is full."""
MOST_MILLISECONDS, MOST_BUFFERS = 10, 100
INDEX = "CREATE INDEX bench_last_updated ON public.sales_order (last_updated)"
NO_INDEX = "DROP INDEX public.bench_last_updated"
MOVABLE = "CREATE TABLE bench_moved (at timestamptz)"
MOVED = "INSERT INTO bench_moved VALUES (now())"


@dataclass(frozen=True)
class Cost:
    """Of one poll: milliseconds in which a backend worked, and buffers that it asked for."""

    milliseconds: float
    buffers: float


Costs = Mapping[str, Sequence[Cost]]
"""The samples of each case, by its name."""


def measure(task: Task) -> Sequence[Figure]:
    """Nothing at all happened, and another table moved; with an index and without."""
    rows = task.orders * (FULL if task.full else 1)
    task.say(f"Seeding {rows:,} orders for the idle poll")
    with (
        standing(task.folder / "idle", rows) as stand,
        session(_elsewhere(stand.source)) as elsewhere,
    ):
        elsewhere.run(MOVABLE)
        bench = Bench(stand.source, rows, elsewhere)
        with bench.polling() as case:
            costs: dict[str, list[Cost]] = {}
            for index, statement in (("with an index", INDEX), ("without an index", NO_INDEX)):
                bench.in_source(statement)
                for run in range(1, task.runs + 1):
                    task.say(f"Idle polls {index} on last_updated, run {run} of {task.runs}")
                    costs.setdefault(f"pulse, {index}", []).append(case(lambda: None))
                    costs.setdefault(f"each feed looked at, {index}", []).append(case(bench.move))
    return list(figures_of(costs, rows))


def figures_of(costs: Costs, rows: int) -> Iterator[Figure]:
    """Milliseconds and buffers of each case. Pure."""
    for name, found in costs.items():
        asked = "with an index" in name
        what = "nothing happened anywhere" if name.startswith("pulse") else "another table moved between two polls"
        note = f"{what}; all feeds, sales_order with {rows:,} rows, which is not scanned"
        yield measured(
            f"idle poll: {name}",
            [cost.milliseconds for cost in found],
            "ms",
            target=f"at most {MOST_MILLISECONDS} ms" if asked else "",
            met=(lambda value: value <= MOST_MILLISECONDS) if asked else None,
            note=note,
        )
        yield measured(
            f"idle poll: {name}",
            [cost.buffers for cost in found],
            "buffers",
            target=f"at most {MOST_BUFFERS} buffers" if asked else "",
            met=(lambda value: value <= MOST_BUFFERS) if asked else None,
        )


@dataclass
class Bench:
    """A real poller on a source that it has read already, as its checkpoint says."""

    source: Server
    rows: int
    elsewhere: Connection
    """A session in another database of the source's server."""
    sent: KeptMessages = field(default_factory=KeptMessages)
    """What the poller published: nothing, or it was not idle."""
    _clock: float = 0.0
    _sessions: list[Connection] = field(default_factory=list)

    def in_source(self, statement: str) -> None:
        """Run a statement as the source's owner."""
        with session(self.source.superuser) as connection:
            connection.run(statement)

    def move(self) -> None:
        """Commit something on the server, in a database of its own: every snapshot moves on."""
        self.elsewhere.run(MOVED)

    @contextmanager
    def polling(self) -> Iterator[Callable[[Callable[[], None]], Cost]]:
        """What takes one sample: the cost of a poll, with something done before each."""
        settings = Settings(scan_max_rows=self.rows // 2)
        source = Source(
            self._connect,
            schema=settings.source_schema,
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        )
        poller = self._poller(source, settings)
        try:
            for _ in range(WARM_UP_POLLS):
                self._poll(poller, settings)
            yield lambda before: self._sample(poller, settings, before)
        finally:
            source.close()

    def _sample(self, poller: Poller, settings: Settings, before: Callable[[], None]) -> Cost:
        self._poll(poller, settings)  # what happened before the sample is none of it
        started = self._counted()
        for _ in range(POLLS):
            before()
            self._poll(poller, settings)
        ended = self._counted()
        if self.sent.bodies:
            raise PipelineError(f"Expected polls that find nothing, found {len(self.sent.bodies)} change batches.")
        return Cost(*((after - earlier) / POLLS for after, earlier in zip(ended, started, strict=True)))

    def _poll(self, poller: Poller, settings: Settings) -> None:
        self._clock += settings.poll_interval_seconds
        poller.poll()

    def _counted(self) -> tuple[float, float]:
        """What the database's counters say once the poller's session has told them what it did."""
        rows_of(self._sessions[-1], "SELECT pg_stat_force_next_flush()")
        database = Dsn.parse(self.source.login).database
        [[milliseconds, buffers]] = rows_of(self.elsewhere, _COUNTED, database=database)
        return float(milliseconds), float(buffers)

    def _connect(self) -> Connection:
        """The poller's session, which is asked to tell its counters."""
        connection = connect(
            Dsn.parse(self.source.login),
            application_name="totes-poller",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        )
        self._sessions.append(connection)
        return connection

    def _poller(self, source: Source, settings: Settings) -> Poller:
        """One whose checkpoint says that all there is was read."""
        objects = KeptObjects()
        checkpoints = CheckpointStore(objects, "control")
        source.open()
        checkpoints.load()
        checkpoints.move(_all_read(source))
        publisher = Publisher(objects, "archive", self.sent)
        adapters = Adapters(source, publisher, checkpoints, logger("bench", "ERROR"))
        feeds = list(FEEDS.values())
        poller = Poller(owner="bench", feeds=feeds, settings=settings, adapters=adapters, now=lambda: self._clock)
        poller.claim()
        return poller


def _all_read(source: Source) -> Checkpoint:
    """The checkpoint of a poller that has just read every feed."""
    pulse = source.pulse()
    checkpoint = reading.met(Checkpoint(), pulse.vitals)
    snapshot = pulse.vitals.snapshot
    horizon = Horizon(clock=pulse.clock, xmax=snapshot.xmax, xip=snapshot.xip, generation=checkpoint.generation)
    state = FeedState(polled=horizon, scanned=horizon, as_of=pulse.clock)
    return checkpoint.model_copy(update={"feeds": dict.fromkeys(FEEDS, state)})


def _elsewhere(server: Server) -> str:
    """The same server's own database."""
    known = Dsn.parse(server.superuser)
    return server.superuser.replace(f"/{known.database}?", f"/{SUPERUSER}?")


_COUNTED = """
-- Milliseconds in which sessions of a database worked, and buffers they asked for, shared catalogs included.
SELECT sum(active_time) FILTER (WHERE datname = :database), sum(blks_hit + blks_read)
  FROM pg_stat_database
 WHERE datname = :database OR datid = 0"""
