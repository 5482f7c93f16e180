"""The breaking changes that were released all the same, each with who said so and why.

Invariant: a sentence is accepted word for word, so that another break of the same contract is refused again.
"""

import json
from pathlib import Path

from services.ops.contracts.registry import render
from shared.errors import ConfigurationError

ACCEPTED = "accepted.json"


def accepted(folder: Path) -> dict[str, str]:
    """Sentence -> reason. Raises ConfigurationError for a file that is none of ours."""
    path = folder / ACCEPTED
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as exc:
        raise ConfigurationError(f"Expected JSON in {path}, found {exc}: restore it from git.") from exc
    return {str(sentence): str(reason) for sentence, reason in found.items()}


def accept(folder: Path, sentences: list[str], reason: str) -> None:
    """Add to what is accepted."""
    folder.mkdir(parents=True, exist_ok=True)
    text = render(accepted(folder) | dict.fromkeys(sentences, reason))
    (folder / ACCEPTED).write_text(text, encoding="utf-8")
