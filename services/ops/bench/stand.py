"""Two embedded servers and nothing else: totesys full of sales orders, and a warehouse for schemas of the star.

Invariant: both have ended and their folder is gone when the context ends, however it ends.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.loader.migrate import migrate
from services.local import postgres
from services.local.postgres import PostgresServer
from services.ops.bench.orders import seed_orders
from services.ops.bench.used import cpu_seconds
from shared.postgres import Dsn


@dataclass(frozen=True)
class Server:
    """A running server: DSNs of its superuser and of the login that the pipeline has there."""

    superuser: str
    login: str
    pid: int

    def cpu_seconds(self) -> float:
        """All that the server and its sessions have used."""
        return cpu_seconds(self.pid)


@dataclass(frozen=True)
class Stand:
    """Source and warehouse."""

    source: Server
    warehouse: Server

    def new_schema(self, name: str) -> str:
        """An empty star schema in the warehouse; its name."""
        migrate(self.warehouse.superuser, name, loader_role=Dsn.parse(self.warehouse.login).user, analyst_role=None)
        return name


@contextmanager
def standing(folder: Path, orders: int) -> Iterator[Stand]:
    """Start both, and seed the source with so many orders."""
    with ExitStack() as started:
        started.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True)
        source, warehouse = (_started(folder / name, started) for name in ("source", "warehouse"))
        owner = postgres.prepare_source(source, "UTC")
        seed_orders(owner, orders)
        postgres.prepare_warehouse(warehouse)
        yield Stand(
            _server(source, postgres.SOURCE_DATABASE, postgres.READER),
            _server(warehouse, postgres.WAREHOUSE_DATABASE, postgres.LOADER),
        )


def _started(data: Path, started: ExitStack) -> PostgresServer:
    server = PostgresServer(data)
    started.callback(server.stop)
    server.start()
    return server


def _server(server: PostgresServer, database: str, login: str) -> Server:
    process = server.process()
    return Server(server.dsn(postgres.SUPERUSER, database), server.dsn(login, database), process.pid if process else 0)
