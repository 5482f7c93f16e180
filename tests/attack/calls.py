"""Every call a service makes to the outside passes one gate, which counts it, may end it, and may make it wait.

A killed service makes no further call, as a dead process makes none; its connections are closed without a word. A
lost one gets the error that a lost connection or endpoint gives, before or after the call took effect, and lives on.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import EndpointConnectionError
from pg8000.native import Connection, DatabaseError, InterfaceError

from shared.errors import Unavailable
from shared.postgres import hang_up

IDLE = b"I"
"""Postgres's word for a session that is in no transaction."""
Watch = Callable[[str, dict[str, Any], list[Any], int], None]
"""Told of each statement that succeeded: text, parameters, rows, number of rows."""


class Killed(BaseException):
    """The process is gone: nothing may catch this and go on."""


class Mode(StrEnum):
    """What a fault does to the service: end it, or tell it that the other side is lost."""

    KILLED = "killed"
    LOST = "lost"


@dataclass(frozen=True)
class Fault:
    """At which call something fails, counted from 1, how, and whether the call took effect."""

    call: int
    mode: Mode
    after: bool

    def __str__(self) -> str:
        return f"{self.mode} {'after' if self.after else 'before'} call {self.call}"


class Gate:
    """The one way out of one service."""

    def __init__(self) -> None:
        self.count = 0
        self.fault: Fault | None = None
        self.struck = False
        self.dead = False
        self.wait_for_turn: Callable[[], None] = lambda: None
        self.backend = 0
        """Process id of the Postgres backend that was called last."""
        self._connections: list[GatedConnection] = []

    def arm(self, fault: Fault | None = None) -> None:
        """Count from 0 again; fail as `fault` says."""
        self.count, self.fault, self.struck = 0, fault, False

    def call(self, do: Callable[[], Any], lose: Callable[[], Exception]) -> Any:
        """Make a call, or fail as was ordered; `lose` gives the error of a lost other side."""
        self._stay_dead()
        self.wait_for_turn()
        self._stay_dead()
        self.count += 1
        fault = self.fault if self.fault is not None and self.fault.call == self.count else None
        if fault is not None and not fault.after:
            self._strike(fault, lose)
        try:
            return do()
        finally:  # an answer that is an error, such as "no such key", is an answer too
            if fault is not None and not self.struck:
                self._strike(fault, lose)

    def pause(self) -> None:
        """A wait of the service's own: others may go on meanwhile."""
        self._stay_dead()
        self.wait_for_turn()
        self._stay_dead()

    def connection(self, pool: "Pool", watch: Watch | None = None) -> "GatedConnection":
        """Open a connection, which is a call, and let each of its statements be one."""
        taken: list[Connection] = []
        try:
            self.call(lambda: taken.append(pool.take()), lambda: Unavailable("The server does not answer."))
        except BaseException:
            for one in taken:
                hang_up(one)
            raise
        made = GatedConnection(taken[0], self, pool, watch)
        self._connections.append(made)
        return made

    def close(self) -> None:
        """Close all connections in good order."""
        for one in self._connections:
            with suppress(InterfaceError):
                one.close()

    def bury(self) -> None:
        """Close what a dead service left open."""
        self.dead = True
        for one in self._connections:
            one.hang_up()
        self._connections = []

    def _stay_dead(self) -> None:
        if self.dead:
            raise Killed

    def _strike(self, fault: Fault, lose: Callable[[], Exception]) -> None:
        self.struck = True
        if fault.mode is Mode.KILLED:
            self.dead = True
            raise Killed
        raise lose()


class Pool:
    """Sessions of one login that are opened once: one that was closed in good order is as good as a new one.

    What a service sets in its session it sets anew in each; what it leaves behind are empty temporary tables.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._free: list[Connection] = []

    def take(self) -> Connection:
        return self._free.pop() if self._free else self._connect()

    def give_back(self, connection: Connection) -> None:
        self._free.append(connection)

    def close(self) -> None:
        for one in self._free:
            hang_up(one)
        self._free = []


class GatedConnection:
    """A connection of which each statement is a call; everything else is the real one's."""

    def __init__(self, real: Connection, gate: Gate, pool: Pool, watch: Watch | None) -> None:
        self._real = real
        self._gate = gate
        self._pool = pool
        self._watch = watch
        self._backend = int.from_bytes(real._backend_key_data[:4], "big")
        self._closed = False
        self._sound = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @property
    def _sock(self) -> None:
        """The real one's is closed with it."""
        return None

    def run(self, sql: str, stream: Any = None, **parameters: Any) -> Any:
        if self._closed:
            raise InterfaceError("connection is closed")
        return self._gate.call(lambda: self._run(sql, stream, parameters), self._lose)

    def close(self) -> None:
        """End it; if nothing was under way, the next one may have the session."""
        if self._closed:
            raise InterfaceError("connection is closed")
        self._closed = True
        if self._sound and self._real._transaction_status == IDLE:
            self._pool.give_back(self._real)
        else:
            hang_up(self._real)

    def hang_up(self) -> None:
        """As the end of its process does, whatever is under way."""
        if not self._closed:
            self._closed = True
            hang_up(self._real)

    def _run(self, sql: str, stream: Any, parameters: dict[str, Any]) -> Any:
        self._gate.backend = self._backend
        self._sound = False
        try:
            rows = self._real.run(sql, stream=stream, **parameters)
        except DatabaseError:
            self._sound = True
            raise
        self._sound = True
        if self._watch is not None:
            self._watch(sql, parameters, rows or [], int(self._real.row_count))
        return rows

    def _lose(self) -> Exception:
        self.hang_up()
        return InterfaceError("network error")


class GatedClient:
    """A client of which each operation is a call."""

    def __init__(self, real: Any, gate: Gate) -> None:
        self._real = real
        self._gate = gate
        self.exceptions = real.exceptions

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._real, name)
        return lambda **arguments: self._gate.call(lambda: operation(**arguments), unreachable)

    def get_paginator(self, name: str) -> Any:
        return _GatedPaginator(self._real.get_paginator(name), self._gate)


class _GatedPaginator:
    def __init__(self, real: Any, gate: Gate) -> None:
        self._real, self._gate = real, gate

    def paginate(self, **arguments: Any) -> Iterator[Any]:
        pages = iter(self._real.paginate(**arguments))
        while (page := self._gate.call(lambda: next(pages, None), unreachable)) is not None:
            yield page


def unreachable() -> Exception:
    return EndpointConnectionError(endpoint_url="https://aws")
