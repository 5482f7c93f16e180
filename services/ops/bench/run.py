"""Measure the parts asked for, show each as it is done, write what is to be kept.

Invariant: a part that fails costs no other: its reason stands in the answer, and the command fails at the end. The
folder is the bench's own while it runs, and nothing of it is left.
"""

import json
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from services.ops.bench import table
from services.ops.bench.chart import Block, chart
from services.ops.bench.figures import Figure, Task
from services.ops.bench.parts import PARTS, PEERS, Described
from shared.errors import ConfigurationError, PipelineError
from shared.marked import put

OURS = "totes"
"""What the peers' figures call this project, behind the last colon of their names."""


@dataclass(frozen=True)
class Measured:
    """What a part came to: its figures, or why there are none."""

    part: Described
    figures: tuple[Figure, ...]
    failed: str | None = None


@dataclass(frozen=True)
class Files:
    """Where figures are kept: as JSON, as a chart, in a document; None where they are not."""

    json: Path | None
    chart: Path | None
    document: Path | None

    def expect_fit(self) -> None:
        """Look before hours of measuring. Raises ConfigurationError where one of them could not be written."""
        for path in (self.json, self.chart, self.document):
            if path is not None and not path.absolute().parent.is_dir():
                raise ConfigurationError(f"Expected a folder for {path}, found none: make it first.")
        if self.document is not None:
            put(_text(self.document), table.MARK, "")

    def write(self, done: Sequence[Measured], kept: str) -> None:
        """Keep what was measured so far, in place of what was kept before; `kept` is the JSON."""
        if self.json is not None:
            self.json.write_text(kept, encoding="utf-8")
        if self.chart is not None:
            self.chart.write_text(charted(done), encoding="utf-8")
        if self.document is not None:
            self.document.write_text(put(_text(self.document), table.MARK, tables(done)), encoding="utf-8")


def _text(document: Path) -> str:
    if not document.is_file():
        raise ConfigurationError(f"Expected the document {document}, found none.")
    return document.read_text(encoding="utf-8")


def measure(parts: Sequence[Described], task: Task, show: Callable[[Sequence[Measured]], None]) -> list[Measured]:
    """Measure one part after the other, and show all that was measured after each.

    Raises ConfigurationError where the folder is somebody else's.
    """
    if task.folder.exists() and any(task.folder.iterdir()):
        raise ConfigurationError(f"Expected {task.folder} to be empty or not there: remove it, or choose another.")
    task.folder.mkdir(parents=True, exist_ok=True)
    done: list[Measured] = []
    try:
        for part in parts:
            done.append(_measured(part, task))
            show(done)
    finally:
        shutil.rmtree(task.folder, ignore_errors=True)
    return done


def _measured(part: Described, task: Task) -> Measured:
    try:
        return Measured(part, tuple(part.measure()(task)))
    except PipelineError as exc:
        return Measured(part, (), str(exc))


def as_json(done: Sequence[Measured], task: Task, at: datetime) -> str:
    """All figures with what they were measured on."""
    return json.dumps(
        {
            "at": at.isoformat(timespec="seconds"),
            "machine": machine(),
            "runs": task.runs,
            "orders": task.orders,
            "parts": {one.part.name: _part(one) for one in done},
        },
        indent=2,
    )


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def read(path: Path) -> list[Measured]:
    """What an earlier run kept as JSON. Raises ConfigurationError where it is none of the bench's."""
    known = {part.name: part for part in (*PARTS, PEERS)}
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))["parts"]
        return [Measured(known[name], _figures(part), part["failed"]) for name, part in parts.items()]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigurationError(f"Expected figures of `totes bench` in {path}, found none: {exc!r}.") from exc


def shown(paths: Sequence[Path], show: Callable[[Sequence[Measured]], None]) -> list[Measured]:
    """What earlier runs kept, shown as if it had been measured now. Raises ConfigurationError like `read`."""
    done = [one for path in paths for one in read(path)]
    for number in range(1, len(done) + 1):
        show(done[:number])
    return done


def _figures(part: dict[str, Any]) -> tuple[Figure, ...]:
    return tuple(Figure(**{name: value for name, value in one.items() if name != "ratio"}) for one in part["figures"])


def _part(one: Measured) -> dict[str, Any]:
    return {"figures": [figure.as_json() for figure in one.figures], "failed": one.failed}


def charted(done: Sequence[Measured]) -> str:
    """The chart: the whole path, beside other tools where they were measured, then its stages."""
    there = {one.part.name: one for one in done if one.figures}
    blocks = peers_blocks(there["peers"].figures) if "peers" in there else list[Block]()
    names = ("stages",) if blocks else ("path", "stages")
    own = [Block(sentence(there[name].part.what), there[name].figures) for name in names if name in there]
    return chart([*blocks, *own])


def peers_blocks(figures: Sequence[Figure]) -> list[Block]:
    """A block for each step, a bar for each tool: a name is `step: tool`, and what has no unit is no bar."""
    steps: dict[str, list[Figure]] = {}
    for figure in figures:
        step, _, tool = figure.name.rpartition(": ")
        if figure.unit:
            steps.setdefault(step, []).append(replace(figure, name=tool, limit=None))
    return [Block(sentence(step), bars, {bar.name for bar in bars if bar.name != OURS}) for step, bars in steps.items()]


def tables(done: Sequence[Measured]) -> str:
    """Every figure as Markdown."""
    return table.markdown([(titled(one.part), one.figures) for one in done if one.figures])


def titled(part: Described) -> str:
    """A part's heading."""
    return f"{part.name}: {part.what}"


def sentence(words: str) -> str:
    """Words with a capital at their head."""
    return f"{words[:1].upper()}{words[1:]}"
