"""What the facts about totesys and about the star schema mean. Pure; of the catalog shared.totesys.catalog decides.

Invariant: a statement that a finding tells to run names exactly what it is about, quoted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.ops.doctor.findings import Finding, fail, fine, note, told, warn
from services.ops.doctor.servers import listed
from services.ops.preflight import Warehouse
from services.ops.preflight import unfit as unfit_to_create
from shared.postgres import Dsn, identifier
from shared.totesys.catalog import Findings
from shared.totesys.sql import qualified

INDEXED_ROWS = 100_000
"""Above it a poll without an index reads the table for longer than 10 ms, every time."""
SILENT_HEART_SECONDS = 180.0
"""Three heartbeats: one may be late behind a backlog, three are not."""


@dataclass(frozen=True)
class Write:
    """What the source's login may do that it should not."""

    superuser: bool
    create: bool
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Indexed:
    """A table of the source: how many rows it has, about, and whether an index begins with last_updated."""

    table: str
    rows: int
    index: bool


@dataclass(frozen=True)
class Rights:
    """What a loader's login has in the star schema; `beat_seconds` is the heartbeat's age, None where there is none."""

    usable: bool
    tables_missing: tuple[str, ...]
    sequences_missing: tuple[str, ...]
    revision: str | None
    has_heartbeat: bool
    beat_seconds: float | None


def of_catalog(found: Findings) -> Iterator[Finding]:
    """Whether each feed can be read as its contract says."""
    for problem in found.problems:
        yield told("source: feeds", problem)
    if not found.problems:
        yield fine("source: feeds", "Every feed can be read, and its columns are as its contract says.")
    for one in found.notes:
        yield note("source: feeds", one)


def of_write(may: Write, schema: str, login: str) -> Finding:
    """The pipeline only reads; a login that may write could do harm, by whoever holds its secret."""
    check = "source: read only"
    if may.superuser:
        return warn(
            check,
            f"The login {login!r} is a superuser, and the pipeline needs SELECT only.",
            "Make a login of its own: CREATE ROLE totes_reader LOGIN; GRANT SELECT on the feeds' tables to it.",
        )
    space, role = identifier(schema), identifier(login)
    if may.tables:
        return warn(
            check,
            f"The login {login!r} may change {listed(may.tables)}, and the pipeline needs SELECT only.",
            f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA {space} FROM {role} (or use another).",
        )
    if may.create:
        return warn(
            check,
            f"The login {login!r} may create tables in the schema {schema}, and the pipeline needs SELECT only.",
            f"REVOKE CREATE ON SCHEMA {space} FROM PUBLIC, {role}.",
        )
    return fine(check, f"The login {login!r} may not change anything in the schema {schema}.")


def of_indexes(tables: tuple[Indexed, ...], schema: str) -> Iterator[Finding]:
    """Whether a poll of a large table finds what is new without reading all of it."""
    check = "source: index"
    without = [table for table in tables if not table.index and table.rows > INDEXED_ROWS]
    for table in without:
        yield warn(
            check,
            f"{table.table} has about {table.rows:,} rows and no index on last_updated: every poll reads them all.",
            f"As its owner: CREATE INDEX CONCURRENTLY ON {qualified(schema, table.table)} (last_updated).",
        )
    if not without:
        yield fine(check, f"No table of more than {INDEXED_ROWS:,} rows lacks an index on last_updated.")


def of_warehouse(facts: Warehouse, login: Dsn, schema: str) -> Iterator[Finding]:
    """Whether the server is one that can be loaded, and whether the star schema is there or could be made."""
    problems = [
        problem
        for problem in unfit_to_create(facts, login, schema)
        # In a schema that is there a loader's login need not create: of_rights tells what it needs.
        if facts.may_create is None or not problem.startswith("The login may not create")
    ]
    for problem in problems:
        yield told("warehouse: server", problem)
    if facts.may_create is None:
        yield fail(
            "warehouse: schema",
            f"The schema {schema!r} is not there.",
            "Run `totes migrate` as the owner, or correct --schema.",
        )
    elif not problems:
        yield fine("warehouse: server", "It is a primary, of a version that can be loaded.")


def of_rights(rights: Rights, login: str, schema: str) -> Finding:
    """Whether the login can load: read, insert and change every table, and nothing more is needed."""
    check, space, role = "warehouse: privileges", identifier(schema), identifier(login)
    if not rights.usable:
        return fail(
            check,
            f"The login {login!r} may not look into the schema {schema}.",
            f"GRANT USAGE ON SCHEMA {space} TO {role}, or run `totes migrate --loader-role {login}` as the owner.",
        )
    missing = [*rights.tables_missing, *rights.sequences_missing]
    if missing:
        return fail(
            check,
            f"The login {login!r} may not read, fill and change {listed(missing)}.",
            f"As the owner: `totes migrate --loader-role {login}`, which grants it.",
        )
    return fine(check, f"The login {login!r} may read, fill and change every table of the schema {schema}.")


def of_migrations(rights: Rights, newest: str, known: frozenset[str]) -> Finding:
    """Whether the star schema is the one this code writes."""
    check = "warehouse: migrations"
    if rights.revision == newest:
        return fine(check, f"The star schema is at {newest}, the newest.")
    if rights.revision is None:
        return fail(check, "The schema holds no star tables.", "Run `totes migrate` as the owner.")
    if rights.revision in known:
        return fail(
            check, f"The star schema is at {rights.revision}, and {newest} is the newest.", "Run `totes migrate`."
        )
    return fail(
        check,
        f"The star schema is at {rights.revision}, which this code does not know: newer code made it.",
        "Deploy that code here too; what is there is not undone.",
    )


def of_heartbeat(rights: Rights) -> Iterator[Finding]:
    """Whether the pipeline proves itself end to end; a schema from before heartbeats has none."""
    check = "warehouse: heartbeat"
    if not rights.has_heartbeat:
        return
    if rights.beat_seconds is None:
        yield note(check, "No heartbeat has arrived yet.", "Wait a minute; then see `totes status`.")
    elif rights.beat_seconds > SILENT_HEART_SECONDS:
        yield warn(
            check,
            f"The newest heartbeat was loaded {rights.beat_seconds / 60:,.0f} min ago: one should come each minute.",
            "See `totes status`: is the poller paused, does a queue back up, is something parked?",
        )
    else:
        yield fine(check, f"The newest heartbeat was loaded {rights.beat_seconds:.0f} s ago.")
