"""The reference pages that are made from the code: commands, settings, metrics, alarms.

Invariant: the same code gives the same bytes; what a page says of an option, a setting, a metric or an alarm stands
where that is defined, and nowhere a second time. Writing them again changes nothing.
"""

from collections.abc import Mapping
from pathlib import Path

from services.local.topology import topology
from services.ops.reference import alarms, commands, metrics, settings

COMMAND = "make reference"
"""What writes all of them."""
HEAD = f"<!-- Made from the code by `{COMMAND}`: change that. -->\n"


def rendered() -> Mapping[Path, str]:
    """Every page by its path in the repository."""
    from services.ops.cli import app

    described = topology()
    pages = {
        "cli": commands.page(app),
        "settings": settings.page(described),
        "metrics": metrics.page(described),
        "alarms": alarms.page(described),
    }
    return {Path(f"docs/reference/{name}.md"): f"{HEAD}{text}" for name, text in pages.items()}


def stale(root: Path) -> tuple[Path, ...]:
    """The pages below `root` that are not as the code has them. Empty: none."""
    return tuple(path for path, text in rendered().items() if _held(root / path) != text)


def write(root: Path) -> tuple[Path, ...]:
    """Write what is stale, and say which pages that was."""
    made = rendered()
    changed = stale(root)
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(made[path], encoding="utf-8", newline="\n")
    return changed


def _held(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
