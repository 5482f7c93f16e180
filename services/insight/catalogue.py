"""The questions that can be asked: each file in `questions/`, its header as values and its query as text.

Invariant: what a question means is written once, in its file's header; help, lists and documents are made from it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("questions")
NONE = "none"
"""As a default: the parameter may be left out, and then nothing is left out of the answer."""
_PARAGRAPHS = ("Question", "Read", "Counted", "Not counted")
_PARAGRAPH = re.compile(r"(?P<key>[A-Z][a-z ]+): (?P<text>.+)")
_PARAMETER = re.compile(r"Parameter (?P<name>[a-z_]+) \((?P<kind>[a-z|]+); (?P<default>[a-z]+)\): (?P<help>.+)")


class MalformedQuestion(ValueError):
    """A file of ours is not written as questions are."""


class Kind(StrEnum):
    """What a parameter's value is."""

    CHOICE = "choice"
    CURRENCY = "currency"
    DATE = "date"
    MOMENT = "moment"
    NUMBER = "number"
    RATES = "rates"


@dataclass(frozen=True)
class Parameter:
    """One named value that a query takes."""

    name: str
    kind: Kind
    choices: tuple[str, ...]
    """Of a choice, what may be chosen."""
    default: str
    """A choice, `today`, `now` or `none`."""
    help: str

    @property
    def option(self) -> str:
        """As it is typed."""
        return f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True)
class Question:
    """One question: in words, how its answer is read, and its query."""

    name: str
    asks: str
    read: str
    counted: str
    not_counted: str
    parameters: tuple[Parameter, ...]
    sql: str


@cache
def questions() -> dict[str, Question]:
    """Every question by its name, in the order of names."""
    return {path.stem: parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.sql"))}


def parse(name: str, text: str) -> Question:
    """A question from its file. Raises MalformedQuestion."""
    lines = text.splitlines()
    length = next((n for n, line in enumerate(lines) if not line.startswith("-- ")), len(lines))
    entries = list(_entries(name, lines[:length]))
    paragraphs = {found["key"]: found["text"] for entry in entries if (found := _PARAGRAPH.fullmatch(entry))}
    parameters = [_parameter(found) for entry in entries if (found := _PARAMETER.fullmatch(entry))]
    if tuple(paragraphs) != _PARAGRAPHS or len(paragraphs) + len(parameters) != len(entries):
        raise MalformedQuestion(f"Expected {_PARAGRAPHS} and then parameters on top of {name}.sql, found {entries}.")
    asks, read, counted, not_counted = paragraphs.values()
    return Question(name, asks, read, counted, not_counted, tuple(parameters), "\n".join(lines[length:]))


def _entries(name: str, lines: list[str]) -> Iterator[str]:
    """The header's entries, each on one line; what goes on is indented."""
    entry = ""
    for line in lines:
        text = line.removeprefix("-- ")
        if text.startswith("  "):
            entry += f" {text.strip()}"
            continue
        if entry:
            yield entry
        entry = text
    if not entry:
        raise MalformedQuestion(f"Expected a header on top of {name}.sql, found none.")
    yield entry


def _parameter(found: re.Match[str]) -> Parameter:
    name, kind, default, help_text = found.group("name", "kind", "default", "help")
    if "|" in kind:
        return Parameter(name, Kind.CHOICE, tuple(kind.split("|")), default, help_text)
    return Parameter(name, Kind(kind), (), default, help_text)
