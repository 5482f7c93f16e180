"""Which warehouse the dashboards read, and how Superset's driver reaches it.

Invariant: every session is read-only, whatever its login might do, and ends a statement that takes too long. TLS is as
in the rest of the pipeline: checked unless the server is on this machine or the DSN says otherwise.
"""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from services.dashboards.options import DashboardOptions
from services.local.description import StackDescription, read_description
from services.ops.options import UpOptions
from services.ops.pipeline import LocalPipeline, Progress
from services.ops.up import DRAIN_SECONDS, Driver
from shared.errors import ConfigurationError
from shared.postgres import CONNECT_TIMEOUT_SECONDS, Dsn, connect, identifier, rows_of

APPLICATION_NAME = "totes dashboard"
STATEMENT_TIMEOUT_SECONDS = 30.0
"""Less than what a browser waits for; a dashboard refreshes more often than any answer should take."""
LOCK_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Warehouse:
    """A login that reads, and the schema of the star tables."""

    dsn: Dsn
    schema: str

    def expect_readable(self) -> None:
        """Raises ConfigurationError or Unavailable, each in one sentence, where the dashboards would show errors."""
        with connect(
            self.dsn,
            application_name=APPLICATION_NAME,
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        ) as connection:
            view = f"{identifier(self.schema)}.freshness"
            [[found]] = rows_of(connection, "SELECT to_regclass(:view) IS NOT NULL", view=view)
            if not found:
                raise ConfigurationError(
                    f"Expected the star schema in the schema {self.schema!r} at {self.dsn.place} and found none: "
                    "correct the schema, or make it with `totes migrate`."
                )
            missing = [name for [name] in rows_of(connection, _UNREADABLE, schema=self.schema)]
        if missing:
            raise ConfigurationError(
                f"Expected the login {self.dsn.user!r} to read every table and view of the schema {self.schema!r} at "
                f"{self.dsn.place}, and it may not read {', '.join(missing)}: grant it SELECT, see docs/dashboards.md."
            )

    def driver_arguments(self) -> dict[str, Any]:
        """What psycopg2 takes to connect."""
        search_path = identifier(self.schema).replace("\\", "\\\\").replace(" ", "\\ ")
        settings = {
            "default_transaction_read_only": "on",
            "statement_timeout": str(int(STATEMENT_TIMEOUT_SECONDS * 1000)),
            "lock_timeout": str(int(LOCK_TIMEOUT_SECONDS * 1000)),
            "TimeZone": "UTC",
            "search_path": search_path,
        }
        return {
            "host": self.dsn.host,
            "port": self.dsn.port,
            "user": self.dsn.user,
            "password": self.dsn.password,
            "dbname": self.dsn.database,
            "application_name": APPLICATION_NAME,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            **_tls(self.dsn),
        }


_UNREADABLE = """
SELECT c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = :schema AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relname <> '_alembic_version'
   AND NOT has_table_privilege(c.oid, 'SELECT')
 ORDER BY c.relname
 LIMIT 5
"""
"""Tables and views that this login may not read."""


def _tls(dsn: Dsn) -> dict[str, str]:
    mode = dsn.sslmode or ("disable" if dsn.is_local else "verify-full")
    if mode == "disable" or (mode == "require" and dsn.sslrootcert is None):
        return {"sslmode": mode}
    authorities = dsn.sslrootcert or ssl.get_default_verify_paths().cafile or "system"
    return {"sslmode": mode, "sslrootcert": authorities}


@contextmanager
def opened(options: DashboardOptions, progress: Progress) -> Iterator[Warehouse]:
    """The warehouse named, else that of the stack that runs, else one brought up for as long as the context lasts.

    Raises ConfigurationError or Unavailable.
    """
    with ExitStack() as ending:
        if options.analyst_dsn is not None:
            found = Warehouse(Dsn.parse(options.analyst_dsn), options.warehouse_schema)
        else:
            found = _of_stack(_running(options) or ending.enter_context(_brought_up(options, progress)))
        found.expect_readable()
        yield found


def _running(options: DashboardOptions) -> StackDescription | None:
    try:
        return read_description(options.state_dir.absolute())
    except ConfigurationError:
        return None


def _of_stack(description: StackDescription) -> Warehouse:
    """Its analysts' login; a warehouse that is somebody else's has one that only he knows."""
    if description.analyst_role is None:
        raise ConfigurationError(
            "Expected the DSN of a login that may read the warehouse which the running stack loads: name it with "
            "make dashboard WAREHOUSE=postgresql://…"
        )
    dsn = replace(Dsn.parse(description.warehouse_dsn), user=description.analyst_role, password=None)
    return Warehouse(dsn, description.warehouse_schema)


@contextmanager
def _brought_up(options: DashboardOptions, progress: Progress) -> Iterator[StackDescription]:
    """The embedded stack with its simulator, as `totes up` runs it; drained and stopped at the end."""
    pipeline = LocalPipeline(UpOptions.of(state_dir=options.state_dir, warehouse_schema=options.warehouse_schema))
    try:
        pipeline.start(progress)
        with Driver(pipeline.simulation()):
            yield read_description(options.state_dir.absolute())
        progress("Draining the queues")
        pipeline.drain(DRAIN_SECONDS)
    finally:
        pipeline.stop()
