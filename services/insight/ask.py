"""Ask a question of a warehouse: one query in a read-only transaction.

Invariant: nothing is written, whatever the login may; names are found by search_path, values are parameters. Asking
again is harmless.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pg8000.native import InterfaceError

from services.insight.catalogue import Question
from services.insight.values import Value
from shared.errors import ConfigurationError, WarehouseUnavailable
from shared.postgres import Connection, DatabaseError, Dsn, connect, explain, hang_up, identifier, rows_of

STATEMENT_TIMEOUT_SECONDS = 300.0
"""A question over years of history may take its time; one that takes longer was asked too widely."""
LOCK_TIMEOUT_SECONDS = 5.0
"""Nothing locks a view for long but a migration."""
_NO_SUCH_TABLE = "42P01"
_LOST = (InterfaceError, OSError, struct.error)
"""What pg8000 raises where a connection breaks off; struct.error in the middle of a message."""


@dataclass(frozen=True)
class Answer:
    """What a question was asked with, and what came back."""

    question: Question
    values: Mapping[str, Value]
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def ask(dsn: str, schema: str, question: Question, values: Mapping[str, Value]) -> Answer:
    """The answer. Raises ConfigurationError, Unavailable or PipelineError in one sentence."""
    place = Dsn.parse(dsn)
    connection = connect(
        place,
        application_name="totes ask",
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
    )
    try:
        return _answer(connection, schema, question, values)
    except (*_LOST, DatabaseError) as exc:
        if isinstance(exc, DatabaseError) and exc.args[0].get("C") == _NO_SUCH_TABLE:
            raise ConfigurationError(
                f"Expected the warehouse's views in the schema {schema!r} at {place.place} and found none: name "
                "another with --schema, or make them with `totes migrate`."
            ) from exc
        explain(exc, place.place, place.user, unavailable=WarehouseUnavailable)
    finally:
        hang_up(connection)


def _answer(connection: Connection, schema: str, question: Question, values: Mapping[str, Value]) -> Answer:
    connection.run(f"SET search_path = {identifier(schema)}")
    connection.run("START TRANSACTION READ ONLY")
    rows = rows_of(connection, question.sql, **values)
    columns = tuple(str(column["name"]) for column in connection.columns or ())
    connection.run("ROLLBACK")
    return Answer(question, values, columns, tuple(tuple(row) for row in rows))
