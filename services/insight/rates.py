"""A table of exchange rates as an analyst keeps one, made fit for a query. Pure but for reading the file.

Invariant: every rate is to one base currency, whose own rate is 1; no currency has two rates from one day on. Nothing
is guessed: a currency that is not in the table has no rate.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pydantic_core import to_json

from shared.errors import ConfigurationError

COLUMNS = ("currency", "rate", "base", "valid_from")
CODE = re.compile("[A-Z]{3}")
DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Rate:
    """From a day on, one unit of a currency is worth so many of the base."""

    currency: str
    rate: Decimal
    base: str
    valid_from: date | None
    """None: it has always held."""


def read_rates(path: Path) -> tuple[Rate, ...]:
    """The rates in a CSV file with a header. Raises ConfigurationError, naming the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return rates_of(file, str(path))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ConfigurationError(
            f"Expected a CSV file of rates at {path} and could not read it ({exc}): its header is {','.join(COLUMNS)}."
        ) from exc


def rates_of(lines: Iterable[str], where: str) -> tuple[Rate, ...]:
    """The rates in lines of CSV, and the base's own. Raises ConfigurationError, naming the line."""
    reader = csv.DictReader(lines, skipinitialspace=True)
    if not set(COLUMNS[:-1]) <= set(reader.fieldnames or ()):
        raise ConfigurationError(
            f"Expected the columns {', '.join(COLUMNS[:-1])} and, where a rate has not always held, {COLUMNS[-1]} in "
            f"{where}, found {', '.join(reader.fieldnames or ()) or 'none'}."
        )
    found = tuple(_rate(row, f"line {reader.line_num} of {where}") for row in reader)
    return found + tuple(_own_rate(found, where))


def as_json(rates: Iterable[Rate]) -> str:
    """The table as the query takes it; numbers are text, so that none becomes a binary fraction."""
    return to_json(list(rates)).decode()


def _rate(row: dict[str, str], where: str) -> Rate:
    text = {name: (row.get(name) or "").strip() for name in COLUMNS}
    currency, base = (_code(text[name], name, where) for name in ("currency", "base"))
    return Rate(currency, _number(text["rate"], where), base, _day(text["valid_from"], where))


def _code(text: str, name: str, where: str) -> str:
    if CODE.fullmatch(text.upper()) is None:
        raise ConfigurationError(f"Expected the {name} to be a code such as GBP in {where}, found {text!r}.")
    return text.upper()


def _number(text: str, where: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or number <= 0:
        raise ConfigurationError(f"Expected the rate to be a number above 0 such as 0.79 in {where}, found {text!r}.")
    return number


def _day(text: str, where: str) -> date | None:
    try:
        return day_of(text) if text else None
    except ValueError as exc:
        raise ConfigurationError(
            f"Expected valid_from to be a day such as 2026-11-28, or nothing, in {where}, found {text!r}."
        ) from exc


def day_of(text: str) -> date:
    """A day written yyyy-mm-dd. Raises ValueError for any other way of writing one."""
    if DAY.fullmatch(text) is None:
        raise ValueError(text)
    return date.fromisoformat(text)


def _own_rate(rates: tuple[Rate, ...], where: str) -> Iterator[Rate]:
    """What the table need not say: one unit of the base is worth one. Raises ConfigurationError for a contradiction."""
    bases = sorted({rate.base for rate in rates})
    if len(bases) != 1:
        raise ConfigurationError(f"Expected rates to one base currency in {where}, found {', '.join(bases) or 'none'}.")
    since = [(rate.currency, rate.valid_from) for rate in rates]
    for currency, day in since:
        if since.count((currency, day)) > 1:
            held = f"from {day} on" if day else "without valid_from"
            raise ConfigurationError(f"Expected one rate of {currency} {held} in {where}, found several.")
    own = [rate for rate in rates if rate.currency == rate.base]
    if any(rate.rate != 1 for rate in own):
        raise ConfigurationError(f"Expected one {bases[0]} to be worth 1 {bases[0]} in {where}, found {own[0].rate}.")
    if (bases[0], None) not in since:
        yield Rate(bases[0], Decimal(1), bases[0], None)
