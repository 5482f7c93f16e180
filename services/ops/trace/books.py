"""What the warehouse's books say of one key. Names go through `identifier`, the key is a parameter.

Invariant: it only reads. A warehouse that does not answer is told as such; the archive's part is shown all the same.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.star import Kind, StarRow
from services.ops.status import Warehouse
from services.ops.trace.timeline import Books, Load, Member, Seen, Version
from shared.bookkeeping import seen_view
from shared.errors import PipelineError
from shared.postgres import identifier

Row = list[Any]


def read_books(warehouse: Warehouse, star: type[StarRow] | None, key: int, batches: Sequence[str]) -> Books:
    """Everything of the key and of the batches that brought it; nothing where the feed has no star table."""
    if star is None:
        return Books()
    try:
        loads = tuple(Load(*row) for row in warehouse.read(_statement("loads"), batches=list(batches)))
        if star.kind() is Kind.DIMENSION:
            return Books(loads=loads, member=_member(warehouse, star, key))
        return Books(loads=loads, seen=_seen(warehouse, star, key), versions=_versions(warehouse, star, key))
    except PipelineError as exc:
        return Books(problem=str(exc))


def _seen(warehouse: Warehouse, fact: type[StarRow], key: int) -> tuple[Seen, ...]:
    rows = warehouse.read(_statement("seen").format(seen=seen_view(fact)), key=key)
    return tuple(Seen(*row) for row in rows)


def _versions(warehouse: Warehouse, fact: type[StarRow], key: int) -> tuple[Version, ...]:
    names = {
        "record_id": identifier(fact.record_id or ""),
        "history": identifier(f"history_{fact.key.removesuffix('_id')}"),
        "fact": identifier(fact.table),
        "key": identifier(fact.key),
    }
    return tuple(Version(*row) for row in warehouse.read(_statement("versions").format(**names), key=key))


def _member(warehouse: Warehouse, dimension: type[StarRow], key: int) -> Member | None:
    names = {"table": identifier(dimension.table), "key": identifier(dimension.key)}
    rows = warehouse.read(_statement("member").format(**names), key=key)
    return _member_of(*rows[0]) if rows else None


def _member_of(*row: Any) -> Member:
    generation, revision, contract, seen_at, deleted_generation, deleted_revision, inferred_at = row
    deleted = None if deleted_generation is None else (int(deleted_generation), int(deleted_revision))
    inferred: datetime | None = inferred_at
    return Member(generation, revision, contract, seen_at, deleted, inferred)


def _statement(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
