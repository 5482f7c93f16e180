"""Release: write what the models say as new versions, with what follows from it.

Invariant: what was released is never written over, and a change that would break somebody is refused unless it is
accepted with a reason. A second run writes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.star import STAR_TABLES
from services.ops.contracts import documents, golden
from services.ops.contracts.accepted import accept, accepted
from services.ops.contracts.check import Standing, State, how_to_raise, standings
from services.ops.contracts.migration import Change, skeleton
from services.ops.contracts.published import Kind, Published, today
from services.ops.contracts.registry import FOLDER, Registry
from shared.errors import ConfigurationError

GOLDEN = Path("tests/contracts/golden")
"""Where the golden files lie in the project."""


@dataclass(frozen=True)
class Released:
    """What a release did: titles with their new version, files that changed, and what is left to finish by hand."""

    contracts: tuple[str, ...]
    files: tuple[Path, ...]
    migration: tuple[Path, ...]


def release(root: Path, *, reason: str | None = None, contracts: Sequence[Published] | None = None) -> Released:
    """Release what is new of the contracts (the code's own unless given); `reason` accepts what would break somebody.

    Raises ConfigurationError where a model changed without a new version, or a break is not accepted.
    """
    registry = Registry(root / "contracts" / FOLDER.name)
    found = standings(registry, today() if contracts is None else contracts)
    new = [each for each in found if each.state is State.UNRELEASED]
    _refuse(found, new, registry.folder, reason)
    texts = skeleton(_changes(registry, new))
    migration = _write(root, {path: text.encode() for path, text in texts.items()})
    schemas = [path for each in new for path in registry.add(each.today)]
    kept = [path for each in new for path in _write(root / GOLDEN, golden.make(each.today))]
    made = [root / path for path in documents.write(root)]
    titles = tuple(f"{each.today.title} v{each.today.version}" for each in new)
    return Released(titles, (*schemas, *kept, *made), migration)


def _refuse(found: Iterable[Standing], new: Iterable[Standing], folder: Path, reason: str | None) -> None:
    """Raises ConfigurationError where something may not be released as it is."""
    changed = [each.today for each in found if each.state is State.CHANGED]
    if changed:
        raise ConfigurationError(
            " ".join(f"{each.title} changed without a new version: {how_to_raise(each)}" for each in changed)
        )
    known = accepted(folder)
    breaking = [each.sentence for standing in new for each in standing.breaking if each.sentence not in known]
    if breaking and reason is None:
        raise ConfigurationError(
            f"{'; '.join(breaking)}. Make it so that nobody breaks, or say why it may: `totes contracts release "
            "--accept REASON`."
        )
    if breaking and reason is not None:
        accept(folder, breaking, reason)


def _changes(registry: Registry, new: Sequence[Standing]) -> list[Change]:
    """The star tables to migrate. What the first migration made was released with it, so nothing is to do for that."""
    models = {table.table: table for table in STAR_TABLES}
    stars = [each.today for each in new if each.today.kind is Kind.STAR]
    if not registry.titles():
        return []
    return [Change(models[each.name], _former(registry, each)) for each in stars if _differs(registry, each)]


def _former(registry: Registry, star: Published) -> Mapping[str, object] | None:
    released = registry.versions(star.title)
    return released[max(released)].written if released else None


def _differs(registry: Registry, star: Published) -> bool:
    former = _former(registry, star)
    return former is None or {**former, "$id": ""} != {**star.written, "$id": ""}


def _write(root: Path, files: Mapping[Path, bytes]) -> tuple[Path, ...]:
    for path, body in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)
    return tuple(root / path for path in files)
