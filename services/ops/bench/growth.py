"""How the time of the whole path grows with the number of rows: a backfill at sizes a factor of ten apart.

Invariant: every size is measured like the whole path, proof included, on a stack of its own.
"""

from collections.abc import Iterator, Sequence
from statistics import median

from services.ops.bench.figures import Figure, Task, exponent, measured
from services.ops.bench.path import backfilled, expect_equal

FACTOR = 10

LINEAR = 1.1
"""The greatest exponent that counts as linear: fixed costs pull it below 1, not above."""


def measure(task: Task) -> Sequence[Figure]:
    """A tenth of the orders and all of them; ten times as many too where the task is full."""
    sizes = [task.orders // FACTOR, task.orders, *[task.orders * FACTOR] * task.full]
    times = {size: [_backfill(task, size, run) for run in range(1, task.runs + 1)] for size in sizes}
    return list(figures_of(times))


def figures_of(times: dict[int, list[float]]) -> Iterator[Figure]:
    """The exponent, and the rate at each size. `times`: seconds of each run by the number of rows. Pure."""
    for rows, seconds in times.items():
        yield measured(f"backfill of {rows:,} orders", seconds, "s", note=f"{rows / median(seconds):,.0f} rows/s")
    found = exponent(list(times), [median(seconds) for seconds in times.values()])
    yield measured(
        "exponent of time over rows",
        [found],
        "",
        target=f"linear (≤ {LINEAR})",
        met=lambda value: value <= LINEAR,
        note="first poll to last commit; least squares over the logarithms",
    )


def _backfill(task: Task, orders: int, run: int) -> float:
    task.say(f"Backfill of {orders:,} orders, run {run} of {task.runs}")
    with backfilled(task.folder / f"growth-{orders}-{run}", orders) as (stack, backfill):
        expect_equal(stack, versions=orders)
        return backfill.seconds
