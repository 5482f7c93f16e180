"""Two embedded servers that tools without Unix sockets reach too, and what they hold.

Invariant: every contestant meets a source that is a copy of one seeded database, and an empty schema. The servers
listen on addresses of this machine only, ask for a password that lives as long as they do, and are configured as the
embedded stack's are in all else.
"""

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.local import postgres
from services.local.postgres import PORT, SUPERUSER, PostgresServer
from services.ops.bench.orders import change_orders, seed_orders
from services.ops.bench.used import cpu_seconds
from shared.postgres import identifier, literal, rows_of
from tests.peers.contestants import Contestant, Places

ADDRESSES = ("127.77.0.1", "127.77.0.2")
"""Of source and warehouse; every address that begins with 127 is this machine."""
SEEDED = "seeded"
CHECKSUM = (Path(__file__).parent / "checksum.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Held:
    """What a table holds: its rows, and a checksum over all of them that no order of rows changes."""

    rows: int
    checksum: str


@dataclass(frozen=True)
class Servers:
    """Both servers, running."""

    source: PostgresServer
    target: PostgresServer
    password: str

    @property
    def places(self) -> Places:
        """How a tool reaches them."""
        databases = (postgres.SOURCE_DATABASE, postgres.WAREHOUSE_DATABASE)
        urls = (
            f"postgresql://{SUPERUSER}:{self.password}@{address}:{PORT}/{database}"
            for address, database in zip(ADDRESSES, databases, strict=True)
        )
        return Places(*urls)

    @property
    def dsns(self) -> tuple[str, str]:
        """Source and target over their sockets, which need no password."""
        return (
            self.source.dsn(SUPERUSER, postgres.SOURCE_DATABASE),
            self.target.dsn(SUPERUSER, postgres.WAREHOUSE_DATABASE),
        )

    def fresh(self, contestant: Contestant) -> None:
        """A source as it was seeded, and nothing of the contestant's in the target."""
        with self.target.connect(postgres.WAREHOUSE_DATABASE) as session:
            for schema in (contestant.schema, f"{contestant.schema}_staging"):
                session.run(f"DROP SCHEMA IF EXISTS {identifier(schema)} CASCADE")
        self.restore()

    def restore(self) -> None:
        """A source as it was seeded."""
        with self.source.connect(SUPERUSER) as session:
            session.run(f"DROP DATABASE IF EXISTS {identifier(postgres.SOURCE_DATABASE)} WITH (FORCE)")
            session.run(f"CREATE DATABASE {identifier(postgres.SOURCE_DATABASE)} TEMPLATE {SEEDED} STRATEGY file_copy")
        self.settle()

    def change(self, orders: int, every: int) -> None:
        """Update so many orders of the source."""
        change_orders(self.dsns[0], orders, every=every)
        self.settle()

    def settle(self) -> None:
        """Write what is to be written, so that nobody pays for another's rows."""
        for server in (self.source, self.target):
            with server.connect(SUPERUSER) as session:
                session.run("CHECKPOINT")

    def held_by_source(self) -> Held:
        """What a target should hold."""
        return _held(self.source, postgres.SOURCE_DATABASE, "public.sales_order")

    def held_by(self, contestant: Contestant) -> Held:
        """What the contestant's table holds."""
        return _held(self.target, postgres.WAREHOUSE_DATABASE, contestant.table)

    def cpu_seconds(self) -> Mapping[str, float]:
        """What both servers have used since they started."""
        return {"source": _used(self.source), "warehouse": _used(self.target)}

    def used_since(self, before: Mapping[str, float]) -> Mapping[str, float]:
        """What both servers have used since then."""
        return {name: now - before[name] for name, now in self.cpu_seconds().items()}


@contextmanager
def serving(folder: Path, orders: int) -> Iterator[Servers]:
    """Start both and seed the source; they have ended, and their folder is gone, when the context ends."""
    with ExitStack() as started:
        started.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True)
        password = secrets.token_hex(16)
        source, target = (PostgresServer(folder / name) for name in ("source", "warehouse"))
        for server, address in zip((source, target), ADDRESSES, strict=True):
            started.callback(server.stop)
            server.start()
            _listen(server, address, password)
        postgres.prepare_warehouse(target)
        with source.connect(SUPERUSER) as session:
            session.run(f"CREATE DATABASE {SEEDED}")
        seed_orders(source.dsn(SUPERUSER, SEEDED), orders)
        yield Servers(source, target, password)


def _listen(server: PostgresServer, address: str, password: str) -> None:
    with server.connect(SUPERUSER) as session:
        session.run(f"ALTER SYSTEM SET listen_addresses = {literal(address)}")
        session.run(f"ALTER ROLE {identifier(SUPERUSER)} PASSWORD {literal(password)}")
    with (server.data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write("host all all 127.0.0.0/8 scram-sha-256\n")
    server.stop()
    server.start()


def _held(server: PostgresServer, database: str, table: str) -> Held:
    with server.connect(database) as session:
        [[rows, checksum]] = rows_of(session, CHECKSUM.replace("any_table", table))
    return Held(rows, checksum)


def _used(server: PostgresServer) -> float:
    process = server.process()
    return cpu_seconds(process.pid) if process else 0.0
