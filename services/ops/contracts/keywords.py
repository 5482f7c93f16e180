"""What changed of one schema without alternatives, keyword by keyword, where no schema lies within. Pure.

Invariant: a change is allowed only if the keyword, as `update` has it, accepts all that it accepted in `original`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.ops.contracts.changes import Change, ChangeKind, Place
from services.ops.contracts.published import Schema
from services.ops.contracts.subset import as_text, type_of, values_of

WORDS: Mapping[Any, str] = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "list",
    "object": "object",
    "null": "null",
}


def wider_type(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """An integer is a number; whoever asks for no type takes any."""
    old, new = type_of(original), type_of(update)
    if old != new:
        what = f"changed from {WORDS.get(old, 'anything')} to {WORDS.get(new, 'anything')}"
        yield place.change(ChangeKind.TYPE, what, allowed=new is None or (old, new) == ("integer", "number"))


def values(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """The values listed one by one, of which a reader must know all."""
    old, new = (
        None if found is None else {as_text(each): str(each) for each in found}
        for found in (values_of(original), values_of(update))
    )
    if new is None and old is not None:
        yield place.change(ChangeKind.VALUES, f"takes more than {_listed(old.values())} now", allowed=True)
    elif new is not None and old is None:
        yield place.change(ChangeKind.VALUES, f"takes nothing but {_listed(new.values())} now", allowed=False)
    elif old is not None and new is not None and old.keys() != new.keys():
        lost, gained = ([a[key] for key in a if key not in b] for a, b in ((old, new), (new, old)))
        parts = [f"takes {_listed(lost)} no longer"] if lost else []
        parts += [f"takes {_listed(gained)} too"] if gained else []
        yield place.change(ChangeKind.VALUES, " and ".join(parts), allowed=not lost)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(value or "the empty text" for value in values)


def pattern_or_format(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """Of two patterns nothing is known but whether they are equal; of two formats neither."""
    for kind in (ChangeKind.PATTERN, ChangeKind.FORMAT):
        old, new = original.get(kind), update.get(kind)
        if old != new:
            what = f"has the {kind} {new}, it had {old or 'none'}" if new else f"has no {kind} any more, it had {old}"
            yield place.change(kind, what, allowed=new is None)


def reference(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """The key of one table is none of another; a key of any is a number."""
    old, new = original.get("x-references"), update.get("x-references")
    if old != new:
        what = f"refers to {new or 'no table'} instead of {old or 'none'}"
        yield place.change(ChangeKind.REFERENCE, what, allowed=new is None)


@dataclass(frozen=True)
class _Bound:
    keyword: str
    words: str
    is_upper: bool

    def of(self, schema: Schema) -> float | None:
        """The bound, if there is one: nothing is shorter than nothing."""
        found: float | None = schema.get(self.keyword)
        return None if found == 0 and self.keyword in ("minLength", "minItems") else found


BOUNDS = (
    _Bound("minimum", "least value", is_upper=False),
    _Bound("maximum", "greatest value", is_upper=True),
    _Bound("exclusiveMinimum", "value to stay above", is_upper=False),
    _Bound("exclusiveMaximum", "value to stay below", is_upper=True),
    _Bound("minLength", "least length", is_upper=False),
    _Bound("maxLength", "greatest length", is_upper=True),
    _Bound("minItems", "least number of items", is_upper=False),
    _Bound("maxItems", "greatest number of items", is_upper=True),
)


def bounds(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """The least and the greatest of values, lengths and counts, which may only move apart."""
    changed = [each for each in BOUNDS if each.of(original) != each.of(update)]
    if changed:
        what = " and ".join(_bound_in_words(each, each.of(original), each.of(update)) for each in changed)
        wider = (_is_wider(each, each.of(original), each.of(update)) for each in changed)
        yield place.change(ChangeKind.BOUNDS, what, allowed=all(wider))


def _is_wider(bound: _Bound, old: float | None, new: float | None) -> bool:
    if new is None or old is None:
        return new is None
    return old <= new if bound.is_upper else old >= new


def _bound_in_words(bound: _Bound, old: float | None, new: float | None) -> str:
    if new is None:
        return f"has no {bound.words} any more, it had {old}"
    return f"has the {bound.words} {new}, it had {'none' if old is None else old}"


def digits(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """More digits after the point may leave fewer before it."""
    rooms = zip(("after the point", "before the point", "in all"), _rooms(original), _rooms(update), strict=True)
    changed = [(where, old, new) for where, old, new in rooms if old != new]
    if changed:
        what = " and ".join(f"{'more' if new > old else 'fewer'} digits {where}" for where, old, new in changed)
        yield place.change(ChangeKind.DIGITS, f"takes {what}", allowed=all(new >= old for _, old, new in changed))


def _rooms(schema: Schema) -> tuple[float, float, float]:
    """How many digits a decimal may have after the point, before it and in all; infinity where nothing says."""
    in_all, after = (
        float("inf") if schema.get(keyword) is None else float(schema[keyword])
        for keyword in ("x-digits", "x-decimal-places")
    )
    return after, in_all if after == float("inf") else in_all - after, in_all


def rules(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """What rows must obey across fields: a rule is known by its sentence alone."""
    old, new = original.get("x-rules", ()), update.get("x-rules", ())
    for rule in dict.fromkeys((*old, *new)):
        if (rule in old) != (rule in new):
            what = "removed" if rule in old else "added"
            yield Change((*place.path, rule), ChangeKind.RULE, f"rule {rule!r} was {what}", allowed=rule in old)


def order(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """Columns are told by their place: what was there stays in its order, and what is new comes last."""
    old, new = original.get("x-columns", ()), update.get("x-columns", ())
    kept = [name for name in old if name in new]
    if list(new[: len(kept)]) != kept:
        first = next(name for name, before in zip(new, kept, strict=False) if name != before)
        sentence = f"{place.noun} {first} took another's place in their order"
        yield Change(place.path, ChangeKind.ORDER, sentence, allowed=False)


def other(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """Whatever else is said of it is no rule for documents, but somebody may count on it."""
    keys = {key for key in original.keys() | update.keys() if key not in UNDERSTOOD}
    for key in sorted(key for key in keys if original.get(key) != update.get(key)):
        what = f"has the {key.removeprefix('x-').replace('-', ' ')} {update.get(key)} instead of {original.get(key)}"
        yield place.change(ChangeKind.OTHER, what, allowed=False)


UNDERSTOOD = frozenset(
    {
        *("type", "enum", "const", "pattern", "format", "items", "default"),
        *("properties", "required", "additionalProperties"),
        *("x-family", "x-sql", "x-value", "x-secret", "x-references", "x-digits", "x-decimal-places"),
        *("x-rules", "x-columns"),
        "x-added",  # decides a row's hash alone: check.py holds it to the columns that came
        *(bound.keyword for bound in BOUNDS),
    }
)
"""The keywords that the comparison knows; another of JSON Schema's may hold documents to anything."""
