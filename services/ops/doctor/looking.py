"""Read the facts about the two databases. Nothing is decided here.

Invariant: it only reads, in short statements of its own session; names go through `identifier`, values are parameters.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pg8000.native import InterfaceError

from contracts.feeds import FEEDS
from services.ops import preflight
from services.ops.doctor.databases import Indexed, Rights, Write
from services.ops.doctor.servers import Offset, OpenTransaction, Session
from services.ops.status import LOCK_TIMEOUT_SECONDS, STATEMENT_TIMEOUT_SECONDS
from shared.postgres import Connection, DatabaseError, Dsn, connect, explain, identifier, rows_of
from shared.totesys.catalog import Findings, examine

CLOCK_TRIES = 5
"""Round trips of which the shortest tells the offset best."""
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class SourceFacts:
    """Everything read of the source."""

    session: Session
    catalog: Findings
    write: Write
    tables: tuple[Indexed, ...]
    open: tuple[OpenTransaction, ...]


@dataclass(frozen=True)
class WarehouseFacts:
    """Everything read of the warehouse; `rights` is None where there is no such schema."""

    session: Session
    server: preflight.Warehouse
    rights: Rights | None


def look_at_source(dsn: str, schema: str, first_seen: Mapping[str, datetime], now: Clock) -> SourceFacts:
    """Read the source. `first_seen`: an open transaction's virtual id -> the earliest it may have begun."""
    parsed = Dsn.parse(dsn)
    with connected(parsed, "totes doctor") as connection:
        session = _session(connection, parsed, now)
        return SourceFacts(
            session=session,
            catalog=examine(connection, list(FEEDS.values()), schema),
            write=_write(connection, schema),
            tables=_tables(connection, schema),
            open=_open(connection, first_seen),
        )


def look_at_warehouse(dsn: str, schema: str, now: Clock) -> WarehouseFacts:
    """Read the warehouse."""
    parsed = Dsn.parse(dsn)
    with connected(parsed, "totes doctor") as connection:
        session = _session(connection, parsed, now)
        return WarehouseFacts(session, preflight.look_at(connection, schema), _rights(connection, schema))


@contextmanager
def connected(dsn: Dsn, application_name: str) -> Iterator[Connection]:
    """A session for one look, with the driver's errors in words."""
    try:
        with connect(
            dsn,
            application_name=application_name,
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        ) as connection:
            yield connection
    except (DatabaseError, InterfaceError, OSError) as exc:
        explain(exc, dsn.place, dsn.user)


def _session(connection: Connection, dsn: Dsn, now: Clock) -> Session:
    [[version, in_recovery, encrypted, connections, most, sees_all, tracks]] = rows_of(
        connection, _statement("session")
    )
    return Session(
        dsn=dsn,
        version=version,
        in_recovery=in_recovery,
        encrypted=encrypted,
        connections=connections,
        most_connections=most,
        sees_all=sees_all,
        tracks_activities=tracks,
        offset=measure(lambda: _clock(connection), now),
    )


def _clock(connection: Connection) -> datetime:
    [[clock]] = rows_of(connection, "SELECT clock_timestamp()")
    found: datetime = clock
    return found


def measure(theirs: Clock, ours: Clock) -> Offset:
    """Their clock against ours: of some round trips the shortest, in whose middle they are taken to have looked."""
    tries = []
    for _ in range(CLOCK_TRIES):
        before, clock, after = ours(), theirs(), ours()
        trip = after - before
        tries.append(Offset((clock - (before + trip / 2)).total_seconds(), trip.total_seconds()))
    return min(tries, key=lambda each: each.round_trip_seconds)


def _write(connection: Connection, schema: str) -> Write:
    [[superuser, create, tables]] = rows_of(connection, _statement("writable"), schema=schema)
    return Write(superuser, create, tuple(tables))


def _tables(connection: Connection, schema: str) -> tuple[Indexed, ...]:
    names = sorted({table for feed in FEEDS.values() for table in feed.tables})
    return tuple(Indexed(*row) for row in rows_of(connection, _statement("indexes"), schema=schema, tables=names))


def _open(connection: Connection, first_seen: Mapping[str, datetime]) -> tuple[OpenTransaction, ...]:
    now = _clock(connection)
    rows = rows_of(connection, _statement("open_transactions"))
    return tuple(
        OpenTransaction(
            pid=pid,
            seconds=seconds,
            state=state,
            application=application,
            at_most_seconds=(now - first_seen[virtual]).total_seconds() if virtual in first_seen else None,
        )
        for virtual, pid, seconds, state, application in rows
    )


def _rights(connection: Connection, schema: str) -> Rights | None:
    rows = rows_of(connection, _statement("rights"), schema=schema)
    if not rows:
        return None
    [[usable, tables, sequences, versioned, beats]] = rows
    return Rights(
        usable=usable,
        tables_missing=tuple(tables),
        sequences_missing=tuple(sequences),
        revision=_revision(connection, schema) if usable and versioned else None,
        has_heartbeat=usable and beats,
        beat_seconds=_beat_seconds(connection, schema) if usable and beats else None,
    )


def _revision(connection: Connection, schema: str) -> str | None:
    rows = rows_of(connection, f"SELECT version_num FROM {identifier(schema)}._alembic_version")
    return str(rows[0][0]) if rows else None


def _beat_seconds(connection: Connection, schema: str) -> float | None:
    [[seconds]] = rows_of(connection, _statement("heartbeat").format(schema=identifier(schema)))
    return None if seconds is None else float(seconds)


def _statement(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
