"""The limit: the same rows from server to server with nothing between, `COPY … TO STDOUT | COPY … FROM STDIN` by psql.

Invariant: the target is a bare table without key, index or constraint, made anew for each copy and dropped afterwards.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.local import postgres
from services.local.postgres import BINARIES
from shared.errors import PipelineError
from shared.postgres import Connection, Dsn, connect, literal

STATEMENT_TIMEOUT_SECONDS = 1_800
"""Longer than any statement of the bench over 10,000,000 rows."""
LOCK_TIMEOUT_SECONDS = 60
BARE = """
CREATE TABLE public.bench_bare (
    sales_order_id int, created_at timestamp(3), last_updated timestamp(3), design_id int, staff_id int,
    counterparty_id int, units_sold int, unit_price numeric, currency_id int, agreed_delivery_date varchar,
    agreed_payment_date varchar, agreed_delivery_location_id int
)"""
DROP = "DROP TABLE IF EXISTS public.bench_bare"
ALL = "SELECT * FROM public.sales_order"


@contextmanager
def session(dsn: str) -> Iterator[Connection]:
    """A session of the bench's own. Raises ConfigurationError or Unavailable."""
    with connect(
        Dsn.parse(dsn),
        application_name="totes bench",
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
    ) as connection:
        yield connection


def copy_across(source_dsn: str, target_dsn: str, query: str = ALL) -> float:
    """Copy what a query of sales orders gives; the seconds it took. `target_dsn` is a login that may create in public.

    Raises PipelineError where psql failed.
    """
    with session(target_dsn) as target:
        target.run(f"{DROP};{BARE}")
        try:
            begun = time.monotonic()
            _pipe(source_dsn, f"COPY ({query}) TO STDOUT", target_dsn, "COPY public.bench_bare FROM STDIN")
            return time.monotonic() - begun
        finally:
            target.run(DROP)


def changed_since(moment: str) -> str:
    """The query of sales orders updated since a moment, given as text."""
    return f"{ALL} WHERE last_updated >= {literal(moment)}"


def _pipe(source_dsn: str, out: str, target_dsn: str, into: str) -> None:
    with subprocess.Popen(_psql(source_dsn, out), stdout=subprocess.PIPE) as source:  # noqa: S603 - the wheel's own psql
        target = subprocess.run(  # noqa: S603 - the same
            _psql(target_dsn, into), stdin=source.stdout, capture_output=True, text=True, check=False
        )
    if source.returncode or target.returncode:
        raise PipelineError(f"psql could not copy the orders: {target.stderr.strip() or 'the source ended first'}.")


def _psql(dsn: str, command: str) -> list[str]:
    return [str(BINARIES / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", command, dsn]


def superuser_of(dsn: str) -> str:
    """The DSN of the same embedded server's superuser."""
    known = Dsn.parse(dsn)
    return f"postgresql://{postgres.SUPERUSER}@/{known.database}?host={known.host}&port={known.port}"
