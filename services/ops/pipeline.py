"""Composition of a run: preflight, the embedded stack, the simulator, the status.

Invariant: nothing is decided here, and importing this module connects to nothing.
"""

import time
from collections.abc import Callable, Mapping

from services.local.description import StackDescription
from services.local.simulator import Simulator, SimulatorOptions
from services.local.stack import Stack, StackOptions
from services.ops import preflight
from services.ops.flow import Flow, FlowReader
from services.ops.options import SIMULATE_CHANGES_PER_SECOND, UpOptions
from services.ops.running import collector_of, utc_now, warehouse_of
from services.ops.status import Collector, Status
from services.ops.summary import Summary, count_source, count_stars, first_row
from shared.errors import PipelineError, Unavailable
from shared.objects import ObjectStore
from shared.postgres import Dsn

Progress = Callable[[str], None]
EMBEDDED = "embedded"


class LocalPipeline:
    """One run on the embedded stack, or between the databases that are named."""

    def __init__(self, options: UpOptions) -> None:
        """Take the options; nothing is started."""
        self._options = options
        self._stack: Stack | None = None
        self._collector: Collector | None = None
        self._flow: FlowReader | None = None
        self._simulator: Simulator | None = None

    @property
    def headline(self) -> str:
        """Source and warehouse, without a password."""
        source, warehouse = (
            EMBEDDED if dsn is None else Dsn.parse(dsn).place
            for dsn in (self._options.source_dsn, self._options.warehouse_dsn)
        )
        return f"{source} totesys → {warehouse} warehouse, schema {self._options.warehouse_schema}"

    def start(self, progress: Progress) -> None:
        """Look at the databases named, bring the stack up, with an empty embedded totesys filled before it is read."""
        options = self._options
        named = preflight.Named(
            options.source_dsn, options.warehouse_dsn, preflight.SOURCE_SCHEMA, options.warehouse_schema
        )
        for note in preflight.check(named):
            progress(note)
        self._stack = Stack(_stack_options(options), progress)
        self._stack.start(lambda owner_dsn: self._seed(owner_dsn, progress))
        self._collector = collector_of(self._stack.description)
        self._flow = _flow_of(self._stack.description)

    def simulation(self) -> Simulator | None:
        """The simulator, where it is to change anything."""
        return self._simulator if self._options.changes_per_second else None

    def status(self, window_seconds: float) -> Status:
        """How it is now."""
        return self._running[1].collect(window_seconds)

    def flow(self, batches: int) -> Flow:
        """What arrived lately."""
        return Flow() if self._flow is None else self._flow.look(batches)

    def drain(self, timeout_seconds: float) -> bool:
        """Wait until nothing waits; whether that was reached."""
        return self._running[0].drain(timeout_seconds)

    def summary(self, *, elapsed_seconds: float, drained: bool, simulated: Mapping[str, int]) -> Summary:
        """Count what the run leaves behind."""
        stack, collector = self._running
        books = warehouse_of(stack.description)
        return Summary(
            status=collector.collect(elapsed_seconds),
            source_rows=_source_rows(stack.description.source_dsn),
            stars=count_stars(books),
            elapsed_seconds=elapsed_seconds,
            first_row_seconds=first_row(books, elapsed_seconds),
            drained=drained,
            simulated=simulated,
        )

    def stop(self) -> None:
        """End the stack, however far it came."""
        if self._collector is not None:
            self._collector.close()
        if self._stack is not None:
            self._stack.stop()

    @property
    def _running(self) -> tuple[Stack, Collector]:
        if self._stack is None or self._collector is None:
            raise PipelineError("The pipeline is not running: start it first.")
        return self._stack, self._collector

    def _seed(self, owner_dsn: str, progress: Progress) -> None:
        """Give the embedded totesys its simulator, and its first rows if it has none."""
        options = SimulatorOptions(
            seed=self._options.seed,
            orders=self._options.orders,
            changes_per_second=self._options.changes_per_second or SIMULATE_CHANGES_PER_SECOND,
        )
        self._simulator = Simulator(owner_dsn, options, now=utc_now, sleep=time.sleep)
        seeded = self._simulator.seed_if_empty()
        progress(f"Seeded totesys with {seeded:,} rows" if seeded else "totesys holds rows: it goes on from there")


def _flow_of(description: StackDescription) -> FlowReader:
    """What reads the rows that a running stack loaded last."""
    return FlowReader(
        warehouse_of(description),
        ObjectStore(description.client("s3")),
        description.buckets["archive"],
        running_since=description.running_since,
    )


def _source_rows(dsn: str) -> Mapping[str, int | None]:
    """A source that has gone away must not cost the rest of the summary."""
    try:
        return count_source(dsn, preflight.SOURCE_SCHEMA)
    except Unavailable:
        return {}


def _stack_options(options: UpOptions) -> StackOptions:
    return StackOptions(
        state_dir=options.state_dir,
        source_dsn=options.source_dsn,
        warehouse_dsn=options.warehouse_dsn,
        warehouse_schema=options.warehouse_schema,
        time_zone=options.time_zone,
        poll_interval_seconds=options.poll_interval_seconds,
        reconcile_interval_seconds=options.reconcile_interval_seconds,
        port=options.port,
    )
