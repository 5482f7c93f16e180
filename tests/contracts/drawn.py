"""Rows drawn from a source contract's published JSON Schema alone, and what its texts mean; no model is asked.

hypothesis-jsonschema 0.23 draws no object under the Hypothesis that is pinned here (its `many` has no `more` any
longer); a source contract is one flat object of texts, so what is drawn is said here, wider than the schema on purpose.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from services.ops.contracts.published import Kind, Published, Schema, today
from tests.contracts.rows import BROKEN, DATES, TEXTS, TIMESTAMPS

SOURCES: Mapping[str, Published] = {one.name: one for one in today() if one.kind is Kind.SOURCE}
WORDS = re.compile("[A-Z]{2,}")
"""Words of a rule that stand for values, such as SALE."""
Drawn = dict[str, Any]


def texts_of(schema: Schema) -> dict[str, Schema]:
    """Each property's schema of its text, without the NULL beside it."""
    return {name: next(iter(one.get("anyOf", [one]))) for name, one in schema["properties"].items()}


def meant(text: str, schema: Schema) -> Any:
    """The value that a text of the pattern stands for. Raises ValueError where it stands for none that x-value has."""
    value = schema["x-value"]
    match value["type"], value.get("format"):
        case "string", "date":
            return date(*map(int, text.split("-")))
        case "string", "date-time":
            whole, _, fraction = text.partition(".")
            micros = int(fraction.ljust(6, "0"))
            return datetime(*map(int, re.split("[- :]", whole)), micros)  # noqa: DTZ001 - the source has no zone
        case "integer", None:
            return _within(int(text), value["minimum"], value["maximum"])
        case "number", None:
            beyond = Decimal(10) ** (value["x-digits"] - value["x-decimal-places"])
            return _within(Decimal(text), -beyond.next_minus(), beyond.next_minus())
        case "boolean", None:
            return text == "true"
    return text


def _within(number: Any, least: Any, greatest: Any) -> Any:
    if not least <= number <= greatest:
        raise ValueError(f"{number} is not between {least} and {greatest}")
    return number


def obeys(row: Mapping[str, Any], schema: Schema) -> bool:
    """Whether a row obeys the contract's cross-field rules, each said here a second time."""
    return all(RULES[sentence](row) for sentence in schema["x-rules"])


def _one_order(row: Mapping[str, Any]) -> bool:
    sales, purchase = row["sales_order_id"] is not None, row["purchase_order_id"] is not None
    return {"SALE": sales and not purchase, "PURCHASE": purchase and not sales}.get(
        row["transaction_type"], sales != purchase
    )


RULES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "a SALE must name its sales order alone and a PURCHASE its purchase order alone": _one_order,
}


def _pattern(_: Any, pattern: str, instance: Any, __: Schema) -> Any:
    """JSON Schema's patterns are ECMA's, whose `$` is the very end; Python's would let a newline follow."""
    if isinstance(instance, str) and not re.search(rf"{pattern.removesuffix('$')}\Z", instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


Validator = extend(Draft202012Validator, {"pattern": _pattern})


def rows(schema: Schema, spoilt: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Drawn]:
    """Rows of the open schema: most are valid, some have fields that are drawn wide, and columns nobody knows.

    `spoilt`: what else a field may hold, where it need not be a text.
    """
    sound = {name: _valid(schema, name) for name in schema["properties"]}
    wide = {name: _wide(schema, name, sound) for name in sound}
    slips = st.sampled_from(sorted(sound)).flatmap(
        lambda name: st.tuples(st.just(name), wide[name] if spoilt is None else st.one_of(wide[name], spoilt))
    )
    slipped = st.one_of(st.just([]), st.lists(slips, min_size=1, max_size=3)).map(dict)
    unknown = st.dictionaries(st.text("abc_", min_size=1, max_size=4), st.one_of(st.none(), TEXTS), max_size=2)
    return st.builds(
        lambda *parts: {**parts[0], **parts[1], **parts[2]}, st.fixed_dictionaries(sound), slipped, unknown
    )


def _valid(schema: Schema, name: str) -> st.SearchStrategy[str | None]:
    """What a property may hold, drawn from the values its texts stand for."""
    value = texts_of(schema)[name]["x-value"]
    words = [word for rule in schema["x-rules"] for word in WORDS.findall(rule)]
    drawn = {
        "date": DATES,
        "date-time": TIMESTAMPS,
        "integer": st.builds(str, st.integers(value.get("minimum"), value.get("maximum"))),
        "number": _money(value.get("x-digits", 2)),
        "boolean": st.sampled_from(["true", "false"]),
        "string": st.one_of(st.sampled_from(words), TEXTS) if words else TEXTS,
    }[value.get("format", value["type"])]
    return st.one_of(st.none(), drawn) if _nullable(schema, name) else drawn


def _nullable(schema: Schema, name: str) -> bool:
    return {"type": "null"} in schema["properties"][name].get("anyOf", [])


def _money(digits: int) -> st.SearchStrategy[str]:
    hundredths = st.integers(-(10**digits) + 1, 10**digits - 1)
    return st.builds(
        lambda number, zeros: f"{Decimal(number).scaleb(-2)}{zeros}", hundredths, st.sampled_from(["", "0"])
    )


def _wide(schema: Schema, name: str, sound: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[str | None]:
    """What a property might be sent: of its pattern, one slip away from it, another's text, anything, NULL."""
    pattern = texts_of(schema)[name].get("pattern")
    of_pattern = [] if pattern is None else [st.from_regex(pattern, fullmatch=True)]
    another = st.sampled_from(sorted(sound)).flatmap(lambda other: sound[other])
    return st.one_of(*of_pattern, *of_pattern, _one_off(sound[name]), BROKEN, another, TEXTS, st.none())


@st.composite
def _one_off(draw: st.DrawFn, texts: st.SearchStrategy[str | None]) -> str:
    """One character more, or another one, or one less."""
    text = draw(texts) or ""
    at, lost = draw(st.integers(0, len(text))), draw(st.integers(0, 1))
    return text[:at] + draw(st.sampled_from(["", *"0123456789-+. :TZeE_,\n\u0661"])) + text[at + lost :]
