"""A Mermaid diagram of tables (`erDiagram`) as an SVG: facts in the middle, their dimensions on both sides.

Mermaid itself is three megabytes of JavaScript that a page would load from elsewhere. Pure: text in, text out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

LEFT, MIDDLE, RIGHT = 16, 362, 708
"""Where the three columns begin, in the picture's units."""
WIDTH, HEAD, ROW, GAP = 284, 24, 17, 18
"""Of a table: its width, the height of its head and of a column, and what lies between two tables."""
COLOURS = ("#1f6f8b", "#b4632a", "#4d7c3a")
"""One a fact: of its head and of the lines that leave it."""
INK, FAINT, EDGE = "#1c2529", "#6a767c", "#d5dce0"


@dataclass(frozen=True)
class Table:
    """One entity: its columns as (type, name, mark)."""

    name: str
    columns: tuple[tuple[str, str, str], ...]

    @property
    def height(self) -> int:
        """In the picture."""
        return HEAD + ROW * len(self.columns) + 6


@dataclass(frozen=True)
class Placed:
    """A table and its upper left corner."""

    table: Table
    x: int
    y: int


def drawn(diagram: str) -> str:
    """The SVG of the diagram."""
    tables, pairs = parsed(diagram)
    places = placed(tables, pairs)
    facts = [name for name in tables if any(fact == name for fact, _ in pairs)]
    colours = dict(zip(facts, COLOURS, strict=False))
    height = max(each.y + each.table.height for each in places.values()) + 16
    width = RIGHT + WIDTH + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img"><title>The star schema</title>',
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6" fill="#ffffff" stroke="{EDGE}"/>',
        *(_line(places, fact, dimension, colours[fact], facts.index(fact)) for fact, dimension in pairs),
        *(line for each in places.values() for line in _box(each, colours.get(each.table.name, INK))),
        "</svg>\n",
    ]
    return "\n".join(parts)


def parsed(diagram: str) -> tuple[Mapping[str, Table], Sequence[tuple[str, str]]]:
    """The tables by name, and who refers to whom: the side with a brace has many rows, so it is the fact."""
    entities = re.findall(r"^ *(\w+) \{\n(.*?)^ *\}", diagram, re.M | re.S)
    tables = {
        name: Table(name, tuple((*line.split(), "")[:3] for line in body.splitlines()))  # type: ignore[misc]
        for name, body in entities
    }
    lines = re.findall(r"^ *(\w+) (\S+--\S+) (\w+)", diagram, re.M)
    return tables, [(left, right) if "}" in sign else (right, left) for left, sign, right in lines]


def placed(tables: Mapping[str, Table], pairs: Sequence[tuple[str, str]]) -> Mapping[str, Placed]:
    """Facts in the middle; of the dimensions those that all facts share on the left, the others on the right."""
    facts = {fact for fact, _ in pairs}
    shared = {name for name in tables if sum(target == name for _, target in pairs) == len(facts)}
    columns = {
        LEFT: [table for name, table in tables.items() if name in shared],
        MIDDLE: [table for name, table in tables.items() if name in facts],
        RIGHT: [table for name, table in tables.items() if name not in facts | shared],
    }
    tallest = max(_height(column, GAP) for column in columns.values())
    return {each.table.name: each for x, column in columns.items() for each in _stacked(column, x, tallest)}


def _height(column: Sequence[Table], gap: int) -> int:
    return sum(table.height for table in column) + gap * (len(column) - 1)


def _stacked(column: Sequence[Table], x: int, tallest: int) -> Iterator[Placed]:
    """Spread over the whole height."""
    room = tallest - _height(column, 0)
    gap = room // (len(column) + 1) if room > GAP * (len(column) + 1) else GAP
    y = 16 + (tallest - _height(column, gap)) // 2
    for table in column:
        yield Placed(table, x, y)
        y += table.height + gap


def _line(places: Mapping[str, Placed], fact: str, dimension: str, colour: str, nth: int) -> str:
    """From the fact's head to the dimension's, each fact at a height of its own."""
    start, end = places[fact], places[dimension]
    to_left = end.x < start.x
    x1, x2 = (start.x, end.x + WIDTH) if to_left else (start.x + WIDTH, end.x)
    y1, y2 = start.y + HEAD // 2, end.y + HEAD // 2 + 5 * (nth - 1)
    bend = (x1 + x2) // 2
    path = f"M{x1} {y1} C{bend} {y1} {bend} {y2} {x2} {y2}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>'


def _box(each: Placed, colour: str) -> Iterator[str]:
    x, y, table = each.x, each.y, each.table
    yield f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{table.height}" rx="4" fill="#ffffff" stroke="{colour}"/>'
    yield f'<path d="M{x} {y + HEAD} h{WIDTH}" stroke="{colour}"/>'
    yield f'<text x="{x + 10}" y="{y + 16}" fill="{colour}" font-weight="600">{table.name}</text>'
    for nth, (kind, name, mark) in enumerate(table.columns):
        at = y + HEAD + ROW * nth + 14
        weight = ' font-weight="600"' if mark == "PK" else ""
        yield f'<text x="{x + 10}" y="{at}" fill="{INK}"{weight}>{name}</text>'
        yield f'<text x="{x + WIDTH - 10}" y="{at}" fill="{FAINT}" font-size="10" text-anchor="end">{kind}</text>'
