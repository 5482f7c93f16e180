"""Whether a schema accepts every document that another one does, and in words how the two differ. Pure.

It reads the part of JSON Schema 2020-12 that pydantic writes for our models, and our own x- keywords. A reader fills in
a default itself, so a field with one need not be there. Invariant, held by validating documents with a library that
knows nothing of this: where every change is allowed, whatever `original` accepts is accepted by `update`. What is not
understood is refused. Both directions tell the same changes, each under the same path and kind.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from services.ops.contracts.published import Schema
from shared.errors import ConfigurationError

EACH = "*"
"""In a path, any item of the list that is named before it."""


class Policy(StrEnum):
    """STRICT proves it of every document; LENIENT trusts that nobody sends what their own schema does not name."""

    STRICT = "strict"
    LENIENT = "lenient"


class ChangeKind(StrEnum):
    """What of a place changed."""

    PRESENCE = "presence"
    REQUIRED = "required"
    DEFAULT = "default"
    UNKNOWN_FIELDS = "unknown fields"
    TYPE = "type"
    NULL = "null"
    ALTERNATIVES = "alternatives"
    VALUES = "values"
    PATTERN = "pattern"
    FORMAT = "format"
    BOUNDS = "bounds"
    DIGITS = "digits"
    REFERENCE = "reference"
    SECRET = "secret"  # noqa: S105 - the word, not one
    RULE = "rule"
    ORDER = "order"
    OTHER = "other"


@dataclass(frozen=True)
class Change:
    """One difference, from `original` to `update`. `path`: names from the outermost in; of a rule, what it says."""

    path: tuple[str, ...]
    kind: ChangeKind
    sentence: str
    allowed: bool


def compare(
    original: Schema, update: Schema, policy: Policy = Policy.STRICT, *, noun: str = "field"
) -> tuple[Change, ...]:
    """All changes; `noun` is what the properties are called.

    Raises ConfigurationError for a schema that contains itself, of which nothing is proven here.
    """
    place = _Place(policy, noun)
    return _one_each(_differences(_inlined(original), _inlined(update), place))


def _one_each(changes: Iterable[Change]) -> tuple[Change, ...]:
    """One change for each path and kind, since a text and the value it stands for may both tell; refused ones first."""
    kept: dict[tuple[tuple[str, ...], ChangeKind], Change] = {}
    for change in changes:
        before = kept.setdefault((change.path, change.kind), change)
        if before.allowed:
            kept[change.path, change.kind] = change
    return tuple(kept.values())


@dataclass(frozen=True)
class _Place:
    """Where two schemas are compared, and how it is called."""

    policy: Policy
    noun: str
    path: tuple[str, ...] = ()

    def at(self, name: str) -> "_Place":
        return replace(self, path=(*self.path, name))

    @property
    def words(self) -> str:
        """The field by its name, and by its parent's where the parent is more than the message's data."""
        names = [name for name in self.path if name != EACH]
        if not names:
            return "each item" if self.path else "the contract"
        if self.path[-1] == EACH:
            return f"each of {names[-1]}"
        parent = names[-2] if len(names) > 1 and names[-2] != "data" else None
        return f"{self.noun} {names[-1]}" + (f" of {parent}" if parent else "")

    def change(self, kind: ChangeKind, what: str, *, allowed: bool) -> Change:
        """A change of the place itself: `what` follows its name."""
        return Change(self.path, kind, f"{self.words} {what}", allowed)


_NOTHING: Schema = {"anyOf": []}
"""The schema that accepts no document, as `false` does."""
_UNREAD = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "examples"})
_SAID_AS_IT_IS = frozenset({"enum", "const", "default", "required"})
_BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas"})


def _inlined(schema: Schema) -> Schema:
    """The schema without references and without what binds nobody."""
    found: Schema = _walk(schema, schema.get("$defs", {}), ())
    return found


def _walk(part: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(part, list):
        return [_walk(each, definitions, within) for each in part]
    if not isinstance(part, Mapping):
        return part
    walked = {
        key: {name: _walk(each, definitions, within) for name, each in value.items()}
        if key in _BY_NAME
        else value
        if key in _SAID_AS_IT_IS
        else _walk(value, definitions, within)
        for key, value in part.items()
        if key not in _UNREAD and key != "$ref"
    }
    return _both(walked, _referred(part["$ref"], definitions, within)) if "$ref" in part else walked


def _referred(ref: str, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Schema:
    name = ref.removeprefix("#/$defs/")
    if name in within or name not in definitions:
        raise ConfigurationError(
            f"Expected a contract whose parts are defined in it and contain no part of their own kind, found {ref}"
            f" in {' in '.join(reversed(within)) or 'the document'}: write the model without it."
        )
    found: Schema = _walk(definitions[name], definitions, (*within, name))
    return found


def _both(one: Schema, other: Schema) -> Schema:
    """The schema that asks for both; where they ask for different things under one keyword, that is not understood."""
    clash = any(_text(one[key]) != _text(other[key]) for key in one.keys() & other.keys())
    return {"allOf": [one, other]} if clash else {**one, **other}


def _as_schema(part: Any) -> Schema:
    if isinstance(part, bool):
        return {} if part else _NOTHING
    found: Schema = part
    return found


def _within(schema: Schema, keyword: str) -> Schema:
    """The schema under a keyword; without it everything is accepted there."""
    return _as_schema(schema.get(keyword, True))


def _text(value: Any) -> str:
    """Equal only for values that JSON holds equal: Python takes true for 1."""
    return json.dumps(value, sort_keys=True)


def _alternatives(schema: Schema) -> list[Schema]:
    """The schemas of which a document needs one, each with at most one type and without alternatives of its own."""
    bare = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    if "anyOf" in schema:
        return [each for part in schema["anyOf"] for each in _alternatives(_both(bare, _as_schema(part)))]
    types = bare.get("type")
    return [{**bare, "type": each} for each in types] if isinstance(types, list) else [bare]


def _is_null(schema: Schema) -> bool:
    """Whether it accepts null and nothing else."""
    return schema.get("type") == "null" and all(key == "type" or _is_ours(key) for key in schema)


def _is_ours(keyword: str) -> bool:
    """JSON Schema holds no document to a keyword that begins so."""
    return keyword.startswith("x-")


def _differences(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """What changed at one place and below it."""
    old, new = _alternatives(original), _alternatives(update)
    yield from _secrecy(old, new, place)
    if ({} in old) != ({} in new):
        what = "takes anything now" if {} in new else "takes anything no longer"
        yield place.change(ChangeKind.TYPE, what, allowed={} in new)
    elif {} not in old:
        yield from _null(old, new, place)
        yield from _alternative_by_alternative(
            [each for each in old if not _is_null(each)], [each for each in new if not _is_null(each)], place
        )


def _secrecy(old: Sequence[Schema], new: Sequence[Schema], place: _Place) -> Iterator[Change]:
    """A secret stays one, whatever else of it changes."""
    was, is_now = (any(each.get("x-secret") for each in alternatives) for alternatives in (old, new))
    if was != is_now:
        yield place.change(ChangeKind.SECRET, "became secret" if is_now else "is secret no longer", allowed=is_now)


def _null(old: Sequence[Schema], new: Sequence[Schema], place: _Place) -> Iterator[Change]:
    was, is_now = any(map(_is_null, old)), any(map(_is_null, new))
    if was != is_now:
        yield place.change(ChangeKind.NULL, "may be null now" if is_now else "may be null no longer", allowed=is_now)


def _alternative_by_alternative(old: Sequence[Schema], new: Sequence[Schema], place: _Place) -> Iterator[Change]:
    """One against one is told keyword by keyword; of more, each of the old ones must be within one of the new."""
    renamed = _named_otherwise(old, new, place)
    if renamed is not None:
        yield renamed
    elif len(old) == len(new) == 1:
        yield from _keywords(old[0], new[0], place)
    elif _text(old) != _text(new):
        allowed = all(any(_contained(each, other, place) for other in new) for each in old)
        what = f"takes {_alternatives_in_words(new)} instead of {_alternatives_in_words(old)}"
        yield place.change(ChangeKind.ALTERNATIVES, what, allowed=allowed)


def _named_otherwise(old: Sequence[Schema], new: Sequence[Schema], place: _Place) -> Change | None:
    """Another type, as the source or the warehouse calls it: what else changed with it is not worth telling."""
    for keyword in ("x-family", "x-sql"):
        names = [list(dict.fromkeys(str(each.get(keyword)) for each in alternatives)) for alternatives in (old, new)]
        if old and new and names[0] != names[1]:
            was, is_now = (" or ".join(each) for each in names)
            return place.change(ChangeKind.TYPE, f"changed from {was} to {is_now}", allowed=False)
    return None


def _contained(original: Schema, update: Schema, place: _Place) -> bool:
    return all(change.allowed for change in _differences(original, update, place))


def _alternatives_in_words(alternatives: Sequence[Schema]) -> str:
    return " or ".join(dict.fromkeys(_WORDS.get(str(each.get("type")), "anything") for each in alternatives)) or "none"


_WORDS: Mapping[Any, str] = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "list",
    "object": "object",
    "null": "null",
}


def _keywords(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """What changed of one alternative: its type first, and where that is another, nothing else is worth telling."""
    strange = sorted(key for key in original.keys() | update.keys() if key not in _UNDERSTOOD and not _is_ours(key))
    if strange and _text(original) != _text(update):
        what = f"changed beside {', '.join(strange)}, which is not understood here"
        yield place.change(ChangeKind.OTHER, what, allowed=False)
        return
    retyped = _retyped(original, update, place)
    if retyped is not None:
        yield retyped
        return
    for rule in _RULES:
        yield from rule(original, update, place)


def _retyped(original: Schema, update: Schema, place: _Place) -> Change | None:
    """Another type, if nothing of the one is within the other."""
    old, new = _type(original), _type(update)
    if old == new or None in (old, new) or {old, new} == {"integer", "number"}:
        return None
    return place.change(ChangeKind.TYPE, f"changed from {_WORDS[old]} to {_WORDS[new]}", allowed=False)


def _type(schema: Schema) -> Any:
    """The type asked for, or that of all values asked for."""
    values = _values_of(schema)
    if "type" in schema or values is None:
        return schema.get("type")
    return "string" if values and all(isinstance(each, str) for each in values) else None


def _wider_type(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """An integer is a number; whoever asks for no type takes any."""
    old, new = _type(original), _type(update)
    if old != new:
        what = f"changed from {_WORDS.get(old, 'anything')} to {_WORDS.get(new, 'anything')}"
        yield place.change(ChangeKind.TYPE, what, allowed=new is None or (old, new) == ("integer", "number"))


def _values_of(schema: Schema) -> list[Any] | None:
    if "const" not in schema:
        found: list[Any] | None = schema.get("enum")
        return found
    return [each for each in schema.get("enum", [schema["const"]]) if _text(each) == _text(schema["const"])]


def _values(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    old, new = (
        None if values is None else {_text(each): str(each) for each in values}
        for values in (_values_of(original), _values_of(update))
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


def _pattern_or_format(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """Of two patterns nothing is known but whether they are equal; of two formats neither."""
    for kind in (ChangeKind.PATTERN, ChangeKind.FORMAT):
        old, new = original.get(kind), update.get(kind)
        if old != new:
            what = f"has the {kind} {new}, it had {old or 'none'}" if new else f"has no {kind} any more, it had {old}"
            yield place.change(kind, what, allowed=new is None)


def _reference(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
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


_BOUNDS = (
    _Bound("minimum", "least value", is_upper=False),
    _Bound("maximum", "greatest value", is_upper=True),
    _Bound("exclusiveMinimum", "value to stay above", is_upper=False),
    _Bound("exclusiveMaximum", "value to stay below", is_upper=True),
    _Bound("minLength", "least length", is_upper=False),
    _Bound("maxLength", "greatest length", is_upper=True),
    _Bound("minItems", "least number of items", is_upper=False),
    _Bound("maxItems", "greatest number of items", is_upper=True),
)


def _bounds(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    changed = [each for each in _BOUNDS if each.of(original) != each.of(update)]
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


def _digits(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
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


def _value(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """What the text of a source field stands for."""
    if "x-value" in original or "x-value" in update:
        yield from _differences(_within(original, "x-value"), _within(update, "x-value"), place)


def _items(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    if "items" in original or "items" in update:
        yield from _differences(_within(original, "items"), _within(update, "items"), place.at(EACH))


def _object(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """What changed of the fields, and of what else may stand beside them."""
    old, new = _properties(original), _properties(update)
    yield from _unknown_fields(original, update, place)
    for name in dict.fromkeys((*old, *new)):
        if name not in old:
            yield _added(name, original, update, place)
        elif name not in new:
            yield _removed(name, original, update, place)
        else:
            yield from _field(old[name], new[name], place.at(name))
    was, is_now = _needed(original), _needed(update)
    for name in sorted(was ^ is_now):
        if (name in old) == (name in new):
            what = "became required" if name in is_now else "became optional"
            yield place.at(name).change(ChangeKind.REQUIRED, what, allowed=name in was)


def _properties(schema: Schema) -> dict[str, Schema]:
    return {name: _as_schema(each) for name, each in schema.get("properties", {}).items()}


def _needed(schema: Schema) -> frozenset[str]:
    """The fields that a document must have: a reader fills in the others' defaults."""
    fields = _properties(schema)
    return frozenset(name for name in schema.get("required", ()) if "default" not in fields.get(name, {}))


def _unknown_fields(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    old, new = _within(original, "additionalProperties"), _within(update, "additionalProperties")
    if _text(old) == _text(new):
        return
    allowed = place.policy is Policy.LENIENT or _contained(old, new, place)
    takes = "nothing" if new == _NOTHING else "anything" if new == {} else _alternatives_in_words(_alternatives(new))
    what = f"takes {takes} under other names than its own"
    yield place.change(ChangeKind.UNKNOWN_FIELDS, what, allowed=allowed)


def _added(name: str, original: Schema, update: Schema, place: _Place) -> Change:
    """A closed document held nothing under that name before; an open one may have held anything."""
    said = _properties(update)[name]
    sure = _contained(_within(original, "additionalProperties"), said, place)
    needed = name in _needed(update) - _needed(original)
    though = ", though it may be null" if _contained({"type": "null"}, said, place) else ""
    how = f" and is required{though}" if needed else " with a default" if "default" in said else ""
    doubt = "" if sure else ", where anything may have stood under that name"
    allowed = not needed and (sure or place.policy is Policy.LENIENT)
    return place.at(name).change(ChangeKind.PRESENCE, f"was added{how or doubt}", allowed=allowed)


def _removed(name: str, original: Schema, update: Schema, place: _Place) -> Change:
    """An open document holds what it likes under that name afterwards; a closed one nothing."""
    said, rest = _properties(original)[name], _within(update, "additionalProperties")
    spared = place.policy is Policy.LENIENT and name not in original.get("required", ())
    allowed = (spared or _contained(said, rest, place)) and name not in _needed(update) - _needed(original)
    renamed = [each for each, schema in _new_properties(original, update).items() if _text(schema) == _text(said)]
    lost = len(_new_properties(update, original))
    hint = f" (was it renamed to {renamed[0]}?)" if len(renamed) == lost == 1 else ""
    return place.at(name).change(ChangeKind.PRESENCE, f"was removed{hint}", allowed=allowed)


def _new_properties(original: Schema, update: Schema) -> dict[str, Schema]:
    old = _properties(original)
    return {name: schema for name, schema in _properties(update).items() if name not in old}


def _field(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """A field's default is what a reader fills in; what a document holds in its place is compared like anything."""
    old, new = _default_in_words(original), _default_in_words(update)
    if old != new:
        yield place.change(ChangeKind.DEFAULT, f"has {new}, it had {old}", allowed=True)
    yield from _differences(original, update, place)


def _default_in_words(schema: Schema) -> str:
    return f"the default {_text(schema['default'])}" if "default" in schema else "no default"


def _rules(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """What rows must obey across fields: a rule is known by its sentence alone."""
    old, new = original.get("x-rules", ()), update.get("x-rules", ())
    for rule in dict.fromkeys((*old, *new)):
        if (rule in old) != (rule in new):
            what = "removed" if rule in old else "added"
            yield Change((*place.path, rule), ChangeKind.RULE, f"rule {rule!r} was {what}", allowed=rule in old)


def _order(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """Columns are told by their place: what was there stays in its order, and what is new comes last."""
    old, new = original.get("x-columns", ()), update.get("x-columns", ())
    kept = [name for name in old if name in new]
    if list(new[: len(kept)]) != kept:
        first = next(name for name, before in zip(new, kept, strict=False) if name != before)
        sentence = f"{place.noun} {first} took another's place in their order"
        yield Change(place.path, ChangeKind.ORDER, sentence, allowed=False)


def _other(original: Schema, update: Schema, place: _Place) -> Iterator[Change]:
    """Whatever else is said of it is no rule for documents, but somebody may count on it."""
    keys = {key for key in original.keys() | update.keys() if key not in _UNDERSTOOD}
    for key in sorted(key for key in keys if original.get(key) != update.get(key)):
        what = f"has the {key.removeprefix('x-').replace('-', ' ')} {update.get(key)} instead of {original.get(key)}"
        yield place.change(ChangeKind.OTHER, what, allowed=False)


_UNDERSTOOD = frozenset(
    {
        *("type", "enum", "const", "pattern", "format", "items", "default"),
        *("properties", "required", "additionalProperties"),
        *("x-family", "x-sql", "x-value", "x-secret", "x-references", "x-digits", "x-decimal-places"),
        *("x-rules", "x-columns"),
        "x-added",  # decides a row's hash alone: check.py holds it to the columns that came
        *(bound.keyword for bound in _BOUNDS),
    }
)
_RULES = (
    *(_wider_type, _values, _pattern_or_format, _bounds, _digits, _value, _items, _object),
    *(_reference, _rules, _order, _other),
)
