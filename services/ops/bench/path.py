"""The whole path on the embedded stack: a backfill from source to fact table, and updated rows after it.

Invariant: a time counts only where the warehouse then holds what the source holds, by number and by a checksum that
hand-written SQL computes on both sides, with every foreign key valid and no orphan. Each run has a stack of its own.
"""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from services.local.description import StackDescription
from services.local.down import SOURCE, WAREHOUSE
from services.local.postgres import PostgresServer
from services.local.stack import Stack, StackOptions
from services.ops.bench.copied import changed_since, copy_across, session, superuser_of
from services.ops.bench.figures import Figure, Task, measured
from services.ops.bench.orders import change_orders, seed_orders
from services.ops.bench.used import cpu_seconds, functions_of
from shared.errors import PipelineError
from shared.postgres import Connection, identifier, rows_of

POLL_INTERVAL_SECONDS = 0.25
RECONCILE_INTERVAL_SECONDS = 3600.0
"""So that no reconciliation falls into a measurement."""
LOOK_SECONDS, SELDOM_SECONDS = 0.02, 0.25
"""Between two looks whether all has arrived, which is how far a time may be too long; and long before that, since a
look is work too."""
STILL_SECONDS = 1.0
"""Until a statement is over that a function had begun before it was stopped."""
NEAR_ROWS = 200_000
"""So many rows before the last, at which looks begin to be frequent: two seconds of work."""
FOREIGN_KEYS = 9
"""Of fact_sales_order: four dates, staff, counterparty, currency, design, location."""
PATIENCE_SECONDS, PATIENCE_ROWS_A_SECOND = 120, 2_000
"""How long to wait: a tenth of what any machine so far has loaded."""
CHANGED_SHARE = 10
"""Every tenth order is updated."""
LIMIT = "COPY | COPY by psql"


@dataclass(frozen=True)
class Arrival:
    """When all had arrived: seconds since the first poll's clock, and the moment of this process' monotonic clock."""

    seconds: float
    at: float


@dataclass(frozen=True)
class Backfill:
    """Seconds from the first poll to the last commit, seconds from the stack's start without seeding, CPU seconds."""

    seconds: float
    from_start: float
    cpu: Mapping[str, float]
    """By server and by function while the backfill ran, the poller's start included."""


@dataclass(frozen=True)
class Run:
    """One stack's figures, in seconds."""

    rows: int
    backfill: Backfill
    copied: float
    update: float
    update_copied: float


def measure(task: Task) -> Sequence[Figure]:
    """The figures of as many runs as are asked for."""
    runs = []
    for number in range(1, task.runs + 1):
        task.say(f"Whole path of {task.orders:,} orders, run {number} of {task.runs}")
        runs.append(run_once(task.folder / f"path-{number}", task.orders))
    return list(figures_of(runs))


def figures_of(runs: Sequence[Run]) -> Iterator[Figure]:
    """What the runs come to. Pure."""
    rows, changed = runs[0].rows, runs[0].rows // CHANGED_SHARE
    copied = [run.copied for run in runs]
    yield measured(
        f"backfill of {rows:,} orders",
        [run.backfill.seconds for run in runs],
        "s",
        limits=copied,
        limit_name=LIMIT,
        target="at most 3 of COPY | COPY (the dream)",
        met=lambda value: value <= 3 * sorted(copied)[len(copied) // 2],
        note=f"first poll to last commit, functions warm; {_spent(runs)}",
    )
    yield measured(
        "backfill from the stack's start",
        [run.backfill.from_start for run in runs],
        "s",
        limits=copied,
        limit_name=LIMIT,
        note="servers, emulated AWS, migrations and the functions' imports included; seeding is not",
    )
    yield measured(
        f"{changed:,} updated orders to new versions",
        [run.update for run in runs],
        "s",
        limits=[run.update_copied for run in runs],
        limit_name="COPY | COPY of the updated rows",
        note="the UPDATE's commit to the last version's commit",
    )


def _spent(runs: Sequence[Run]) -> str:
    """Where the processor's time of the first run went."""
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in runs[0].backfill.cpu.items())
    return f"CPU seconds of the first run: {parts}"


def run_once(folder: Path, orders: int) -> Run:
    """One stack in a folder of its own, which is removed: backfill, proof, limit, update, proof, limit.

    Raises PipelineError where the warehouse is not as the source is.
    """
    with backfilled(folder, orders) as (stack, backfill):
        expect_equal(stack, versions=orders)
        source, target = superuser_of(stack.source_dsn), superuser_of(stack.warehouse_dsn)
        with _standing_still(stack):
            copied = copy_across(source, target)
        changed = orders // CHANGED_SHARE
        moment, update = _update(stack, orders, changed)
        expect_equal(stack, versions=orders + changed)
        with _standing_still(stack):
            update_copied = copy_across(source, target, changed_since(moment))
        return Run(rows=orders, backfill=backfill, copied=copied, update=update, update_copied=update_copied)


@contextmanager
def _standing_still(stack: StackDescription) -> Iterator[None]:
    """The emulated AWS and its functions stopped, so that neither poll nor scan slows a limit down."""
    aws = psutil.Process(_aws(stack))
    processes = [aws, *aws.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        time.sleep(STILL_SECONDS)
        yield
    finally:
        for process in processes:
            process.resume()


def _aws(stack: StackDescription) -> int:
    """The process of the emulated AWS."""
    [pid] = [process.pid for process in stack.children if process.name == "aws"]
    return pid


@contextmanager
def backfilled(folder: Path, orders: int) -> Iterator[tuple[StackDescription, Backfill]]:
    """A stack that has just loaded so many orders, and how that went; it has ended when the context ends.

    Raises PipelineError where they do not arrive.
    """
    stack, seeding = Stack(_options(folder), lambda _: None), _Seeding(orders)
    try:
        begun = time.monotonic()
        stack.start(seeding)
        found, before = stack.description, _cpu(stack.description)
        arrival = _wait(found, orders)
        from_start = arrival.at - begun - seeding.seconds
        used = {name: seconds - before.get(name, 0.0) for name, seconds in _cpu(found).items()}
        yield found, Backfill(arrival.seconds, from_start, used)
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


class _Seeding:
    """Fills the embedded totesys before anything reads it, and knows how long that took."""

    def __init__(self, orders: int) -> None:
        self._orders = orders
        self.seconds = 0.0

    def __call__(self, owner_dsn: str) -> None:
        begun = time.monotonic()
        seed_orders(owner_dsn, self._orders)
        self.seconds = time.monotonic() - begun


def _used(data: Path) -> float:
    """Processor seconds of the server in a data folder."""
    process = PostgresServer(data).process()
    return cpu_seconds(process.pid) if process else 0.0


def _options(folder: Path) -> StackOptions:
    return StackOptions(
        state_dir=folder,
        source_dsn=None,
        warehouse_dsn=None,
        warehouse_schema="warehouse",
        time_zone="UTC",
        poll_interval_seconds=POLL_INTERVAL_SECONDS,
        reconcile_interval_seconds=RECONCILE_INTERVAL_SECONDS,
        port=None,
        warm=True,
    )


def _wait(stack: StackDescription, rows: int) -> Arrival:
    """Wait until so many rows of the feed are loaded and the foreign keys hold; what the first look at them saw.

    The feed's own number is cheap to look at but counts a page that was read twice, so that the versions are counted
    where it says that they suffice; the time is that of the look. Raises PipelineError where they do not arrive.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS + rows / PATIENCE_ROWS_A_SECOND
    with _warehouse(stack) as warehouse:
        while True:
            loaded, seconds = rows_of(warehouse, _sql("loaded"))[0]
            arrival = Arrival(float(seconds), time.monotonic())
            if loaded >= rows and rows_of(warehouse, _sql("proven"), wanted=rows, keys=FOREIGN_KEYS) == [[True]]:
                return arrival
            if time.monotonic() > deadline:
                raise PipelineError(
                    f"Expected {rows:,} versions of sales orders and {FOREIGN_KEYS} valid foreign keys of them by "
                    f"now, found {loaded:,} rows loaded and fewer versions or keys."
                )
            time.sleep(LOOK_SECONDS if loaded > rows - NEAR_ROWS else SELDOM_SECONDS)


def _update(stack: StackDescription, orders: int, changed: int) -> tuple[str, float]:
    """Update orders and wait for their versions: the update's time as text, and the seconds since its commit."""
    owner = superuser_of(stack.source_dsn)
    with session(owner) as source:
        moment = str(rows_of(source, "SELECT localtimestamp::text")[0][0])
    change_orders(owner, changed, every=CHANGED_SHARE)
    committed = time.monotonic()
    return moment, _wait(stack, orders + changed).at - committed


def expect_equal(stack: StackDescription, *, versions: int) -> None:
    """Hold the warehouse to the source. Raises PipelineError with what differs."""
    with session(superuser_of(stack.source_dsn)) as source:
        wanted = tuple(rows_of(source, _sql("source_sum"))[0])
    with _warehouse(stack) as warehouse:
        found = tuple(rows_of(warehouse, _sql("warehouse_sum"))[0])
        [[kept]] = rows_of(warehouse, "SELECT count(*) FROM fact_sales_order")
        [[orphans]] = rows_of(warehouse, _sql("orphans"))
    if (found, kept, orphans) != (wanted, versions, 0):
        raise PipelineError(
            f"Expected {wanted} (orders, checksum), {versions:,} versions and no orphan in the warehouse, found "
            f"{found}, {kept:,} and {orphans:,}."
        )


def _cpu(stack: StackDescription) -> dict[str, float]:
    """Processor seconds so far by what runs in the stack; a function's under its name."""
    servers = {name: _used(stack.state_dir / name) for name in (SOURCE, WAREHOUSE)}
    aws = _aws(stack)
    functions = functions_of(aws)
    return {
        **servers,
        **functions,
        "emulated AWS": cpu_seconds(aws) - sum(functions.values()),
    }


@contextmanager
def _warehouse(stack: StackDescription) -> Iterator[Connection]:
    with session(stack.warehouse_owner_dsn) as connection:
        connection.run(f"SET search_path TO {identifier(stack.warehouse_schema)}")
        yield connection


@cache
def _sql(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
