"""MiniStack, the emulated AWS, as a child process on a loopback port, with its state in a folder of its own.

What survives: buckets are written through, so also a kill; queues are saved by a clean stop only (recover.py sends
again what a kill loses). All else is deployed anew at each start, so that no function of an earlier version ever runs.
Invariant: nothing of it runs after `stop`, its Lambda workers included, and it never looks for Docker or the real AWS.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

from services.local.description import CREDENTIALS, REGION, client
from services.local.processes import Process, end, end_all
from shared.errors import ConfigurationError

HOST = "127.0.0.1"
START_SECONDS = 60.0
"""Longer than the slowest start, with a hundred thousand objects to read."""
STOP_SECONDS = 15.0
"""Saving the queues takes well under a second; open requests get three."""
KEPT = ("s3.json", "sqs.json")
"""Of the saved state: names and versioning of buckets, and the queues."""
SIDECAR = ".meta.json"
"""Name of the file in which the emulator keeps an object's metadata, written after the object's bytes."""


@dataclass
class Emulator:
    """One MiniStack; `folder` holds its state, `port` is fixed or None for any free one."""

    folder: Path
    port: int | None = None
    _child: "subprocess.Popen[bytes] | None" = field(default=None, init=False, repr=False)
    _clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def endpoint_url(self) -> str:
        """Where it answers, once started."""
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """What it says, the functions' own logs included."""
        return self.folder.with_suffix(".log")

    def client(self, service: str) -> Any:
        """A boto3 client of this emulator, the same each time: to make one takes longer than to call with it."""
        if service not in self._clients:
            self._clients[service] = client(service, self.endpoint_url)
        return self._clients[service]

    def start(self) -> None:
        """Start and wait until it answers; one left by a killed run is ended first.

        Raises ConfigurationError if the port is taken or the emulator ends with an error.
        """
        self.end_leftover()
        self._clients.clear()
        self.port = free_port() if self.port is None else expect_free(self.port)
        self._prepare_folder()
        with os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "ministack"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment(),
                umask=0o077,
                start_new_session=True,
            )
        process = Process.of("aws", self._child.pid)
        if process is not None:
            self._process_file.write_text(process.model_dump_json())
        self._wait_until_healthy(self._child)

    def stop(self) -> None:
        """Let it save its queues, then end it and its workers; nothing happens if it is not running."""
        self.end_leftover()
        if self._child is not None:
            self._child.wait()
            self._child = None

    def end_leftover(self) -> str | None:
        """End an emulator of this folder, whoever started it, and its workers; what was ended, in words."""
        process = self.process()
        if process is None:
            return None
        running = process.running() is not None
        end(process, seconds=STOP_SECONDS)
        end_all(self._workers(process.pid), seconds=STOP_SECONDS)
        self._process_file.unlink(missing_ok=True)
        self._forget()
        return f"the emulated AWS in {self.folder} (process {process.pid})" if running else None

    def process(self) -> Process | None:
        """The emulator last started in this folder, running or not."""
        with suppress(OSError, ValidationError):
            return Process.model_validate_json(self._process_file.read_bytes())
        return None

    @property
    def _process_file(self) -> Path:
        return self.folder / "process.json"

    @property
    def _workspace(self) -> Path:
        """Where it unpacks the functions; the workers' command lines begin with it."""
        return self.folder / "tmp"

    def _workers(self, group: int) -> list[psutil.Process]:
        """Lambda workers: processes of the emulator's group that run a script of its workspace."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                in_workspace = any(word.startswith(f"{self._workspace}{os.sep}") for word in process.cmdline())
                if in_workspace and os.getpgid(process.pid) == group:
                    found.append(process)
        return found

    def _prepare_folder(self) -> None:
        shutil.rmtree(self._workspace, ignore_errors=True)
        for folder in (self.folder, self._workspace, self.folder / "s3", self.folder / "state"):
            folder.mkdir(mode=0o700, exist_ok=True)
        mend_objects(self.folder / "s3")
        self._forget()
        saved = self.folder / "state" / "sqs.json"
        if saved.exists():
            saved.write_text(readdressed(saved.read_text(encoding="utf-8"), f"{self.port}"), encoding="utf-8")

    def _forget(self) -> None:
        """Remove what is deployed anew at each start: old code must not run, and secrets need not lie on a disk."""
        for path in (self.folder / "state").glob("*"):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in KEPT:
                path.unlink()

    def _environment(self) -> Mapping[str, str]:
        """All it and its functions are told of this machine."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "TMPDIR": str(self._workspace),
            "LANG": "C.UTF-8",
            "GATEWAY_PORT": f"{self.port}",
            "BIND_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "s3"),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
            "AWS_ACCESS_KEY_ID": CREDENTIALS,
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS,
            "AWS_EC2_METADATA_DISABLED": "true",
            "DOCKER_HOST": f"unix://{self.folder}/no-docker",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }

    def _wait_until_healthy(self, child: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(f"{self.endpoint_url}/_ministack/health"):
            if child.poll() is not None or time.monotonic() > deadline:
                ended = "did not answer" if child.returncode is None else f"ended with status {child.returncode}"
                raise ConfigurationError(f"The emulated AWS {ended}: read {self.log}.")
            time.sleep(0.05)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def expect_free(port: int) -> int:
    """The port, if it can be listened on. Raises ConfigurationError."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as exc:
            raise ConfigurationError(
                f"Expected to listen on port {port} of {HOST} and could not ({exc.strerror}): end what listens there "
                "or choose another with --port."
            ) from exc
    return port


def mend_objects(objects: Path) -> None:
    """Undo what a killed emulator left half done: it writes an object's bytes first, then its metadata.

    New bytes whose metadata never followed were never acknowledged: they are removed. Bytes newer than their metadata
    are an object moved by compare-and-set, whole, of unknown outcome to its writer: it is kept, under its own etag.
    """
    for path in objects.glob("[0-9]*/**/*"):  # the accounts' folders; beside them lie older versions, without metadata
        if path.is_file() and not path.name.endswith(SIDECAR):
            sidecar = path.with_name(path.name + SIDECAR)
            if not sidecar.exists():
                path.unlink()
            elif path.stat().st_mtime_ns > sidecar.stat().st_mtime_ns:
                sidecar.write_text(_described(path.read_bytes(), sidecar.read_text(encoding="utf-8")), encoding="utf-8")


def _described(body: bytes, metadata: str) -> str:
    etag = md5(body, usedforsecurity=False).hexdigest()
    return json.dumps({**json.loads(metadata), "size": len(body), "etag": f'"{etag}"', "checksums": {}})


def readdressed(queues: str, port: str) -> str:
    """Saved queues under another port, since their URLs are their keys, and with every message to be received.

    What was in flight when the emulator ended has lost its consumer; it would be hidden for minutes to come.
    """
    moved = re.sub(r"http://localhost:\d+/", f"http://localhost:{port}/", queues)
    return re.sub(r'"visible_at": [0-9.e+]+', '"visible_at": 0', moved)


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
