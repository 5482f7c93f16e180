"""Bring the warehouse's schema to the newest migration, and give the loader and the analysts their rights.

Invariant: everything happens in one transaction under an advisory lock, so that two at once end like one; a second
run applies nothing and renews the grants. Not part of the loader's function: it needs alembic, and the owner's login.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from pg8000 import dbapi
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from services.loader.schema import FACTS
from shared.bookkeeping import unversioned_table
from shared.errors import ConfigurationError, PipelineError, WarehouseUnavailable
from shared.postgres import DatabaseError, Dsn, driver_arguments, explain, identifier

APPLICATION_NAME = "totes-migrate"
_MIGRATIONS = Path(__file__).parent / "migrations"
_INSUFFICIENT_PRIVILEGE = "42501"


def migrate(dsn: str, schema: str, *, loader_role: str | None, analyst_role: str | None) -> list[str]:
    """Create what is missing, as the owner that `dsn` names; the revisions applied, oldest first.

    A role given as None gets no grants. Raises ConfigurationError (no such role, or a login that may not create),
    WarehouseUnavailable.
    """
    owner = Dsn.parse(dsn)
    with _transaction(owner, schema) as connection:
        for role in (loader_role, analyst_role):
            _expect_role(connection, role, owner.place)
        _lock(connection, schema)
        _create_schema(connection, schema)
        applied = _upgrade(connection, schema)
        for statement in _grants(schema, loader_role, analyst_role):
            connection.exec_driver_sql(statement)
    return applied


@contextmanager
def _transaction(owner: Dsn, schema: str) -> Iterator[sqlalchemy.Connection]:
    """One transaction; the driver's errors leave as the pipeline's."""
    engine = sqlalchemy.create_engine(
        "postgresql+pg8000://",
        creator=lambda: _connect(owner),
        poolclass=NullPool,
        isolation_level="READ COMMITTED",  # a snapshot taken before the lock would not show the other's migration
    )
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as exc:
        _explain(exc.orig or exc, owner, schema)


def _connect(owner: Dsn) -> Any:
    try:
        connection = dbapi.connect(**driver_arguments(owner, APPLICATION_NAME))
    except (dbapi.Error, OSError) as exc:
        explain(exc, owner.place, owner.user, unavailable=WarehouseUnavailable)
    # The time-out was for connecting; another migration may hold the lock for longer.
    connection._usock.settimeout(None)
    return connection


def _explain(exc: BaseException, owner: Dsn, schema: str) -> None:
    state = exc.args[0].get("C") if isinstance(exc, DatabaseError) and isinstance(exc.args[0], dict) else None
    if state == _INSUFFICIENT_PRIVILEGE:
        raise ConfigurationError(
            f"Expected the login {owner.user!r} to be allowed to create the star schema in the schema {schema!r} at "
            f"{owner.place}, and it is not ({exc.args[0].get('M')}): grant it CREATE, or migrate as the owner."
        ) from exc
    explain(exc, owner.place, owner.user, unavailable=WarehouseUnavailable)


def _expect_role(connection: sqlalchemy.Connection, role: str | None, place: str) -> None:
    if role is None:
        return
    if connection.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = :role"), {"role": role}) == 0:
        raise ConfigurationError(
            f"Expected the role {role!r} at {place} and found none: create it, or correct its name in the settings."
        )


def _lock(connection: sqlalchemy.Connection, schema: str) -> None:
    """Let a second migration of this schema wait for the first."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"totes migrate {schema}"}
    )


def _create_schema(connection: sqlalchemy.Connection, schema: str) -> None:
    """IF NOT EXISTS asks for the right to create even where nothing is created, so look first."""
    found = connection.scalar(text("SELECT count(*) FROM pg_namespace WHERE nspname = :schema"), {"schema": schema})
    if found == 0:
        connection.exec_driver_sql(f"CREATE SCHEMA {identifier(schema)}")
    connection.exec_driver_sql(f"SET LOCAL search_path TO {identifier(schema)}")


def _upgrade(connection: sqlalchemy.Connection, schema: str) -> list[str]:
    applied: list[str] = []

    def note(*, step: Any, **_: Any) -> None:
        applied.append(step.up_revision_id)

    config = Config(stdout=StringIO())
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes.update(connection=connection, schema=schema, on_version_apply=note)
    try:
        command.upgrade(config, "head")
    except CommandError as exc:
        raise PipelineError(f"Alembic could not bring the schema {schema!r} to its newest revision: {exc}.") from exc
    return applied


def _grants(schema: str, loader_role: str | None, analyst_role: str | None) -> Iterator[str]:
    """The loader reads, inserts and updates, deletes what has become a version, and creates nothing; analysts read.

    New tables are covered.
    """
    if loader_role is not None:
        yield from _grant(schema, loader_role, tables="SELECT, INSERT, UPDATE", sequences="USAGE")
        for fact in FACTS:
            yield f"GRANT DELETE ON {identifier(schema)}.{unversioned_table(fact)} TO {identifier(loader_role)}"
        version = f"{identifier(schema)}._alembic_version"
        yield f"REVOKE INSERT, UPDATE ON {version} FROM {identifier(loader_role)}"
    if analyst_role is not None:
        yield from _grant(schema, analyst_role, tables="SELECT", sequences="SELECT")


def _grant(schema: str, role: str, *, tables: str, sequences: str) -> Iterator[str]:
    space, grantee = identifier(schema), identifier(role)
    yield f"GRANT USAGE ON SCHEMA {space} TO {grantee}"
    for objects, rights in (("TABLES", tables), ("SEQUENCES", sequences)):
        yield f"GRANT {rights} ON ALL {objects} IN SCHEMA {space} TO {grantee}"
        yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA {space} GRANT {rights} ON {objects} TO {grantee}"
