"""The documents that are made from the models: rendered, compared with the files, written. Each module is one kind.

Invariant: the same models give the same bytes, and nothing else has a say in them: no clock, no environment, no order
that may differ. Writing them a second time changes nothing.
"""

from collections.abc import Mapping
from pathlib import Path

from services.local.topology import Topology, topology
from services.ops.contracts.documents import asyncapi, dictionary, odcs
from services.ops.contracts.documents.columns import TODAY, Models
from services.ops.contracts.published import today


def rendered(models: Models = TODAY, described: Topology | None = None) -> Mapping[Path, str]:
    """Every document by its path in the repository."""
    described = described or topology()
    return {
        Path(asyncapi.PATH): asyncapi.asyncapi(today(models.feeds), described),
        Path(dictionary.PATH): dictionary.dictionary(models),
        **{Path(path): text for path, text in odcs.documents(models, described)},
    }


def stale(root: Path) -> tuple[Path, ...]:
    """The documents below `root` that are not as the models have them, or are there without a model. Empty: none."""
    made = rendered()
    left = {path.relative_to(root) for path in (root / odcs.FOLDER).rglob("*.yaml")} - set(made)
    return tuple(sorted({path for path, text in made.items() if _held(root / path) != text} | left))


def write(root: Path) -> tuple[Path, ...]:
    """Write what is stale, remove what has no model any more, and say which that was."""
    made = rendered()
    changed = stale(root)
    for path in changed:
        if path in made:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(made[path], encoding="utf-8", newline="\n")
        else:
            (root / path).unlink()
    return changed


def _held(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
