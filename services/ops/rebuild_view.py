"""How far a rebuild or a replay of the archive is: a bar on a terminal, plain lines anywhere else.

Invariant: it only shows; progress goes to stderr, so that standard output is the result alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from services.ops.rebuild import Failed, Progress

PLAIN_SECONDS = 10.0
"""Between two lines where there is no terminal."""
_LEAST_SECONDS = 0.001
"""A speed needs some time to be told of."""


class Bar:
    """A bar with rows a second and the time that is left."""

    def __init__(self, bars: Bars, total: int, now: Callable[[], float]) -> None:
        """Take the bars, the batches to come, and a monotonic clock in seconds."""
        self._bars = bars
        self._speed = Speed(now)
        self._task = bars.add_task("", total=total, speed="")

    def moved(self, feed: str, batches: int, rows: int) -> None:
        """See Progress."""
        self._speed.count(rows)
        self._bars.update(self._task, advance=batches, description=feed, speed=str(self._speed))


class Lines:
    """A line when a feed begins, and every some seconds."""

    def __init__(self, console: Console, total: int, now: Callable[[], float]) -> None:
        """Take where to print, the batches to come, and a monotonic clock in seconds."""
        self._console = console
        self._total = total
        self._now = now
        self._speed = Speed(now)
        self._batches = 0
        self._feed = ""
        self._due = now()

    def moved(self, feed: str, batches: int, rows: int) -> None:
        """See Progress."""
        self._speed.count(rows)
        self._batches += batches
        if feed != self._feed or self._now() >= self._due or self._batches == self._total:
            self._feed, self._due = feed, self._now() + PLAIN_SECONDS
            self._console.print(f"{feed}: {self._batches:,} of {self._total:,} batches, {self._speed}", soft_wrap=True)


class Speed:
    """Rows a second since the beginning."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Take a monotonic clock in seconds."""
        self._now = now
        self._began = now()
        self._rows = 0

    def count(self, rows: int) -> None:
        """So many rows more."""
        self._rows += rows

    def __str__(self) -> str:
        """In words."""
        return f"{self._rows / max(self._now() - self._began, _LEAST_SECONDS):,.0f} rows/s"


@contextmanager
def watching(console: Console, total: int, now: Callable[[], float]) -> Iterator[Progress]:
    """Show how far it is until it ends."""
    if not console.is_terminal:
        yield Lines(console, total, now)
        return
    columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn())
    with Bars(*columns, TextColumn("{task.fields[speed]}"), TimeRemainingColumn(), console=console) as bars:
        yield Bar(bars, total, now)


def failures(count: int, named: Sequence[Failed]) -> list[str]:
    """The batches that failed, a line each."""
    lines = [f"{count:,} batches failed, and stopped no other:"] if count else []
    lines += [f"  {one.key}: {one.reason}" for one in named]
    return lines + ([f"  … and {count - len(named):,} more"] if count > len(named) else [])
