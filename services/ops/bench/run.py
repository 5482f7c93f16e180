"""Measure the parts asked for, show each as it is done, write what is to be kept.

Invariant: a part that fails costs no other: its reason stands in the answer, and the command fails at the end. The
folder is the bench's own while it runs, and nothing of it is left.
"""

import json
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from services.ops.bench import chart, table
from services.ops.bench.figures import Figure, Task
from services.ops.bench.parts import Described
from shared.errors import ConfigurationError, PipelineError

CHARTED = ("path", "stages")
"""What the chart shows, the whole before its stages."""


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
            table.put(_text(self.document), "")

    def write(self, done: Sequence[Measured], task: Task, at: datetime) -> None:
        """Keep what was measured so far, in place of what was kept before."""
        if self.json is not None:
            self.json.write_text(as_json(done, task, at), encoding="utf-8")
        if self.chart is not None:
            self.chart.write_text(charted(done), encoding="utf-8")
        if self.document is not None:
            self.document.write_text(table.put(_text(self.document), tables(done)), encoding="utf-8")


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


def _part(one: Measured) -> dict[str, Any]:
    return {"figures": [figure.as_json() for figure in one.figures], "failed": one.failed}


def charted(done: Sequence[Measured]) -> str:
    """The chart of what was measured of CHARTED."""
    there = {one.part.name: one for one in done if one.figures}
    shown = [there[name] for name in CHARTED if name in there]
    return chart.chart([(sentence(one.part.what), one.figures) for one in shown])


def tables(done: Sequence[Measured]) -> str:
    """Every figure as Markdown."""
    return table.markdown([(titled(one.part), one.figures) for one in done if one.figures])


def titled(part: Described) -> str:
    """A part's heading."""
    return f"{part.name}: {part.what}"


def sentence(words: str) -> str:
    """Words with a capital at their head."""
    return f"{words[:1].upper()}{words[1:]}"
