"""What a star schema holds, a hash a table: all columns but surrogate keys and the times of loading."""

from pg8000.native import Connection, identifier

Fingerprints = dict[str, tuple[int, str]]
"""Table or view -> number of rows and the sum of their hashes."""
OF_THE_LOADING = frozenset({"_inferred_at", "loaded_at", "last_loaded"})
LEFT_OUT = ("freshness", "_alembic_version", "_heartbeat", "_heartbeat_feed", "_complete")
"""What speaks of the loading alone: how fresh it was, which migrations there are, what heartbeats prove."""


def fingerprints(connection: Connection, schema: str) -> Fingerprints:
    """Of every table and view of a schema."""
    connection.run("SET TimeZone = 'UTC'")
    found: dict[str, list[str]] = {}
    for table, column, default in connection.run(
        "SELECT table_name, column_name, column_default FROM information_schema.columns WHERE table_schema = :schema"
        " ORDER BY table_name, ordinal_position",
        schema=schema,
    ):
        surrogate = column.endswith("_record_id") or str(default).startswith("nextval")
        if table not in LEFT_OUT and column not in OF_THE_LOADING and not surrogate:
            found.setdefault(table, []).append(identifier(column))
    return {table: _of(connection, schema, table, columns) for table, columns in found.items()}


def _of(connection: Connection, schema: str, table: str, columns: list[str]) -> tuple[int, str]:
    [[rows, total]] = connection.run(
        f"SELECT count(*), coalesce(sum(hash_record_extended(ROW({', '.join(columns)}), 0)), 0)::text"
        f" FROM {identifier(schema)}.{identifier(table)}"
    )
    return int(rows), str(total)
