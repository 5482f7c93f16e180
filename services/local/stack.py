"""The whole path on one machine: databases, emulated AWS and the deployed functions, started and stopped together.

Invariant: at most one stack runs under a state folder, nothing of it runs after `stop` (however far `start` came), and
a watchdog sees to that if this process is killed. A second start of the same folder goes on with its state: databases,
buckets and checkpoint are kept, what the emulator's queues lost is sent again.
"""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from contracts.feeds import FEEDS
from services.loader.migrate import migrate
from services.local import postgres, watchdog
from services.local.deploy import Choices, Deployment, begin, deploy, warm
from services.local.description import FILE, REGION, StackDescription
from services.local.down import AWS, SOURCE, WAREHOUSE, end_leftovers
from services.local.emulator import Emulator
from services.local.lock import UpLock
from services.local.postgres import PostgresServer
from services.local.processes import Process
from services.local.recover import Recovery
from services.local.settings import CommandSettings
from services.local.space import NEEDED_BYTES
from services.local.topology import MINUTE_SECONDS, Topology, topology
from shared.checkpoint import CheckpointStore
from shared.errors import CheckpointConflict, ConfigurationError, PipelineError
from shared.objects import ObjectStore
from shared.postgres import Connection, Dsn, connect, identifier, rows_of
from shared.queues import Queue
from shared.settings import Settings

EMBEDDED = "embedded"
USUAL = [EMBEDDED, EMBEDDED, Settings.model_fields["warehouse_schema"].default]
"""The pipeline whose folder has a name to read; any other's is a digest of what it runs between."""
DRAIN_POLL_SECONDS = 0.2
LAST_POLL_SECONDS = 15.0
"""How long the poller may take to come round to every feed once more before it is stopped."""
LEASE_SECONDS = 3.0
"""On one machine nothing is gained by a longer one, and the checkpoint's signs of life come every second."""
BEGUN = ("poller", "loader")
"""Functions that import at once. The first changes come before a transform could have imported, and start another."""
SETTLE_POLLS = 2
"""Polls the reconciler gives a change to be captured; from then on it knows what is in flight."""
CONFLICTS = 100
"""Tries to move the checkpoint against a poller that moves it too, several times a second at most."""


@dataclass(frozen=True)
class StackOptions:
    """What one stack runs between. `state_dir` holds all stacks, each pair of databases in a folder of its own."""

    state_dir: Path
    source_dsn: str | None
    """None: an embedded totesys."""
    warehouse_dsn: str | None
    """None: an embedded warehouse."""
    warehouse_schema: str
    time_zone: str
    poll_interval_seconds: float
    reconcile_interval_seconds: float
    port: int | None
    """Of the emulated AWS; None for any free one."""
    warm: bool = False
    """Whether the queues' functions are imported before the first poll, as those of a deployment at work are."""

    @property
    def folder(self) -> Path:
        """Where this pair of databases keeps its state: another pair, or schema, is another pipeline."""
        places = [EMBEDDED if dsn is None else Dsn.parse(dsn).place for dsn in (self.source_dsn, self.warehouse_dsn)]
        pipeline = [*places, self.warehouse_schema]
        return self.state_dir.absolute() / (EMBEDDED if pipeline == USUAL else _digest("\n".join(pipeline)))

    @property
    def reconcile_minutes(self) -> int:
        """The reconciler's period. Raises ConfigurationError for what EventBridge cannot schedule."""
        minutes = round(self.reconcile_interval_seconds / MINUTE_SECONDS)
        if minutes < 1 or minutes * MINUTE_SECONDS != self.reconcile_interval_seconds:
            raise ConfigurationError(
                "Expected a reconcile interval of whole minutes, which is what EventBridge can schedule, found "
                f"{self.reconcile_interval_seconds:g} seconds: choose 60, 120, …"
            )
        return minutes


@dataclass(frozen=True)
class Databases:
    """DSNs by who uses them."""

    reader: str
    source_owner: str | None
    warehouse_owner: str
    loader: str
    loader_role: str | None
    analyst_role: str | None


class Stack:
    """One embedded stack; a context manager that starts nothing by itself and always stops."""

    def __init__(
        self, options: StackOptions, progress: Callable[[str], None], deployed: Topology | None = None
    ) -> None:
        """Take the options, whoever is told of each step, and what to deploy if it is not the project's own topology.

        Raises ConfigurationError for options that cannot be.
        """
        self._options = options
        self._topology = topology() if deployed is None else deployed
        self._progress = progress
        self._reconcile_minutes = options.reconcile_minutes
        self._emulator = Emulator(options.folder / AWS, options.port)
        self._servers = {
            name: PostgresServer(options.folder / name)
            for name, dsn in ((SOURCE, options.source_dsn), (WAREHOUSE, options.warehouse_dsn))
            if dsn is None
        }
        self._started = ExitStack()
        self._description: StackDescription | None = None

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, whatever happened."""
        self.stop()

    @property
    def description(self) -> StackDescription:
        """What runs and where. Raises PipelineError before `start` has ended."""
        if self._description is None:
            raise PipelineError("The stack is not running: start it first.")
        return self._description

    def start(self, prepare: Callable[[str], None] | None = None) -> None:
        """Bring everything up; the poller polls when this returns, unless an operator has paused it.

        `prepare` is given the DSN of an embedded source's owner before anything reads it. Raises ConfigurationError
        (another `totes up`, port taken, disk full, no permission, a database that refuses), Unavailable.
        """
        with _in_words(self._options.state_dir):
            self._claim()
            self._progress("Starting the databases")
            databases = self._start_databases()
            if prepare is not None and databases.source_owner is not None:
                prepare(databases.source_owner)
            self._progress("Starting the emulated AWS")
            self._started.callback(self._emulator.stop)
            self._emulator.start()
            self._migrate(databases)
            self._progress("Deploying the functions")
            deployment = self._deploy(databases)
            # Whoever polled before is gone for certain, so that nobody need wait for his lease to end.
            self._move_checkpoint(deployment, {"draining": False, "resting": True})
            self._recover(deployment, databases)
            if self._options.warm:
                warm(self._emulator, self._topology)
            for function in BEGUN:
                begin(self._emulator, self._topology, function)
            self._description = self._describe(deployment, databases)
            self._started.callback((self._root / FILE).unlink, missing_ok=True)
            self._description.write(self._root)

    def drain(self, timeout_seconds: float) -> bool:
        """Let the poller see what was committed, stop it, wait until all that is archived is loaded or parked.

        Whether that was reached in time.
        """
        description = self.description
        deadline = time.monotonic() + timeout_seconds
        seen = self._seen_everything(description, min(deadline, time.monotonic() + LAST_POLL_SECONDS))
        deployment = Deployment(description.buckets, description.queues, description.dead_letter_queues)
        self._move_checkpoint(deployment, {"draining": True})
        sqs = self._emulator.client("sqs")
        queues = [Queue(sqs, url) for url in description.queues.values()]
        while time.monotonic() < deadline:
            empty = not any(queue.depth().total for queue in queues)
            if empty and not self._republish(deployment, description.warehouse_dsn):
                return seen
            time.sleep(DRAIN_POLL_SECONDS)
        return False

    def stop(self) -> None:
        """End everything that was started, in reverse order; nothing happens the second time."""
        self._description = None
        self._started.close()

    @property
    def _root(self) -> Path:
        return self._options.state_dir.absolute()

    def _claim(self) -> None:
        """The state folder is ours alone, watched over, and what a killed run left there is ended."""
        self._root.mkdir(parents=True, exist_ok=True)
        lock = UpLock(self._root)
        if not lock.acquire():
            holder = lock.holder()
            raise ConfigurationError(
                f"Another `totes up` runs in {self._root}{f' (process {holder.pid})' if holder else ''}: end it with "
                "Ctrl-C or `totes down`, or choose another folder with --state-dir."
            )
        self._started.callback(lock.release)
        self._started.callback(watchdog.stop, watchdog.start(self._root))
        for ended in end_leftovers(self._root):
            self._progress(f"A killed run had left {ended}: ended")
        _expect_room(self._root, is_new=not self._options.folder.exists())
        self._options.folder.mkdir(exist_ok=True)

    def _start_databases(self) -> Databases:
        """Both servers at once: most of it is waiting for the disk."""
        for server in self._servers.values():
            self._started.callback(server.stop)
        with ThreadPoolExecutor() as pool:
            list(pool.map(PostgresServer.start, self._servers.values()))
        source, warehouse = self._servers.get(SOURCE), self._servers.get(WAREHOUSE)
        given = self._options
        if source is not None:
            owner: str | None = postgres.prepare_source(source, given.time_zone)
            reader = source.dsn(postgres.READER, postgres.SOURCE_DATABASE)
        else:
            owner, reader = None, given.source_dsn or ""
        if warehouse is None:
            dsn = given.warehouse_dsn or ""
            return Databases(reader, owner, dsn, dsn, None, None)
        postgres.prepare_warehouse(warehouse)
        warehouse_owner, loader = (
            warehouse.dsn(role, postgres.WAREHOUSE_DATABASE) for role in (postgres.OWNER, postgres.LOADER)
        )
        return Databases(reader, owner, warehouse_owner, loader, postgres.LOADER, postgres.ANALYST)

    def _migrate(self, databases: Databases) -> None:
        applied = migrate(
            databases.warehouse_owner,
            self._options.warehouse_schema,
            loader_role=databases.loader_role,
            analyst_role=databases.analyst_role,
        )
        if applied:
            self._progress(f"Migrated the warehouse: {', '.join(applied)}")

    def _deploy(self, databases: Databases) -> Deployment:
        choices = Choices(
            secrets={SOURCE: databases.reader, WAREHOUSE: databases.loader},
            every_minutes={"reconciler": self._reconcile_minutes},
            settings={
                "lease_seconds": f"{LEASE_SECONDS:g}",
                "settle_seconds": f"{SETTLE_POLLS * self._options.poll_interval_seconds:g}",
                **chosen_settings(CommandSettings()),
                "warehouse_schema": self._options.warehouse_schema,
                "time_zone": self._options.time_zone,
                "poll_interval_seconds": f"{self._options.poll_interval_seconds:g}",
            },
        )
        return deploy(self._emulator, self._topology, choices)

    def _recover(self, deployment: Deployment, databases: Databases) -> None:
        sent = self._republish(deployment, databases.loader)
        if sent:
            self._progress(f"Sent {sent} change batches again that were archived and not yet loaded")

    def _seen_everything(self, description: StackDescription, deadline: float) -> bool:
        """Wait until every feed that is polled is as of now by the source's clock; a stopped poller never will be."""
        now = _clock(description.source_dsn)
        store = CheckpointStore(ObjectStore(self._emulator.client("s3")), description.buckets["control"])
        while now is not None and time.monotonic() < deadline:
            checkpoint = store.load()
            feeds = [checkpoint.feed(name) for name in FEEDS]
            still = checkpoint.paused or checkpoint.draining
            if still or all(
                feed.stopped or feed.paused or (feed.as_of is not None and feed.as_of >= now) for feed in feeds
            ):
                return True
            time.sleep(DRAIN_POLL_SECONDS)
        return False

    def _republish(self, deployment: Deployment, warehouse_dsn: str) -> int:
        sqs = self._emulator.client("sqs")
        with _warehouse(warehouse_dsn, self._options.warehouse_schema) as warehouse:
            return Recovery(
                objects=ObjectStore(self._emulator.client("s3")),
                archive=deployment.buckets["archive"],
                changes=Queue(sqs, deployment.queues["changes"]),
                warehouse=warehouse,
                dead_letters=tuple(Queue(sqs, url) for url in deployment.dead_letter_queues.values()),
            ).republish()

    def _move_checkpoint(self, deployment: Deployment, change: Mapping[str, bool]) -> None:
        """Against whoever moves it at the same time; that one then notices."""
        store = CheckpointStore(ObjectStore(self._emulator.client("s3")), deployment.buckets["control"])
        for _ in range(CONFLICTS):
            try:
                store.move(store.load().model_copy(update=change))
            except CheckpointConflict:
                time.sleep(DRAIN_POLL_SECONDS)
            else:
                return
        raise PipelineError(f"The poller was faster {CONFLICTS} times when its checkpoint was to be moved: try again.")

    def _describe(self, deployment: Deployment, databases: Databases) -> StackDescription:
        processes = [self._emulator.process(), *(server.process() for server in self._servers.values())]
        me = Process.of("totes up", os.getpid())
        if me is None:
            raise PipelineError("This process cannot see itself: is /proc mounted?")
        return StackDescription(
            up=me,
            children=tuple(process for process in processes if process is not None),
            state_dir=self._options.folder,
            endpoint_url=self._emulator.endpoint_url,
            region=REGION,
            buckets=deployment.buckets,
            queues=deployment.queues,
            dead_letter_queues=deployment.dead_letter_queues,
            source_dsn=databases.reader,
            source_owner_dsn=databases.source_owner,
            warehouse_dsn=databases.loader,
            warehouse_owner_dsn=databases.warehouse_owner,
            loader_role=databases.loader_role,
            analyst_role=databases.analyst_role,
            warehouse_schema=self._options.warehouse_schema,
            time_zone=self._options.time_zone,
        )


def chosen_settings(settings: Settings) -> Mapping[str, str]:
    """What somebody set in the environment or a `.env` file: functions see neither, so it is passed on."""
    return {name: f"{getattr(settings, name)}" for name in settings.model_fields_set}


def _clock(source_dsn: str) -> datetime | None:
    """The source's clock, None where the source is away."""
    try:
        with connect(
            Dsn.parse(source_dsn),
            application_name="totes up",
            statement_timeout_seconds=postgres.STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=postgres.LOCK_TIMEOUT_SECONDS,
        ) as source:
            [[clock]] = rows_of(source, "SELECT clock_timestamp()")
    except PipelineError:
        return None
    return cast(datetime, clock)


@contextmanager
def _warehouse(dsn: str, schema: str) -> Iterator[Connection]:
    """A session of the loader's that sees the star schema."""
    with connect(
        Dsn.parse(dsn),
        application_name="totes up",
        statement_timeout_seconds=postgres.STATEMENT_TIMEOUT_SECONDS,
        lock_timeout_seconds=postgres.LOCK_TIMEOUT_SECONDS,
    ) as connection:
        connection.run(f"SET search_path = {identifier(schema)}")
        yield connection


def _expect_room(root: Path, *, is_new: bool) -> None:
    """Raises ConfigurationError where a new stack would fill the disk."""
    free = shutil.disk_usage(root).free
    if is_new and free < NEEDED_BYTES:
        raise ConfigurationError(
            f"Expected {NEEDED_BYTES // 2**20} MiB of free space in {root} for a new stack and found "
            f"{free // 2**20} MiB: make room, or choose another folder with --state-dir."
        )


@contextmanager
def _in_words(root: Path) -> Iterator[None]:
    """What the system refuses, in one sentence each."""
    try:
        yield
    except OSError as exc:
        place = exc.filename or root
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConfigurationError(f"The disk is full at {place}: make room, then start again.") from exc
        if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise ConfigurationError(
                f"Expected to be allowed to write in {root} and was not ({place}: {exc.strerror}): grant it, or choose "
                "another folder with --state-dir."
            ) from exc
        raise


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
