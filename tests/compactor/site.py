"""A processed bucket in memory that small files arrive in, compactors work on, and DuckDB reads as the docs say."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from contracts.messages import Operation, Position, archive_key
from contracts.star import DimTransaction
from services.compactor.compact import Compactor
from shared.objects import ObjectStore, sha256
from shared.parquet import write, write_keys
from shared.processed import Processed
from shared.telemetry import logger
from tests.attack.calls import Gate, GatedClient
from tests.attack.stores import Clock, MemoryS3

BUCKET = "totes-processed"
TABLE = DimTransaction.table
DAY = date(2026, 11, 23)
NEXT_NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[2] / "docs" / "processed.md"
Row = tuple[Any, ...]


def rows_of(revision: int, count: int) -> dict[str, Any]:
    """Transactions, one of their order ids NULL; each row differs from that of every other revision."""
    keys = np.arange(revision * 100, revision * 100 + count, dtype="int32")
    return {
        "transaction_id": keys,
        "transaction_type": np.array([f"PURCHASE {key} 👜" for key in keys], "object"),
        "sales_order_id": pd.array([None] * count, "Int32"),
        "purchase_order_id": pd.array(keys, "Int32"),
        "_row_hash": keys.astype("int64") << 30,
    }


@cache
def body_of(revision: int, operation: Operation, count: int) -> bytes:
    """The Parquet file of these rows, or of their keys; made once, for many examples ask for the same."""
    columns = rows_of(revision, count)
    deleted = operation is Operation.DELETED
    return write_keys(DimTransaction, columns["transaction_id"]) if deleted else write(DimTransaction, columns)


@dataclass(frozen=True)
class Small:
    """A small file to arrive: when its snapshot was, by the source's clock, and what it holds."""

    revision: int
    operation: Operation = Operation.CHANGED
    count: int = 1
    second: int = 0
    day: date = DAY

    @property
    def as_of(self) -> datetime:
        return datetime.combine(self.day, time(), UTC) + timedelta(seconds=self.second, microseconds=7)

    @property
    def body(self) -> bytes:
        return body_of(self.revision, self.operation, self.count)

    @property
    def key(self) -> str:
        """As transform names it (held to the real one in test_handler.py)."""
        position = Position(generation=2, revision=self.revision, contract=1)
        archived = archive_key(
            TABLE, as_of=self.as_of, position=position, page=7, operation=self.operation, sha256="ab" * 32
        )
        return f"{archived.removesuffix('.tsv.gz')}-{sha256(self.body)[:16]}.parquet"

    @property
    def rows(self) -> list[Row]:
        """Of a changed file: its columns, and position and clock; of a deletion the key alone with them."""
        columns = rows_of(self.revision, self.count)
        place = (2, self.revision, 1, self.as_of.replace(tzinfo=None))
        if self.operation is Operation.DELETED:
            return [(key, *place) for key in columns["transaction_id"].tolist()]
        keys = columns["transaction_id"].tolist()
        return [(key, f"PURCHASE {key} 👜", None, key, key << 30, *place) for key in keys]


class Site:
    """The bucket, and what is known of it."""

    def __init__(self, folder: Path) -> None:
        self.s3 = MemoryS3(Clock())
        self.s3.after_put = self._note
        self.arrived: set[Small] = set()
        self.now = NEXT_NOON
        self._folder = folder
        self._written: Counter[str] = Counter()
        self._duck = duckdb.connect()

    def arrive(self, *files: Small) -> None:
        """Store files as transform does; the same one twice is one."""
        for file in files:
            if file.key not in self.s3.keys(BUCKET):
                self.s3.put_object(Bucket=BUCKET, Key=file.key, Body=file.body)
            self.arrived.add(file)

    def compactor(self, gate: Gate | None = None, budget_seconds: float = 60.0) -> Compactor:
        ticks = iter(range(10**9))
        return Compactor(
            ObjectStore(self.s3 if gate is None else GatedClient(self.s3, gate)),
            BUCKET,
            log=logger("compactor-test", "CRITICAL"),
            now=lambda: self.now,
            monotonic=lambda: float(next(ticks)),
            budget_seconds=budget_seconds,
        )

    def processed(self, gate: Gate | None = None) -> Processed:
        return Processed(ObjectStore(self.s3 if gate is None else GatedClient(self.s3, gate)), BUCKET)

    def keys(self, folder: str) -> list[str]:
        return [key for key in self.s3.keys(BUCKET) if key.startswith(f"{folder}/")]

    def expect_nothing_overwritten(self) -> None:
        """No key was ever written to a second time, none is gone."""
        assert set(self._written.values()) <= {1}
        assert set(self.s3.keys(BUCKET)) == set(self._written)

    def expected(self, operation: Operation) -> Counter[Row]:
        return Counter(row for file in self.arrived if file.operation is operation for row in file.rows)

    def expect_every_row_once(self, keys: Sequence[str] | None = None) -> None:
        """By the rule in Python: DuckDB over what `files_of` names, now or as it was said before."""
        for operation in Operation:
            assert self.rows(operation, keys) == self.expected(operation)

    def rows(self, operation: Operation, keys: Sequence[str] | None = None) -> Counter[Row]:
        named = list(self.files()) if keys is None else keys
        paths = [str(self._download(key)) for key in named if operation in key]
        if not paths:
            return Counter()
        self._duck.execute("SET VARIABLE files = $paths::VARCHAR[]", {"paths": paths})
        return Counter(self._duck.execute(statements()[-1]).fetchall())

    def files(self) -> list[str]:
        return [file.key for file in self.processed().files_of(TABLE, date.min, date.max)]

    def rows_as_documented(self) -> Counter[Row]:
        """By the rule in SQL: the whole example of the document, on a copy of the bucket."""
        for key in self.s3.keys(BUCKET):
            self._download(key)
        with duckdb.connect() as duck:
            for statement in statements():
                rows = duck.execute(statement.replace(f"s3://{BUCKET}", str(self._folder)))
            return Counter(rows.fetchall())

    def _download(self, key: str) -> Path:
        path = self._folder / key
        body = self.s3.body(BUCKET, key)
        assert body is not None
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        assert path.read_bytes() == body
        return path

    def _note(self, bucket: str, key: str, body: bytes) -> None:
        self._written[key] += 1


@cache
def statements() -> list[str]:
    """The SQL of the document, for the table of these tests."""
    (block,) = re.findall(r"^```sql\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    return [part for part in block.replace("fact_sales_order", TABLE).split(";\n") if part.strip()]
