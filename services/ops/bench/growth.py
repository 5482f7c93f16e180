"""How the time of the whole path grows with the number of rows: a backfill at sizes a factor of ten apart.

Invariant: every size is measured like the whole path, proof included, on a stack of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from services.ops.bench.figures import Figure, Task, exponent, measured
from services.ops.bench.path import Backfill, backfilled, expect_equal

FACTOR = 10
MILLION = 1_000_000

LINEAR = 1.1
"""The greatest exponent that counts as linear: fixed costs pull it below 1, not above."""


Backfills = Mapping[int, Sequence[Backfill]]
"""The runs of each size, by the number of rows."""


def measure(task: Task) -> Sequence[Figure]:
    """A tenth of the orders and all of them; ten times as many too where the task is full."""
    sizes = [task.orders // FACTOR, task.orders, *[task.orders * FACTOR] * task.full]
    backfills = {size: [_backfill(task, size, run) for run in range(1, task.runs + 1)] for size in sizes}
    return list(figures_of(backfills))


def figures_of(backfills: Backfills) -> Iterator[Figure]:
    """The time at each size, its exponent, and the processor seconds that another million rows takes. Pure."""
    times = {rows: [run.seconds for run in runs] for rows, runs in backfills.items()}
    for rows, seconds in times.items():
        yield measured(f"backfill of {rows:,} orders", seconds, "s", note=f"{rows / median(seconds):,.0f} rows/s")
    found = exponent(list(times), [median(seconds) for seconds in times.values()])
    yield measured(
        "exponent of time over rows",
        [found],
        "",
        target=f"linear (at most {LINEAR})",
        met=lambda value: value <= LINEAR,
        note="first poll to last commit; least squares over the logarithms",
    )
    yield from _another_million(backfills)


def _another_million(backfills: Backfills) -> Iterator[Figure]:
    """By process, between the least and the greatest size: starts and imports are in both and fall out."""
    least, greatest = min(backfills), max(backfills)
    pairs = list(zip(backfills[least], backfills[greatest], strict=True))
    slopes = [
        {name: (large.cpu[name] - small.cpu.get(name, 0.0)) * MILLION / (greatest - least) for name in large.cpu}
        for small, large in pairs
    ]
    for name in slopes[0]:
        spent = [slope.get(name, 0.0) for slope in slopes]
        yield measured(f"{name}, another million rows", spent, "CPU s / 1M rows")
    together = [sum(slope.values()) for slope in slopes]
    yield measured("all processes, another million rows", together, "CPU s / 1M rows", note="without what starts cost")


def _backfill(task: Task, orders: int, run: int) -> Backfill:
    task.say(f"Backfill of {orders:,} orders, run {run} of {task.runs}")
    with backfilled(task.folder / f"growth-{orders}-{run}", orders) as (stack, backfill):
        expect_equal(stack, versions=orders)
        return backfill
