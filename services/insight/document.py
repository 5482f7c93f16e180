"""The questions as Markdown, for docs/questions.md. Pure.

Invariant: made from the headers alone, so that it can be held to them.
"""

import re
from collections.abc import Iterable, Iterator

from services.insight.catalogue import NONE, Kind, Parameter, Question

MARKS = ("<!-- questions -->", "<!-- /questions -->")


def table(questions: Iterable[Question]) -> str:
    """A line a question: what it asks, how it is read, what can be chosen."""
    return "\n".join(
        [
            "| question | asks | how to read the answer | options |",
            "| --- | --- | --- | --- |",
            *(f"| {' | '.join(_cells(question))} |" for question in questions),
            "",
        ]
    )


def put(document: str, made: str) -> str:
    """The document with what is made between its marks."""
    begin, end = map(re.escape, MARKS)
    return re.sub(f"(?s)({begin}\n).*?({end})", lambda found: f"{found[1]}{made}{found[2]}", document)


def _cells(question: Question) -> Iterator[str]:
    yield f"[`{question.name}`](../services/insight/questions/{question.name}.sql)"
    yield question.asks
    yield f"{question.read} **Counted:** {question.counted} **Not counted:** {question.not_counted}"
    yield "<br>".join(map(_option, question.parameters))


def _option(parameter: Parameter) -> str:
    values = "\\|".join(parameter.choices) if parameter.kind is Kind.CHOICE else parameter.kind.value
    default = "" if parameter.default == NONE else f", {parameter.default}"
    return f"`{parameter.option}` ({values}{default})"
