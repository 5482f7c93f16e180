"""Parquet as another reader sees it: DuckDB's names, types and values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb


@dataclass(frozen=True)
class View:
    """A file's columns with their types, and its rows."""

    types: dict[str, str]
    rows: list[tuple[Any, ...]]

    def column(self, name: str) -> list[Any]:
        place = list(self.types).index(name)
        return [row[place] for row in self.rows]


def view(body: bytes, folder: Path) -> View:
    """Open the file with DuckDB."""
    path = folder / "view.parquet"
    path.write_bytes(body)
    with duckdb.connect() as duck:
        described = duck.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        rows = duck.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    return View({name: kind for name, kind, *_ in described}, rows)
