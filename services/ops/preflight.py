"""Whether the databases named are fit, asked before anything is started or written.

Invariant: it only reads, and it goes on after a finding, so that one run of it tells everything there is to mend.
Facts are read first; what they mean is decided by pure functions (of the source: shared.totesys.catalog).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pg8000.native import InterfaceError

from contracts.feeds import FEEDS
from services.ops.status import LOCK_TIMEOUT_SECONDS, STATEMENT_TIMEOUT_SECONDS, sql
from shared.errors import PipelineError
from shared.postgres import Connection, DatabaseError, Dsn, connect, explain, identifier, rows_of
from shared.settings import Settings
from shared.totesys.catalog import Findings, examine

SOURCE_SCHEMA = str(Settings.model_fields["source_schema"].default)
OLDEST_WAREHOUSE = 14
"""The first with hash_record_extended, which makes the star hash."""
VERSION_UNIT = 10_000
"""server_version_num is major * 10000 + minor."""
T = TypeVar("T")


class NotFit(PipelineError):
    """Source or warehouse cannot be used as they are; the message is the whole list."""


@dataclass(frozen=True)
class Named:
    """The databases a user named, with their schemas; None where the embedded stack brings its own, fit as made."""

    source_dsn: str | None
    warehouse_dsn: str | None
    source_schema: str
    warehouse_schema: str


@dataclass(frozen=True)
class Warehouse:
    """What matters of a warehouse and a login there; `may_create` is None where the schema has yet to be made."""

    version: int
    in_recovery: bool
    may_create: bool | None
    may_create_schema: bool


def check(named: Named) -> tuple[str, ...]:
    """What is worth noting of the databases named. Raises NotFit with the list of all that must be mended."""
    notes: list[str] = []
    findings: list[str] = []
    if named.source_dsn is not None:
        findings += _source(Dsn.parse(named.source_dsn), named.source_schema, notes)
    if named.warehouse_dsn is not None:
        findings += _warehouse(Dsn.parse(named.warehouse_dsn), named.warehouse_schema)
    if findings:
        raise NotFit(report(findings))
    return tuple(notes)


def report(findings: list[str]) -> str:
    """All findings as one message: a sentence, or a sentence and its list."""
    if len(findings) == 1:
        return findings[0]
    return f"{len(findings)} things must be mended first:\n" + "\n".join(f"  - {finding}" for finding in findings)


def unfit(warehouse: Warehouse, login: Dsn, schema: str) -> Iterator[str]:
    """Why the star schema cannot be made or written there, a sentence each."""
    role, space = identifier(login.user), identifier(schema)
    if warehouse.version < OLDEST_WAREHOUSE * VERSION_UNIT:
        yield (
            f"Expected PostgreSQL {OLDEST_WAREHOUSE} or later as the warehouse and found "
            f"{warehouse.version // VERSION_UNIT}: upgrade it."
        )
    if warehouse.in_recovery:
        yield "Expected a primary and found a warehouse in recovery, which cannot be written: name the primary."
    if warehouse.may_create is False:
        yield f"The login may not create in the schema {schema!r}: GRANT CREATE, USAGE ON SCHEMA {space} TO {role}."
    if warehouse.may_create is None and not warehouse.may_create_schema:
        yield (
            f"The login may not create the schema {schema!r}: "
            f"GRANT CREATE ON DATABASE {identifier(login.database)} TO {role}."
        )


def look_at(connection: Connection, schema: str) -> Warehouse:
    """Read the facts about a warehouse."""
    [facts] = rows_of(connection, sql("preflight_warehouse"), schema=schema)
    return Warehouse(*facts)


def _source(dsn: Dsn, schema: str, notes: list[str]) -> list[str]:
    """What keeps the source from being read; what is only worth noting goes to `notes`."""

    def look(connection: Connection) -> list[str]:
        found: Findings = examine(connection, list(FEEDS.values()), schema)
        notes.extend(found.notes)
        return list(found.problems)

    return _findings("source", dsn, look)


def _warehouse(dsn: Dsn, schema: str) -> list[str]:
    return _findings("warehouse", dsn, lambda connection: list(unfit(look_at(connection, schema), dsn, schema)))


def _findings(which: str, dsn: Dsn, look: Callable[[Connection], list[str]]) -> list[str]:
    """What a look finds, with its place; a database that cannot be looked at is itself the finding."""
    try:
        return [f"{which} {dsn.place}: {finding}" for finding in _look(dsn, look)]
    except PipelineError as exc:
        return [f"{which}: {exc}"]


def _look(dsn: Dsn, look: Callable[[Connection], T]) -> T:
    """Open a session, look, close it."""
    try:
        with connect(
            dsn,
            application_name="totes preflight",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        ) as connection:
            return look(connection)
    except (DatabaseError, InterfaceError, OSError) as exc:
        explain(exc, dsn.place, dsn.user)
