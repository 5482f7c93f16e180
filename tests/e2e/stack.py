"""A running embedded stack as tests see it: its databases and AWS, and whether its warehouse is as an oracle has it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pg8000.native import Connection

from contracts.star import STAR_TABLES
from services.local.description import client
from tests.conftest import open_connection
from tests.e2e import oracle
from tests.e2e.command import Up

QUIET = ("--no-simulate", "--poll-interval", "0.25", "--reconcile-interval", "60")


class Stack:
    """What a test needs of a running stack, from the description that `totes up` leaves."""

    def __init__(self, up: Up) -> None:
        self.up = up
        up.until("the stack to be up and totesys seeded", lambda: "  Up: " in up.output)
        self.description: dict[str, Any] = json.loads((up.folder / ".totes" / "running.json").read_text())
        self.schema = self.description["warehouse_schema"]
        self._clients: dict[str, Any] = {}

    def source(self) -> Connection:
        return open_connection(self.description["source_owner_dsn"])

    def warehouse(self) -> Connection:
        return open_connection(self.description["warehouse_dsn"])

    def client(self, service: str) -> Any:
        """Made once: waits ask with it many times, and making one takes longer than asking."""
        if service not in self._clients:
            self._clients[service] = client(service, self.description["endpoint_url"])
        return self._clients[service]

    def missing(self) -> list[str]:
        """Star tables that lack a row the oracle expects; deleted rows may be left, they wait for the reconciler."""
        return self._unlike(lambda expected, found: set(expected) <= set(found))

    def differing(self) -> list[str]:
        """Star tables that are not what the oracle says. Dimensions keep what facts once needed."""
        return self.missing() or self._unlike(lambda expected, found: expected == found, "fact_")

    def until_equal(self) -> float:
        return self.up.until("the warehouse to equal the oracle", lambda: not self.differing())

    def until_complete(self) -> float:
        return self.up.until("the warehouse to hold what the oracle says", lambda: not self.missing())

    def _unlike(self, agree: Callable[[list[oracle.Row], list[oracle.Row]], bool], prefix: str = "") -> list[str]:
        tables = [model.table for model in STAR_TABLES if model.table.startswith(prefix)]
        with self.source() as source, self.warehouse() as warehouse:
            return [
                table
                for table in tables
                if not agree(oracle.expected(source, table), oracle.found(warehouse, self.schema, table))
            ]


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Stack]:
    with Up(folder, arguments) as up:
        yield Stack(up)
