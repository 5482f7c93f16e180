"""The figures of a part as bars, as an SVG that a document shows. Pure.

Invariant: it brings its own background, so that it reads alike on a light and on a dark page; no script, no font.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from services.ops.bench.figures import Figure
from services.ops.bench.table import number

WIDTH, LEFT, RIGHT = 840, 300, 160
"""Of the picture, of the names, of the values behind the bars; a page is some 840 pixels wide."""
BAR, GAP, HEAD = 18, 10, 42
OURS, OTHERS, LIMIT = "#1f6f8b", "#c07a3a", "#b9c4ca"
INK, FAINT, PAPER, FRAME = "#1c2529", "#5b6870", "#ffffff", "#d5dce0"


@dataclass(frozen=True)
class Block:
    """Bars under a title. `others`: names of figures that are not this project's."""

    title: str
    figures: Sequence[Figure]
    others: Container[str] = ()


def chart(blocks: Sequence[Block]) -> str:
    """Block below block, each figure above its limit; bars of one unit in one block have one scale."""
    lines, top = list[str](), 0.0
    for block in blocks:
        lines += _bars(block, top)
        top += height_of(block.figures)
    return "\n".join((_opening(top + GAP), *lines, "</svg>", ""))


def height_of(figures: Sequence[Figure]) -> float:
    """Pixels that a block takes."""
    return HEAD + len(figures) * (BAR + GAP) + len(_limited(figures)) * BAR


def _limited(figures: Sequence[Figure]) -> list[Figure]:
    """The figures below which their limit is drawn: the first of each."""
    limits = {(figure.limit, figure.limit_name): figure for figure in reversed(figures) if figure.limit is not None}
    return list(limits.values())


def _opening(height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="system-ui, sans-serif" font-size="13" role="img">\n'
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="6" fill="{PAPER}" stroke="{FRAME}"/>'
    )


def _bars(block: Block, top: float) -> Iterator[str]:
    figures = block.figures
    yield _text(16, top + 26, block.title, weight="600")
    longest = {unit: max(_values(figures, unit)) for unit in {figure.unit for figure in figures}}
    at, limited = top + HEAD, _limited(figures)
    for figure in figures:
        scale = (WIDTH - LEFT - RIGHT) / (longest[figure.unit] or 1)
        yield _text(LEFT - 10, at + 13, figure.name, anchor="end")
        yield from _bar(at, figure.value, figure, OTHERS if figure.name in block.others else OURS, scale)
        if figure.limit is not None and figure in limited:
            at += BAR
            yield _text(LEFT - 10, at + 13, figure.limit_name, anchor="end", ink=FAINT)
            yield from _bar(at, figure.limit, figure, LIMIT, scale)
        at += BAR + GAP


def _values(figures: Sequence[Figure], unit: str) -> list[float]:
    return [value for one in figures if one.unit == unit for value in (one.value, one.limit or 0.0)]


def _bar(at: float, value: float, figure: Figure, colour: str, scale: float) -> Iterator[str]:
    width = max(1.0, value * scale)
    yield f'<rect x="{LEFT}" y="{at + 2:.1f}" width="{width:.1f}" height="{BAR - 4}" rx="2" fill="{colour}"/>'
    yield _text(LEFT + width + 6, at + 13, f"{number(value)} {figure.unit}", ink=FAINT if colour == LIMIT else INK)


def _text(x: float, y: float, text: str, *, anchor: str = "start", ink: str = INK, weight: str = "400") -> str:
    said = escape(text)
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{ink}" text-anchor="{anchor}" font-weight="{weight}">{said}</text>'
