"""The questions as Markdown, for docs/questions.md. Pure.

Invariant: made from the headers alone, so that it can be held to them.
"""

from collections.abc import Collection, Iterator

from services.insight.catalogue import NONE, Kind, Parameter, Question

MARK = "questions"
"""Of the block in a document."""


def listed(questions: Collection[Question]) -> str:
    """A table, a line a question, and below it how each answer is read."""
    rows = (f"| {' | '.join(_cells(question))} |" for question in questions)
    sections = (line for question in questions for line in _section(question))
    return "\n".join(["| question | asks | options |", "| --- | --- | --- |", *rows, "", *sections])


def _cells(question: Question) -> Iterator[str]:
    yield f"[{question.name}](#{question.name})"
    yield question.asks
    yield "<br>".join(map(_option, question.parameters))


def _section(question: Question) -> Iterator[str]:
    yield f"### {question.name}\n"
    yield f"{question.asks} [The query](../services/insight/questions/{question.name}.sql).\n"
    yield f"{question.read}\n"
    yield f"- **Counted:** {question.counted}"
    yield f"- **Not counted:** {question.not_counted}\n"


def _option(parameter: Parameter) -> str:
    values = "\\|".join(parameter.choices) if parameter.kind is Kind.CHOICE else parameter.kind.value
    default = "" if parameter.default == NONE else f", {parameter.default}"
    return f"`{parameter.option}` ({values}{default})"
