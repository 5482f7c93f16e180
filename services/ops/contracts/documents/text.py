"""How the documents are written: YAML and Markdown, the same for the same content. Pure.

Invariant: keys and rows stand in the order they are given in, and each document says on top what made it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

try:
    from yaml import CSafeDumper as Dumper
except ImportError:  # built without libyaml: the same text, ten times as slow
    from yaml import SafeDumper as Dumper  # type: ignore[assignment]

COMMAND = "python -m services.ops.contracts.documents --write"
"""What writes all documents."""
WIDTH = 118
"""Of a line that may be broken: with its comment sign or a list's dash within the 120 that all our text keeps to."""


def yaml_text(document: Mapping[str, Any]) -> str:
    """A YAML document with the line on top that says what made it."""
    body = yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=WIDTH)
    return f"# Made from the models by `{COMMAND}`: change those.\n{body}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "".join(_row(cells) for cells in (head, ["---"] * len(head), *rows))


def _row(cells: Sequence[str]) -> str:
    """A bar would end a cell; an empty one needs no second blank."""
    return "|" + "|".join(f" {cell.replace('|', chr(92) + '|')} " if cell else " " for cell in cells) + "|\n"


class _Plain(Dumper):
    """Writes what occurs twice twice: an anchor would save lines and cost readers."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - of whatever it is
        return True
