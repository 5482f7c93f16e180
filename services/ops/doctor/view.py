"""An examination in words, for a terminal of any width. Pure."""

import textwrap
from collections.abc import Iterator

from pydantic import TypeAdapter

from services.ops.doctor.findings import Examination, Finding, Verdict, summary

VERDICT_CHARACTERS, CHECK_CHARACTERS = 6, 27
"""Widths of the first two columns, margins included."""
NARROWEST = 60


def lines(found: Examination, width: int) -> Iterator[str]:
    """A paragraph for each finding, the worst last, where the eye is when it has scrolled by."""
    wide = max(width, NARROWEST)
    for finding in sorted(found.findings, key=lambda one: list(Verdict).index(one.verdict)):
        yield from _paragraph(finding, wide)
    yield ""
    yield from textwrap.wrap(summary(found.findings), wide)


def as_json(found: Examination) -> str:
    """All of it as one JSON object."""
    return TypeAdapter(Examination).dump_json(found, indent=2).decode()


def _paragraph(finding: Finding, width: int) -> Iterator[str]:
    indent = " " * (VERDICT_CHARACTERS + CHECK_CHARACTERS)
    first = f"{finding.verdict:<{VERDICT_CHARACTERS}}{finding.check:<{CHECK_CHARACTERS}}"
    yield from _wrapped(finding.found, width, first, indent)
    if finding.cure:
        yield from _wrapped(finding.cure, width, f"{indent}→ ", f"{indent}  ")


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=True, break_on_hyphens=False
    )
