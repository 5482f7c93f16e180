"""Figures as people read them: a table for the terminal, and the same as Markdown for a document. Pure.

Invariant: every figure given appears, a miss with its cause like any other.
"""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.ops.bench.figures import Figure

HEAD = ("what", "median", "unit", "least … greatest", "limit", "in limits", "target", "met")
NUMBERS = ("median", "least … greatest", "limit", "in limits")
MARK = "bench"
"""Of the block in a document in which the tables are made anew."""
_THOUSAND, _TEN = 1_000, 10
_LEAST = 5e-4
"""Below it a number is shown as nothing."""


def table(title: str, figures: Sequence[Figure]) -> RenderableType:
    """For the terminal: the figures, and below them what must be known of each."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in HEAD:
        shown.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    for figure in figures:
        shown.add_row(*cells(figure))
    return Group(shown, *(Text(f"  {line}", style="dim") for line in notes(figures)))


def cells(figure: Figure) -> tuple[str, ...]:
    """One row, as HEAD names its columns."""
    return (
        figure.name,
        number(figure.value),
        figure.unit,
        f"{number(figure.low)} … {number(figure.high)}" if figure.low != figure.high else "",
        "" if figure.limit is None else number(figure.limit),
        "" if figure.ratio is None else number(figure.ratio),
        figure.target,
        {None: "", True: "yes", False: "no"}[figure.met],
    )


def notes(figures: Sequence[Figure]) -> Iterator[str]:
    """What is to be said of each figure: its limit's name, its note."""
    for figure in figures:
        said = [f"limit: {figure.limit_name}"] * bool(figure.limit_name) + [figure.note] * bool(figure.note)
        if said:
            yield f"{figure.name}: {'; '.join(said)}."


def number(value: float) -> str:
    """Three digits that tell, none behind the point from a thousand on."""
    if abs(value) >= _THOUSAND or value == round(value):
        return f"{value:,.0f}"
    if abs(value) < _LEAST:
        return "0"
    return f"{value:.1f}" if abs(value) >= _TEN else f"{value:.2g}" if abs(value) < 1 else f"{value:.2f}"


def markdown(parts: Sequence[tuple[str, Sequence[Figure]]]) -> str:
    """A table for each part, under what the part measures, with the notes as a list below."""
    return "\n".join(line for title, figures in parts for line in _section(title, figures))


def _section(title: str, figures: Sequence[Figure]) -> list[str]:
    aligned = tuple("---:" if name in NUMBERS else "---" for name in HEAD)
    lines = [f"| {' | '.join(map(_escaped, row))} |" for row in (HEAD, aligned, *map(cells, figures))]
    said = [f"- {line}" for line in notes(figures)]
    return [f"**{title[0].upper()}{title[1:]}**", "", *lines, "", *said, *[""] * bool(said)]


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|")
