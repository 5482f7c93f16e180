"""A pipeline that holds state and fails on request, and statuses as tests need them."""

import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import Event

from rich.console import Console

from contracts.feeds import FEEDS
from contracts.star import STAR_TABLES, Kind
from services.ops.flow import Flow
from services.ops.status import FeedStatus, Freshness, QueueStatus, Status
from services.ops.summary import StarCount, Summary
from services.ops.up import Interruption, run

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
FRESH = Freshness(p50_ms=640.4, p99_ms=2_310.0, samples=1_234, window_seconds=60)


def feed_status(name: str, **fields: object) -> FeedStatus:
    star = FEEDS[name].star
    usual: dict[str, object] = {
        "rows_captured": 12,
        "rows_loaded": 0 if star is None else 12,
        "rows_quarantined": 0,
        "as_of": NOW,
        "lag_seconds": 0.7,
        "look_back_seconds": 3_725.0,
        "generation": 1,
        "revision": 3_729,
        "stopped": None,
        "star_table": None if star is None else star.table,
    }
    return FeedStatus(**(usual | fields))


def queue_status(**fields: object) -> QueueStatus:
    usual: dict[str, object] = {"visible": 0, "in_flight": 0, "oldest_seconds": None, "parked": 0}
    return QueueStatus(**(usual | fields))


def status_of(
    feeds: Mapping[str, Mapping[str, object]] | None = None,
    queues: Mapping[str, Mapping[str, object]] | None = None,
    freshness: Freshness = FRESH,
    **fields: object,
) -> Status:
    """A healthy pipeline, but for what is said."""
    return Status(
        at=NOW,
        paused=bool(fields.pop("paused", False)),
        feeds={name: feed_status(name, **(feeds or {}).get(name, {})) for name in FEEDS},
        queues={name: queue_status(**(queues or {}).get(name, {})) for name in ("changes", "loads")},
        freshness=freshness,
        **fields,
    )


def summary_of(status: Status, **fields: object) -> Summary:
    stars = {table.table: StarCount(40, 31 if table.kind() is Kind.FACT else None) for table in STAR_TABLES}
    usual: dict[str, object] = {
        "status": status,
        "source_rows": dict.fromkeys(FEEDS, 12),
        "stars": stars,
        "elapsed_seconds": 65.0,
        "first_row_seconds": 4.2,
        "drained": True,
    }
    return Summary(**(usual | fields))


class FakeSimulation:
    """Counts until it is stopped; fails at once if it is given an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.ended = False
        self.counts = {"order": 3, "silent_update": 0}

    def run(self, stop: Event) -> None:
        if self.error is not None:
            raise self.error
        stop.wait()
        self.ended = True


class FakePipeline:
    """Remembers what was asked of it, in order; `fail` raises at a step, `waiting` messages never drain."""

    headline = "fake totesys → fake warehouse"

    def __init__(
        self,
        simulated: FakeSimulation | None = None,
        fail: Mapping[str, BaseException] | None = None,
        waiting: int = 0,
        at_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.simulated = simulated
        self.waiting = waiting
        self.steps: list[str] = []
        self.running = False
        self.windows: list[float] = []
        self._fail = dict(fail or {})
        self._at_step = at_step

    def start(self, progress: Callable[[str], None]) -> None:
        self.running = True
        progress("Starting the databases")
        self._step("start")

    def simulation(self) -> FakeSimulation | None:
        return self.simulated

    def status(self, window_seconds: float) -> Status:
        self.windows.append(window_seconds)
        self._step("status")
        return status_of()

    def flow(self, batches: int) -> Flow:
        return Flow()

    def drain(self, timeout_seconds: float) -> bool:
        self._step("drain")
        return not self.waiting

    def summary(self, *, elapsed_seconds: float, drained: bool, simulated: Mapping[str, int]) -> Summary:
        self._step("summary")
        return summary_of(status_of(), elapsed_seconds=elapsed_seconds, drained=drained, simulated=simulated)

    def stop(self) -> None:
        self._step("stop")
        self.running = False

    def _step(self, step: str) -> None:
        self.steps.append(step)
        self._at_step(step)
        if step in self._fail:
            raise self._fail[step]


def main() -> None:
    """A run of its own in a process of its own, for signals: `python -m tests.ops.fakes <step at which it dwells>`."""

    def dwell(step: str) -> None:
        print(step, flush=True)
        if step == sys.argv[1]:
            time.sleep(30)

    with Interruption().installed() as interruption:
        pipeline = FakePipeline(at_step=dwell)
        try:
            run(pipeline, seconds=0, console=Console(), monotonic=time.monotonic, interruption=interruption)
        except KeyboardInterrupt:
            print("broken off", flush=True)
        print(f"running {pipeline.running}", flush=True)


if __name__ == "__main__":
    main()
