"""The costs as Markdown, for the terminal and for docs/deploy.md. Pure."""

from collections.abc import Iterable, Sequence

from services.costs.model import ASSUMPTIONS, Line, lines, options, setting
from services.costs.prices import Prices
from services.local.topology import Topology

WATCHING = ("alarm_month", "composite_month", "metric_month", "dashboard_month")
"""Prices of CloudWatch's that do not depend on how much happens."""


def report(topology: Topology, prices: Prices) -> str:
    """All of it: the table, what is chosen on top, the assumptions, the prices with their sources."""
    paid = lines(topology)
    return "\n".join(
        [
            f"US dollars, region {prices.region}, a poll every {_number(setting('poll_interval_seconds'))} s, no free "
            "tier counted; the databases and their traffic are not in it.",
            "",
            *_table(paid, prices),
            "",
            f"Of the idle month, {_watching(paid, prices)} are CloudWatch's alarms, metrics and dashboard, and "
            f"{_all_else(paid, prices)} all else.",
            "",
            "On top, where it is chosen or happens:",
            "",
            *_markdown(("what", "a month", "of", "USD a month"), (_option(line, prices) for line in options(topology))),
            "",
            "Assumed:",
            "",
            *_markdown(
                ("name", "value", "why"), ((f"`{n}`", _number(a.value), a.reason) for n, a in ASSUMPTIONS.items())
            ),
            "",
            "Prices (`terraform/prices.yaml`):",
            "",
            *_markdown(("price", "USD", "for each", "date", "source"), _sources(prices)),
            "",
        ]
    )


def usd(line: Line, prices: Prices) -> tuple[float, float, float]:
    """What a line costs: idle for a month, a million rows in bulk, a million rows in trickle."""
    price = prices.prices[line.price].usd
    return line.idle * price, line.bulk * price, line.trickle * price


def totals(paid: Iterable[Line], prices: Prices) -> tuple[float, float, float]:
    """The same of all lines together."""
    idle, bulk, trickle = zip(*(usd(line, prices) for line in paid), strict=True)
    return sum(idle), sum(bulk), sum(trickle)


def _table(paid: Sequence[Line], prices: Prices) -> list[str]:
    head = ("what", "in an idle month", "of", "USD idle a month", "USD a million rows in bulk", "… in trickle")
    rows = [
        (line.what, _number(line.idle), prices.prices[line.price].unit, *map(_money, usd(line, prices)))
        for line in paid
    ]
    rows.append(("**together**", "", "", *(f"**{_money(total)}**" for total in totals(paid, prices))))
    return _markdown(head, rows)


def _watching(paid: Iterable[Line], prices: Prices) -> str:
    return _money(sum(usd(line, prices)[0] for line in paid if line.price in WATCHING))


def _all_else(paid: Iterable[Line], prices: Prices) -> str:
    return _money(sum(usd(line, prices)[0] for line in paid if line.price not in WATCHING))


def _option(line: Line, prices: Prices) -> tuple[str, ...]:
    price = prices.prices[line.price]
    mark = "" if price.verified else " (unverified)"
    return line.what, _number(line.idle), price.unit, _money(usd(line, prices)[0]) + mark


def _sources(prices: Prices) -> Iterable[tuple[str, ...]]:
    for name, price in prices.prices.items():
        yield f"`{name}`", f"{price.usd:.10f}".rstrip("0").rstrip("."), price.unit, price.date, price.source


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _money(amount: float) -> str:
    return f"{amount:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"  # noqa: PLR2004 - digits that tell
