"""What was typed becomes the values that a query takes. Pure but for the file of rates: now is an argument.

Invariant: a value is checked before anything connects; what was not given gets the default that the question's
header says.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from services.insight.catalogue import NONE, Kind, Parameter, Question
from services.insight.rates import CODE, as_json, day_of, read_rates
from shared.errors import ConfigurationError

Value = str | int | date | datetime | None
ReadMoment = Callable[[str, datetime], datetime]
"""Understands a moment as it is typed; the second argument is now."""
_HIGHEST_KEY = 2**31 - 1
"""Of a source row: keys are Postgres's int."""


def values_of(
    question: Question, given: Mapping[str, str | None], *, now: datetime, read_moment: ReadMoment
) -> dict[str, Value]:
    """A value for each parameter. Raises ConfigurationError for the first that cannot be understood."""
    values = {one.name: _value(one, given.get(one.name), now, read_moment) for one in question.parameters}
    first, last = values.get("from"), values.get("to")
    if isinstance(first, date) and isinstance(last, date) and first > last:
        raise ConfigurationError(f"Expected --from not to lie after --to, found {first} and {last}.")
    return values


def _value(parameter: Parameter, text: str | None, now: datetime, read_moment: ReadMoment) -> Value:
    typed = parameter.default if text is None else text.strip()
    if text is None and typed == NONE:
        return None
    if parameter.kind is Kind.MOMENT:
        return now if typed == "now" else read_moment(typed, now)
    if parameter.kind is Kind.DATE and typed == "today":
        return now.astimezone(UTC).date()
    return _READERS[parameter.kind](parameter, typed)


def _date(parameter: Parameter, text: str) -> date:
    try:
        return day_of(text)
    except ValueError as exc:
        raise ConfigurationError(
            f"Expected {parameter.option} to be a day such as 2026-11-28, or today, found {text!r}."
        ) from exc


def _number(parameter: Parameter, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _HIGHEST_KEY):
        raise ConfigurationError(f"Expected {parameter.option} to be a key such as 17, found {text!r}.")
    return int(text)


def _currency(parameter: Parameter, text: str) -> str:
    if CODE.fullmatch(text.upper()) is None:
        raise ConfigurationError(f"Expected {parameter.option} to be a code such as GBP, found {text!r}.")
    return text.upper()


def _choice(parameter: Parameter, text: str) -> str:
    if text not in parameter.choices:
        raise ConfigurationError(f"Expected {parameter.option} to be {', '.join(parameter.choices)}, found {text!r}.")
    return text


def _rates(_: Parameter, text: str) -> str:
    return as_json(read_rates(Path(text)))


_READERS: Mapping[Kind, Callable[[Parameter, str], Value]] = {
    Kind.CHOICE: _choice,
    Kind.CURRENCY: _currency,
    Kind.DATE: _date,
    Kind.NUMBER: _number,
    Kind.RATES: _rates,
}
"""What each kind is read by; a moment needs the clock as well."""
