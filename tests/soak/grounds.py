"""Where the soak takes place: the embedded stack's servers, its functions' processes, and its AWS.

Looking changes nothing; a stopped process goes on unless it was killed.
"""

import os
import platform
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from pg8000.native import Connection

from services.local.description import CREDENTIALS, StackDescription
from services.local.down import AWS, SOURCE, WAREHOUSE
from services.local.postgres import PORT, SOURCE_DATABASE, SUPERUSER, WAREHOUSE_DATABASE, PostgresServer
from services.local.topology import Topology

APPLICATION = "soak"
DATABASES = {SOURCE: SOURCE_DATABASE, WAREHOUSE: WAREHOUSE_DATABASE}
TIMEOUTS_SECONDS = {"transform": 5, "loader": 6}
"""Of functions that consume a queue: a killed one's messages come back after six times as long, and a soak is short."""
READ = {"x86_64": "0", "aarch64": "63"}.get(platform.machine(), "?")
"""Number of the system call `read`."""
STOPPED_SECONDS = 0.2
"""A process stops within microseconds of its signal, unless the machine is busy."""
AWS_SECONDS = 300.0
"""Longer than any function runs that is waited for."""

_MAKING_CLIENTS = threading.Lock()
"""boto3 makes one at a time; once made, all threads may use it."""


def shortened(topology: Topology) -> Topology:
    """The project's topology with functions that end sooner; what follows from their timeouts follows still."""
    functions = dict(topology.functions)
    for name, seconds in TIMEOUTS_SECONDS.items():
        functions[name] = functions[name].model_copy(update={"timeout_seconds": seconds})
    return topology.model_copy(update={"functions": functions})


@dataclass(frozen=True)
class Grounds:
    """One running stack."""

    description: StackDescription
    topology: Topology

    @property
    def folder(self) -> Path:
        """Of the stack's state."""
        return self.description.state_dir

    def server(self, name: str) -> PostgresServer:
        """The source's or the warehouse's server."""
        return PostgresServer(self.folder / name)

    def session(self, name: str) -> Connection:
        """A superuser's session with the source or the warehouse; the star schema comes first in its search path."""
        session = open_session(self.server(name), DATABASES[name])
        if name == WAREHOUSE:
            session.run(f"SET search_path = {self.description.warehouse_schema}")
        return session

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's AWS."""
        return _client(service, self.description.endpoint_url, self.description.region)

    def workers(self, function: str) -> list[psutil.Process]:
        """The processes that run a function; their scripts lie in folders named after it."""
        beginning = f"{self.folder / AWS / 'tmp'}{os.sep}ministack-lambda-{self.topology.name(function)}-"
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if any(word.startswith(beginning) for word in process.cmdline()):
                    found.append(process)
        return found


def open_session(server: PostgresServer, database: str) -> Connection:
    """A superuser's session of the driver's own, so that nothing of the pipeline is between."""
    socket = str(server.sockets / f".s.PGSQL.{PORT}")
    return Connection(SUPERUSER, unix_sock=socket, database=database, application_name=APPLICATION)


@cache
def _client(service: str, endpoint_url: str, region: str) -> Any:
    """One that waits long and asks once, so that nothing is invoked twice unasked."""
    with _MAKING_CLIENTS:
        return boto3.client(
            service,
            endpoint_url=endpoint_url,
            region_name=region,
            aws_access_key_id=CREDENTIALS,
            aws_secret_access_key=CREDENTIALS,
            config=Config(proxies={}, retries={"total_max_attempts": 1}, read_timeout=AWS_SECONDS),
        )


def busy(process: psutil.Process) -> bool:
    """Whether a function's process is in an invocation: between two it waits for a line on its standard input."""
    try:
        call = Path(f"/proc/{process.pid}/syscall").read_text(encoding="ascii")
    except OSError:
        return False
    return not call.startswith(f"{READ} 0x0 ")


@contextmanager
def frozen(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Hold the processes still, so that what is seen of them stays true until they are killed or go on."""
    for process in processes:
        with suppress(psutil.Error):
            process.suspend()
    deadline = time.monotonic() + STOPPED_SECONDS
    while any(_moves(process) for process in processes) and time.monotonic() < deadline:
        pass
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.Error, OSError):
                process.send_signal(signal.SIGCONT)


def _moves(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    return False
