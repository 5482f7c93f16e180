"""How late changes arrive under load: a pipeline as `totes up` runs it, a writer's own journal, an independent look.

Invariant: every change of the journal counts, from the moment its commit returned to the moment a session of the
warehouse's first saw it or a later one of its row. A figure is met only if nothing is missing, parked or quarantined.
The load begins a while before its changes count, so that the functions are warm; nothing else is left out.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from math import ceil, inf

from services.local.stack import Stack, StackOptions
from services.ops.bench.delays import Change, Delays, Sight, delays
from services.ops.bench.figures import Figure, Task
from services.ops.bench.processes import Gauge, Load
from services.ops.bench.watcher import Watcher
from services.ops.bench.writers import REFERRED, TABLES, Crew, Writer, new_numbers, pool_rows, seed
from shared.errors import PipelineError
from shared.postgres import Connection, Dsn, connect, identifier, rows_of
from shared.queues import Queue

APPLICATION_NAME = "totes-bench"
POLL_INTERVAL_SECONDS = 0.25
RATE = 100.0
"""Changes a second, each in a transaction of its own."""
SECONDS, SHORT_SECONDS = 300.0, 30.0
"""Of the load that counts: in full, and where nobody wants to wait."""
WARM_SECONDS = 10.0
ARRIVAL_SECONDS = 60.0
"""How long the last change may take before it counts as missing."""
P50_SECONDS, P99_SECONDS = 0.4, 1.0
STEPS = (250.0, 500.0, 1000.0, 2000.0, 3000.0, 4000.0, 6000.0, 8000.0, 12000.0, 16000.0, 24000.0)
"""Changes a second of one step after the other, until one does not hold."""
STEP_SECONDS = 30.0
STEP_P99_SECONDS = 5.0
LEAST_MADE = 0.9
"""Of the changes asked for: where fewer are made, the source takes no more of them."""
GROWTH_SECONDS = 1.0
"""Between the first third of a step and its last: with more of it a longer step would end above its p99."""
MEDIAN = 0.5
ROWS_PER_WRITER = 4000.0
"""Changes a second of one session, beyond which another one helps; the fewer, the less of the machine they take."""
SEED = 7
"""Of the writers' choices."""


@dataclass(frozen=True)
class Step:
    """A load and what came of it: changes a second as asked for and as made, delays, and what the stages did.

    `growth` is by how many seconds the median delay of the last third lies above that of the first.
    """

    asked: float
    made: float
    delays: Delays
    growth: float
    load: Load

    @property
    def holds(self) -> bool:
        """Whether the pipeline kept up with it."""
        return self.delays.percentile(0.99) <= STEP_P99_SECONDS and self.growth <= GROWTH_SECONDS

    @property
    def last(self) -> bool:
        """Whether a higher rate can show nothing more."""
        return not self.holds or self.made < LEAST_MADE * self.asked

    def __str__(self) -> str:
        """What a reader of the highest rate wants to know of each."""
        late = f"p99 {self.delays.percentile(0.99):.1f} s, growing by {self.growth:.1f} s"
        return f"{self.made:.0f}/s: {late}, {self.load}"


@dataclass(frozen=True)
class Faults:
    """What a load may not leave behind."""

    parked: int
    quarantined: int

    def __str__(self) -> str:
        """Both, in words."""
        return f"{self.parked} messages parked, {self.quarantined} rows quarantined"


class Ground:
    """A running stack under load; made by `ground`."""

    def __init__(self, stack: Stack, rows: Mapping[str, int]) -> None:
        """Take a stack that runs, and how many rows of each table it was seeded with."""
        self.description = stack.description
        self._rows = dict(rows)
        self._numbers = new_numbers()
        self._gauge = Gauge(self.description)

    def seeded(self) -> list[Change]:
        """The rows of before the load, as changes with the number 0."""
        now = time.time()
        return [Change(name, REFERRED + 1 + key, 0, now) for name, rows in self._rows.items() for key in range(rows)]

    def step(self, watcher: Watcher, rate: float, seconds: float) -> Step:
        """Load the source at this rate for so long, and wait until all of it has arrived."""
        count = ceil(rate / ROWS_PER_WRITER)
        writers = [
            Writer(number, count, rate=rate, rows=self._rows, numbers=self._numbers, seed=SEED)
            for number in range(count)
        ]
        crew = Crew(self.source)
        with self._gauge.reading() as load:
            crew.work(writers, seconds)
            watcher.await_arrival(crew.journal, ARRIVAL_SECONDS)
        found = delays(crew.journal, watcher.sights)
        return Step(rate, len(crew.journal) / seconds, found, growth(crew.journal, watcher.sights), load())

    def faults(self) -> Faults:
        """What was parked and quarantined so far."""
        sqs = self.description.client("sqs")
        parked = sum(Queue(sqs, url).depth().total for url in self.description.dead_letter_queues.values())
        with self.warehouse() as session:
            [[quarantined]] = rows_of(session, "SELECT coalesce(sum(quarantined), 0)::bigint FROM _feed")
        return Faults(parked, quarantined)

    def source(self) -> Connection:
        """A session with totesys that may write."""
        return _session(self.description.source_owner_dsn or "")

    def warehouse(self) -> Connection:
        """A session with the warehouse that finds the star schema."""
        session = _session(self.description.warehouse_owner_dsn)
        session.run(f"SET search_path = {identifier(self.description.warehouse_schema)}")
        return session


def measure(task: Task) -> Sequence[Figure]:
    """Freshness at the usual rate; in full also the highest rate that is kept up with."""
    usual = freshness(task, SECONDS if task.full else SHORT_SECONDS, warm_seconds=WARM_SECONDS)
    return [*usual, *(ramp(task) if task.full else ())]


def freshness(task: Task, seconds: float, *, warm_seconds: float) -> Sequence[Figure]:
    """The percentiles at the usual rate, of so many seconds after those that warm the functions."""
    with ground(task, RATE) as (found, watcher):
        task.say(f"{RATE:g} changes a second for {seconds:g} seconds")
        found.step(watcher, RATE, warm_seconds)
        step = found.step(watcher, RATE, seconds)
        return figures(step, found.faults())


def ramp(task: Task) -> Sequence[Figure]:
    """The highest sustained rate, on a pipeline of its own whose tables are large enough for it."""
    with ground(task, STEPS[-1]) as (found, watcher):
        found.step(watcher, RATE, WARM_SECONDS)
        steps = list[Step]()
        for rate in STEPS:
            task.say(f"{rate:g} changes a second for {STEP_SECONDS:g} seconds")
            steps.append(found.step(watcher, rate, STEP_SECONDS))
            if steps[-1].last:
                break
        return [sustained(steps, found.faults())]


def growth(journal: Sequence[Change], sights: Sequence[Sight]) -> float:
    """By how many seconds changes are later at the end of a load than at its beginning, in the median of a third."""
    in_order = sorted(journal, key=lambda change: change.committed_at)
    third = len(in_order) // 3
    first, last = (delays(part, sights).percentile(MEDIAN) for part in (in_order[:third], in_order[-third:]))
    return last - first if first < inf else inf


def figures(step: Step, faults: Faults) -> list[Figure]:
    """The percentiles of one load."""
    clean = not step.delays.missing and faults == Faults(0, 0)
    changes = len(step.delays.seconds) + len(step.delays.missing)
    note = f"{changes} changes at {step.made:.0f}/s, {len(step.delays.missing)} missing, {faults}; {step.load}"
    targets = {"p50": (0.5, P50_SECONDS), "p90": (0.9, None), "p99": (0.99, P99_SECONDS), "max": (1.0, None)}
    found = []
    for name, (share, target) in targets.items():
        value = step.delays.percentile(share)
        found.append(
            Figure(
                name=f"freshness {name} at {step.asked:g} changes/s",
                value=value * 1000,
                unit="ms",
                low=value * 1000,
                high=value * 1000,
                target="" if target is None else f"≤ {target * 1000:g} ms, nothing missing or parked",
                met=None if target is None else clean and value <= target,
                note=note if name == "p50" else "",
            )
        )
    return found


def sustained(steps: Sequence[Step], faults: Faults) -> Figure:
    """The last rate in a row that was kept up with, what the stages did at each, and what kept it from being higher."""
    kept = list(takewhile(lambda step: step.holds, steps))
    value = kept[-1].made if kept else 0.0
    if len(kept) < len(steps):
        ended = f"then {steps[len(kept)].load.bottleneck}"
    else:
        ended = "then the source takes no more" if kept[-1].last else "more was not tried"
    return Figure(
        name=f"highest sustained rate at p99 ≤ {STEP_P99_SECONDS:g} s",
        value=value,
        unit="changes/s",
        low=value,
        high=value,
        note=f"{ended}; {'; '.join(map(str, steps))}; {faults}",
    )


@contextmanager
def ground(task: Task, rate: float) -> Iterator[tuple[Ground, Watcher]]:
    """A new pipeline whose tables are seeded for a rate, with everything in the warehouse, and a watcher who looks."""
    rows = {table.name: pool_rows(table, rate) for table in TABLES}
    options = StackOptions(
        task.folder / f"stack-{rate:g}", None, None, "warehouse", "UTC", POLL_INTERVAL_SECONDS, 300.0, None
    )
    options.state_dir.mkdir(parents=True)
    with Stack(options, task.say) as stack:
        stack.start(lambda dsn: _seed(dsn, rows))
        found = Ground(stack, rows)
        with Watcher(found.warehouse) as watcher:
            if not watcher.await_arrival(found.seeded(), ARRIVAL_SECONDS):
                raise PipelineError(f"Expected the rows of before the load within {ARRIVAL_SECONDS:g} seconds.")
            yield found, watcher


def _seed(dsn: str, rows: Mapping[str, int]) -> None:
    with _session(dsn) as session:
        seed(session, rows)


def _session(dsn: str) -> Connection:
    return connect(
        Dsn.parse(dsn), application_name=APPLICATION_NAME, statement_timeout_seconds=60, lock_timeout_seconds=60
    )
