"""What people and programs see of an answer: a table in words, one JSON object, or CSV. Pure.

Invariant: JSON and CSV hold every row and column, and money as exact decimals; what the table leaves out, it says.
"""

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic_core import to_json
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.insight.ask import Answer
from services.insight.catalogue import Kind, Parameter, Question

QUIET = "dim"
NOTHING = "-"
PROSE_CHARACTERS = 100
"""A line longer than this is hard to read, however wide the terminal."""
LINE_CHARACTERS = 24
"""Text that is longer is broken between its words: a name stays whole, an address takes two lines."""


def picture(answer: Answer, *, shown_rows: int) -> RenderableType:
    """The question, what it was asked with, the first so many rows (0: all), and how to read them."""
    question, rows = answer.question, answer.rows[: shown_rows or None]
    parts: list[RenderableType] = [Text(f" {question.asks}", style="bold")]
    if told := ", ".join(_asked_with(answer)):
        parts.append(Text(f" {told}", style=QUIET))
    parts += [Text(), _table(answer.columns, rows) if rows else Text(" Nothing in the warehouse matches.")]
    parts += [Text(f" {line}", style=QUIET) for line in ("", *_footnotes(answer, len(rows)))]
    return Group(*parts)


def listing(questions: Iterable[Question]) -> RenderableType:
    """Every question there is, by name."""
    table = _new_table()
    table.add_column("question", no_wrap=True)
    table.add_column("answers")
    for question in questions:
        table.add_row(question.name, question.asks)
    hint = " `totes ask QUESTION` answers it; with --help it says how to read the answer and what can be chosen."
    return Group(table, Text(), Text(hint, style=QUIET))


def as_json(answer: Answer) -> str:
    """One object; decimals are text, so that no reader rounds them, and times are ISO 8601 in UTC."""
    told = {
        "question": answer.question.name,
        "asks": answer.question.asks,
        "parameters": {one.name: _value_of(one, answer) for one in answer.question.parameters},
        "columns": answer.columns,
        "rows": [dict(zip(answer.columns, row, strict=True)) for row in answer.rows],
    }
    return to_json(told, indent=2).decode()


def as_csv(answer: Answer) -> str:
    """A header and every row; what is not known is empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([_bare(value) for value in row] for row in answer.rows)
    return written.getvalue()


def _value_of(parameter: Parameter, answer: Answer) -> object:
    value = answer.values[parameter.name]
    return json.loads(value) if parameter.kind is Kind.RATES and isinstance(value, str) else value


def _bare(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime) else value


def _asked_with(answer: Answer) -> Iterator[str]:
    """What it was asked with, as it could be typed; a table of rates shows in the answer itself."""
    for parameter in answer.question.parameters:
        value = answer.values[parameter.name]
        if value is not None:
            shown = "as given" if parameter.kind is Kind.RATES else _cell("", value)
            shown += " UTC" if parameter.kind is Kind.MOMENT else ""
            yield f"{parameter.option.removeprefix('--')} {shown}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A column that is empty throughout is left out."""
    table = _new_table()
    filled = [n for n in range(len(columns)) if any(row[n] is not None for row in rows)]
    for n in filled:
        _add_column(table, columns[n], [row[n] for row in rows])
    for row in rows:
        table.add_row(*(_cell(columns[n], row[n]) for n in filled))
    return table


def _add_column(table: Table, name: str, values: Sequence[Any]) -> None:
    """Numbers to the right; nothing is broken but long text, and that between its words."""
    cells = [_cell(name, value) for value in values]
    breakable = any(isinstance(value, str) and len(value) > LINE_CHARACTERS for value in values)
    whole = max(len(part) for cell in cells for part in (cell.split() if breakable else [cell]))
    words = name.split("_")
    width = max(whole, *map(len, words), LINE_CHARACTERS if breakable else 0)
    table.add_column(
        "\n".join(textwrap.wrap(" ".join(words), width)),
        justify="right" if all(_is_number(value) for value in values if value is not None) else "left",
        min_width=width,
        max_width=width,
        overflow="fold",
    )


def _new_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 1), pad_edge=True, show_edge=False, header_style="bold")


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _cell(column: str, value: object) -> str:
    """A value as a person reads it; a key is no quantity, so its digits stay together."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"{value:,}" if _is_number(value) and not column.endswith("_id") else f"{value}"


def _footnotes(answer: Answer, shown: int) -> Iterator[str]:
    question, rows = answer.question, len(answer.rows)
    if shown < rows:
        yield f"The first {shown:,} of {rows:,} rows: --rows 0 shows all, --csv and --json always do."
    elif rows:
        yield f"{rows:,} {'row' if rows == 1 else 'rows'}."
    if any(isinstance(value, datetime) for row in answer.rows for value in row):
        yield "Times are UTC."
    for text in (question.read, f"Counted: {question.counted}", f"Not counted: {question.not_counted}"):
        yield from textwrap.wrap(text, PROSE_CHARACTERS)
