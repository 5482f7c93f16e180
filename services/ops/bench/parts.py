"""The parts of the bench by their names, in the order in which they are measured.

Invariant: importing this imports no part; a part that is not asked for costs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from services.ops.bench.figures import Part
from shared.errors import ConfigurationError


@dataclass(frozen=True)
class Described:
    """A part: its name on the command line, the module whose `measure` it is, and what it measures in one line."""

    name: str
    module: str
    what: str

    def measure(self) -> Part:
        """What measures it."""
        return cast(Part, import_module(self.module).measure)


_HERE = "services.ops.bench"
PARTS = tuple(
    Described(name, f"{_HERE}.{name}", what)
    for name, what in {
        "stages": "each stage alone, in one process",
        "path": "a backfill from source to fact table, and updated rows after it",
        "growth": "how time grows with the number of rows",
        "idle": "what a poll costs the source where nothing changes",
        "freshness": "how late changes arrive under load",
        "costs": "what a deployment costs at list prices",
        "starts": "how long a function takes until its adapters are built",
        "memory": "the peak memory of each function, with a small and a large backlog",
    }.items()
)
PEERS = Described("peers", "tests.peers", "the same rows by other tools, each in turn")
"""What `make bench-peers` measures, in an environment of its own."""


def chosen(names: Sequence[str]) -> tuple[Described, ...]:
    """The parts of these names, all without one, in their own order. Raises ConfigurationError for an unknown name."""
    known = {part.name for part in PARTS}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ConfigurationError(f"Expected parts among {', '.join(sorted(known))}, found {', '.join(unknown)}.")
    return tuple(part for part in PARTS if not names or part.name in names)
