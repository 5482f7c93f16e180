"""Superset as processes: prepared, served on this machine's loopback address, ended.

Invariant: Superset runs in an environment of its own with an interpreter of its own; nothing of it is imported here. It
ends with us, however we end: it watches its standard input, which the system closes. Key and password are random, one
of each an installation, and readable by their owner alone.
"""

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from services.dashboards.warehouse import Warehouse
from services.local.processes import Process, end
from shared.errors import ConfigurationError, PipelineError

INSIDE = Path(__file__).with_name("inside")
ASSETS = Path(__file__).with_name("assets")
HOST = "127.0.0.1"
USUAL_PORT = 8088
SECRET_BYTES = 32
START_SECONDS = 180.0
"""Longer than an idle laptop (10 s) and a busy one take."""
LOOK_SECONDS = 0.2
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Superset:
    """One installation: its interpreter, the folder of what is its own, and the warehouse that it reads."""

    python: Path
    home: Path
    warehouse: Warehouse

    @classmethod
    def installed(cls, folder: Path, home: Path, warehouse: Warehouse) -> "Superset":
        """The one in that environment. Raises ConfigurationError if there is none."""
        python = folder.absolute() / "bin" / "python"
        if not python.exists() or not any(folder.glob("lib/python*/site-packages/superset")):
            raise ConfigurationError(
                f"Expected Superset in {folder} and found none: install it with `make dashboard`, which does so once."
            )
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(python, home, warehouse)

    @property
    def log(self) -> Path:
        """What Superset says."""
        return self.home / "superset.log"

    @property
    def password(self) -> str:
        """Of the login `totes`, also the last part of the address that signs in."""
        return _kept(self.home / "password")

    def prepare(self, assets: Path = ASSETS) -> None:
        """Make its database and import the files, where that is not done yet. Raises PipelineError."""
        with self.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 - our own script
                [self.python, INSIDE / "prepare.py", self.home, assets],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise PipelineError(f"Superset could not be prepared: the end of {self.log} says why.")

    def exported(self) -> Mapping[str, str]:
        """Every database, dataset, chart and dashboard as Superset exports it: name of the file -> its YAML."""
        with self.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 - our own script
                [self.python, INSIDE / "export.py"],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                check=False,
            )
        if done.returncode != 0:
            raise PipelineError(f"Superset could not export its dashboards: the end of {self.log} says why.")
        files: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
        return files

    def serve(self, port: int) -> "Server":
        """Start to serve; returns when it answers. Raises PipelineError if it ends or stays silent."""
        application = "superset.app:create_app()"
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - gunicorn, of Superset's own environment
                [self.python, "-m", "gunicorn", "-c", INSIDE / "serving.py", "-b", f"{HOST}:{port}", application],
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for us alone: we end it when it is time
            )
        server = Server(process, port, self.password)
        try:
            server.wait_until_it_answers(self.log)
        except BaseException:
            server.stop()
            raise
        return server

    def _environment(self) -> dict[str, str]:
        mine = {
            "SUPERSET_CONFIG_PATH": str(INSIDE / "config.py"),
            "SUPERSET_HOME": str(self.home),
            "TOTES_SUPERSET_SECRET_KEY": _kept(self.home / "secret-key"),
            "TOTES_SUPERSET_PASSWORD": self.password,
            "TOTES_SUPERSET_CONNECT": json.dumps(self.warehouse.driver_arguments()),
            "TZ": "UTC",
        }
        return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FLASK_"))} | mine


@dataclass(frozen=True)
class Server:
    """A Superset that serves."""

    process: "subprocess.Popen[bytes]"
    port: int
    password: str

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.port}"

    @property
    def door(self) -> str:
        """The address that signs in and shows the first dashboard."""
        return f"{self.url}/open/{self.password}"

    def running(self) -> bool:
        """Whether it still serves."""
        return self.process.poll() is None

    def wait_until_it_answers(self, log: Path) -> None:
        """Raises PipelineError if it ends or stays silent."""
        deadline = time.monotonic() + START_SECONDS
        while self.running() and time.monotonic() < deadline:
            with suppress(URLError, OSError), urlopen(f"{self.url}/health", timeout=START_SECONDS):  # noqa: S310 # nosec B310
                return
            time.sleep(LOOK_SECONDS)
        raise PipelineError(f"Superset did not start to serve: the end of {log} says why.")

    def stop(self) -> None:
        """End it; nothing happens the second time."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        found = Process.of("superset", self.process.pid) if self.running() else None
        if found is not None:
            end(found, seconds=STOP_SECONDS)
        self.process.wait()


def free_port(wanted: int | None) -> int:
    """That port of the loopback address, else the usual one, else any. Raises ConfigurationError if it is taken."""
    for port in (wanted,) if wanted is not None else (USUAL_PORT, 0):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                tried.bind((HOST, port))
                return int(tried.getsockname()[1])
    raise ConfigurationError(
        f"Expected port {wanted} of {HOST} to be free and somebody listens there: name another with PORT=, or none."
    )


def _kept(path: Path) -> str:
    """A random word, made at the first call and kept in a file that its owner alone may read."""
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(SECRET_BYTES))
    return path.read_text(encoding="ascii")
