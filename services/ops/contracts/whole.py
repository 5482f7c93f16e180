"""All that `totes contracts check` and `diff` hold: the code to what was released, or two databases to the code.

Invariant: it only reads; every sentence that fails says what was expected, what was found and what to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.ops.contracts import against, documents, golden
from services.ops.contracts.accepted import accepted
from services.ops.contracts.check import Standing, differences, sentences, standings
from services.ops.contracts.published import Published, today
from services.ops.contracts.registry import FOLDER, Registry
from services.ops.contracts.release import GOLDEN
from services.ops.contracts.verdicts import Severity, judge
from services.ops.contracts.world import lines
from services.ops.doctor.findings import Finding, Verdict
from services.ops.preflight import SOURCE_SCHEMA


@dataclass(frozen=True)
class Checked:
    """What to print, and whether something is not in order."""

    lines: tuple[str, ...]
    failed: bool


def against_code(root: Path) -> Checked:
    """The models, golden messages and rows, and documents of the project in `root`."""
    registry = Registry(root / "contracts" / FOLDER.name)
    found = standings(registry, today())
    wrong = (
        *sentences(found, registry.titles(), frozenset(accepted(registry.folder))),
        *golden.check(root / GOLDEN),
        *_stale(root),
    )
    return Checked((*wrong, *_bridged(found), _total(found, len(wrong))), bool(wrong))


def since(former: Published, current: Published, bridged: frozenset[int]) -> Checked:
    """What changed since a released version, and whom that would break. `bridged`: the versions that have a step."""
    verdicts = judge({former.version: former}, current, bridged)
    changed = list(differences(former, current)) or [f"{current.title} is as it was released under v{former.version}."]
    told = [f"{verdict.severity}: {verdict.sentence}." for verdict in verdicts]
    return Checked((*changed, *told), any(verdict.severity is Severity.BREAKING for verdict in verdicts))


def _stale(root: Path) -> Iterator[str]:
    for path in documents.stale(root):
        yield f"Expected {path} as the models have it, found it older: `totes contracts release` writes it anew."


def _bridged(found: tuple[Standing, ...]) -> Iterator[str]:
    for standing in found:
        yield from (f"{each.sentence}." for each in standing.verdicts if each.severity is Severity.BRIDGED)


def _total(found: tuple[Standing, ...], wrong: int) -> str:
    versions = sum(each.newest for each in found)
    said = "all in order" if not wrong else f"{wrong} not in order"
    return f"{len(found)} contracts, {versions} released versions, golden messages and rows, documents: {said}."


def against_databases(source: str | None, warehouse: str | None, schema: str) -> Checked:
    """A live totesys, a warehouse, or both. Raises PipelineError where one cannot be read."""
    found: list[Finding] = []
    if source is not None:
        found += against.against_source(source, SOURCE_SCHEMA)
    if warehouse is not None:
        found += against.against_warehouse(warehouse, schema)
    return Checked(tuple(lines(found)), any(each.verdict is Verdict.FAIL for each in found))
