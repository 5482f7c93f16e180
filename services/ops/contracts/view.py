"""What `totes contracts` prints. Pure.

Invariant: a list shows every contract, also one that was never released.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from services.ops.contracts.check import State, state_of
from services.ops.contracts.published import Published
from services.ops.contracts.registry import Registry
from services.ops.contracts.release import Released


def table_of(registry: Registry, contracts: Sequence[Published]) -> Table:
    """One line a contract."""
    table = Table("contract", "version", "released", "columns", "", box=None, pad_edge=False)
    for each in contracts:
        versions = registry.versions(each.title)
        state = state_of(each, versions)
        said = "" if state is State.RELEASED else str(state)
        fields = each.written.get("x-columns") or each.written["properties"]
        table.add_row(each.title, f"{each.version}", f"{len(versions)}", f"{len(fields)}", said)
    return table


def released(done: Released, root: Path) -> Iterator[str]:
    """What was written, and what is left to do by hand."""
    if not done.contracts:
        yield "Nothing is new: every contract is released as it is."
    for each in done.contracts:
        yield f"Released {each}."
    for path in (*done.files, *done.migration):
        yield f"  wrote {path.relative_to(root)}"
    if done.migration:
        yield "Finish the migration (what shall rows of before hold?), and let `make test` hold it to the contracts."
