"""Kills stages with SIGKILL, mostly at a moment when they hold a message or an open transaction.

To know that moment the stage's processes are stopped first, then looked at, and then killed or let go. A server is
killed while the processes that talk to it are stopped, with their transactions open. Each kill is recorded with what
was held; a server is started again, functions are left to the emulated AWS.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import psutil
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from services.local.down import SOURCE, WAREHOUSE
from shared.errors import ConfigurationError
from tests.soak.grounds import DATABASES, Grounds, busy, frozen

STAGES = ("poller", "transform", "loader", "reconciler", SOURCE, WAREHOUSE)
TALKS_TO = {
    "poller": (SOURCE,),
    "transform": (),
    "loader": (WAREHOUSE,),
    "reconciler": (SOURCE, WAREHOUSE),
}
CONSUMERS = ("transform", "loader")
TRANSACTION, MESSAGE, NOTHING = "transaction", "message", ""
AIMED_SHARE = 0.85
"""Of kills: the others come at any moment, as an outage does."""
PICKY_SHARE = 0.5
"""Of aimed kills: these wait for an open transaction where a message alone would do."""
PATIENCE_SECONDS = 8.0
"""How long an aimed kill waits for its moment: more than one run of the reconciler."""
LOOK_SECONDS = 0.015
"""Between two looks, so that a stage that is often stopped still gets on."""
LONGEST_OUTAGE_SECONDS = 2.0
"""Of a server, beside what its recovery takes."""
START_TRIES = 5
STALE_SECONDS = 3.0
"""How long a late kill waits for a process of its stage to be there at all."""
WHOLE_SERVER_SHARE = 0.5
"""Of a server's kills: its backends are killed with it; else they notice and end, some after their COMMIT."""
_OPEN = """
SELECT count(*) FROM pg_stat_activity
 WHERE application_name = ANY(CAST(:names AS text[])) AND xact_start IS NOT NULL"""


@dataclass(frozen=True)
class Kill:
    """One kill: what was held then, '' for nothing."""

    stage: str
    at: datetime
    held: str


@dataclass
class Hunt:
    """The kills of one soak."""

    grounds: Grounds
    random: Random
    per_minute: float
    kills: list[Kill] = field(default_factory=list)
    restarts: int = 0
    """Of servers."""
    source_starts: list[datetime] = field(default_factory=list)
    missed: int = 0
    """Kills that found no process of their stage."""
    _watches: dict[str, Connection] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        """Kill until told to stop: each stage once a round, each round in another order, at an even pace."""
        due = time.monotonic()
        for stage in self._stages():
            due += self.random.uniform(0.7, 1.3) * 60 / self.per_minute
            if stop.wait(max(0.0, due - time.monotonic())):
                break
            self._strike(stage)
        for server in tuple(self._watches):
            self._forget(server)

    def _stages(self) -> Iterator[str]:
        while True:
            yield from self.random.sample(STAGES, len(STAGES))

    def note_source_start(self) -> None:
        """Remember when the source's server was started: counts of its transactions are compared within one start."""
        with self.grounds.session(SOURCE) as session:
            [[started]] = session.run("SELECT pg_postmaster_start_time()")
        self.source_starts.append(started)

    def _strike(self, stage: str) -> None:
        """Kill a stage once, at a moment that suits or, after a while, at any."""
        functions = [stage] if stage in TALKS_TO else [name for name, servers in TALKS_TO.items() if stage in servers]
        patience = PATIENCE_SECONDS if self.random.random() < AIMED_SHARE else 0.0
        deadline = time.monotonic() + patience
        picky = TALKS_TO.get(stage) != () and self.random.random() < PICKY_SHARE
        suits = (TRANSACTION,) if picky else (TRANSACTION, MESSAGE)
        while not self._kill_if(stage, functions, suits if time.monotonic() < deadline else (*suits, MESSAGE, NOTHING)):
            if time.monotonic() >= deadline + STALE_SECONDS:
                self.missed += 1
                return
            time.sleep(LOOK_SECONDS)
        if stage in DATABASES:
            self._start(stage)

    def _kill_if(self, stage: str, functions: Sequence[str], suits: Sequence[str]) -> bool:
        """Whether it was killed, because what it holds suits."""
        processes = [process for function in functions for process in self.grounds.workers(function)]
        with frozen(processes):
            held = self._held(stage, functions, processes)
            victims = processes if stage in TALKS_TO else self._server_processes(stage)
            if not victims or held not in suits:
                return False
            self.kills.append(Kill(stage, datetime.now(UTC), held))
            for process in victims:
                with suppress(psutil.Error):
                    process.kill()
            return True

    def _held(self, stage: str, functions: Sequence[str], processes: Sequence[psutil.Process]) -> str:
        for server in TALKS_TO.get(stage, (stage,)):
            if self._has_open_transaction(server, functions):
                return TRANSACTION
        return MESSAGE if stage in CONSUMERS and any(busy(process) for process in processes) else NOTHING

    def _has_open_transaction(self, server: str, functions: Sequence[str]) -> bool:
        try:
            if server not in self._watches:
                self._watches[server] = self.grounds.session(server)
            [[count]] = self._watches[server].run(_OPEN, names=[f"totes-{function}" for function in functions])
        except (DatabaseError, InterfaceError, OSError):
            self._forget(server)
            return False
        return bool(count)

    def _forget(self, server: str) -> None:
        session = self._watches.pop(server, None)
        if session is not None:
            with suppress(DatabaseError, InterfaceError, OSError):
                session.close()

    def _server_processes(self, stage: str) -> list[psutil.Process]:
        """Of a server: its first process alone, or all of them, as happens."""
        first = self.grounds.server(stage).process()
        running = first.running() if first else None
        if running is None:
            return []
        return [running, *(running.children() if self.random.random() < WHOLE_SERVER_SHARE else [])]

    def _start(self, stage: str) -> None:
        """Start a killed server again after a while."""
        time.sleep(self.random.uniform(0, LONGEST_OUTAGE_SECONDS))
        for attempt in range(START_TRIES):
            try:
                self.grounds.server(stage).start()
                break
            except ConfigurationError:
                if attempt == START_TRIES - 1:
                    raise
                time.sleep(1)
        self.restarts += 1
        if stage == SOURCE:
            self.note_source_start()


def counted(kills: Sequence[Kill]) -> dict[str, dict[str, int]]:
    """Kills of each stage, and how many of them held something."""
    return {
        stage: {
            "kills": sum(kill.stage == stage for kill in kills),
            "held_transaction": sum(kill.stage == stage and kill.held == TRANSACTION for kill in kills),
            "held_message": sum(kill.stage == stage and kill.held == MESSAGE for kill in kills),
        }
        for stage in STAGES
    }
