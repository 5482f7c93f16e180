"""What a measurement comes to, and what a part of the bench is. Pure: no clock, no database.

Invariant: a figure is the median of its runs, and what stands beside it as its limit was measured in the same run and
has the same unit, so that their ratio means something on any machine.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from statistics import fmean, median
from typing import Any, Protocol


@dataclass(frozen=True)
class Figure:
    """One measured figure: its name, its value and unit, and what it is held against.

    `low` and `high` are the least and the greatest of its runs. `limit` is what the same run measured as the least or
    most that is possible, named by `limit_name`; None where there is none. `target` is what is wanted, in words, and
    `met` whether it was reached; both are empty where nothing is asked. `note` is what a reader must know, the cause of
    a miss first.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float
    limit: float | None = None
    limit_name: str = ""
    target: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The value in limits; None where nothing stands beside it."""
        return self.value / self.limit if self.limit else None

    def as_json(self) -> dict[str, Any]:
        """What is written to a file: the fields and the ratio."""
        return asdict(self) | {"ratio": self.ratio}


def measured(  # noqa: PLR0913 - a figure's fields
    name: str,
    samples: Sequence[float],
    unit: str,
    *,
    limits: Sequence[float] = (),
    limit_name: str = "",
    target: str = "",
    met: Callable[[float], bool] | None = None,
    note: str = "",
) -> Figure:
    """The figure of several runs, and of as many of its limit; `met` judges the median.

    Raises ValueError without a sample.
    """
    if not samples:
        raise ValueError(f"Expected a sample of {name} at least, found none.")
    value = median(samples)
    return Figure(
        name=name,
        value=value,
        unit=unit,
        low=min(samples),
        high=max(samples),
        limit=median(limits) if limits else None,
        limit_name=limit_name,
        target=target,
        met=None if met is None else met(value),
        note=note,
    )


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The exponent by which time grows with size: 1 is linear. Least squares over the logarithms, of two sizes or more.

    Raises ValueError where there are fewer sizes, or one is measured against itself alone.
    """
    xs, ys = [log(size) for size in sizes], [log(time) for time in times]
    if len(set(xs)) < 2:  # noqa: PLR2004 - a line needs two points
        raise ValueError(f"Expected two sizes at least, found {sorted(set(sizes))}.")
    x_mean, y_mean = fmean(xs), fmean(ys)
    rise = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return rise / sum((x - x_mean) ** 2 for x in xs)


@dataclass(frozen=True)
class Task:
    """What a part is asked for: how many runs, how many orders, whether also what takes long, and where it may write.

    `folder` is empty and the part's own; it is removed afterwards. `say` tells whoever waits what is being done.
    """

    runs: int
    orders: int
    full: bool
    folder: Path
    say: Callable[[str], None]


class Part(Protocol):
    """A part of the bench: `measure` in a module of its own, which `services.ops.bench.parts` names."""

    def __call__(self, task: Task, /) -> Sequence[Figure]:
        """Measure. Whatever it starts has ended when this returns or raises."""
