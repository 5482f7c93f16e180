"""Whether a schema accepts every document that another one does, and in words how the two differ. Pure.

It reads the part of JSON Schema 2020-12 that pydantic writes for our models, and our own x- keywords. A reader fills in
a default itself, so a field with one need not be there. Invariant, held by validating documents with a library that
knows nothing of this: where every change is allowed, whatever `original` accepts is accepted by `update`. What is not
understood is refused. Both directions tell the same changes, each under the same path and kind.
"""

from collections.abc import Iterable, Iterator, Sequence

from services.ops.contracts.changes import EACH, Change, ChangeKind, Place, Policy
from services.ops.contracts.keywords import (
    UNDERSTOOD,
    WORDS,
    bounds,
    digits,
    order,
    other,
    pattern_or_format,
    reference,
    rules,
    values,
    wider_type,
)
from services.ops.contracts.published import Schema
from services.ops.contracts.subset import (
    NOTHING,
    alternatives,
    as_text,
    inlined,
    is_null,
    is_ours,
    needed,
    properties_of,
    type_of,
    under,
)


def compare(
    original: Schema, update: Schema, policy: Policy = Policy.STRICT, *, noun: str = "field"
) -> tuple[Change, ...]:
    """All changes; `noun` is what the properties are called.

    Raises ConfigurationError for a schema that contains itself, of which nothing is proven here.
    """
    place = Place(policy, noun)
    return _one_each(_differences(inlined(original), inlined(update), place))


def _one_each(changes: Iterable[Change]) -> tuple[Change, ...]:
    """One change for each path and kind, since a text and the value it stands for may both tell; refused ones first."""
    kept: dict[tuple[tuple[str, ...], ChangeKind], Change] = {}
    for change in changes:
        before = kept.setdefault((change.path, change.kind), change)
        if before.allowed:
            kept[change.path, change.kind] = change
    return tuple(kept.values())


def _differences(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """What changed at one place and below it."""
    old, new = alternatives(original), alternatives(update)
    yield from _secrecy(old, new, place)
    if ({} in old) != ({} in new):
        what = "takes anything now" if {} in new else "takes anything no longer"
        yield place.change(ChangeKind.TYPE, what, allowed={} in new)
    elif {} not in old:
        yield from _null(old, new, place)
        yield from _alternative_by_alternative(
            [each for each in old if not is_null(each)], [each for each in new if not is_null(each)], place
        )


def _secrecy(old: Sequence[Schema], new: Sequence[Schema], place: Place) -> Iterator[Change]:
    """A secret stays one, whatever else of it changes."""
    was, is_now = (any(each.get("x-secret") for each in schemas) for schemas in (old, new))
    if was != is_now:
        yield place.change(ChangeKind.SECRECY, "became secret" if is_now else "is secret no longer", allowed=is_now)


def _null(old: Sequence[Schema], new: Sequence[Schema], place: Place) -> Iterator[Change]:
    was, is_now = any(map(is_null, old)), any(map(is_null, new))
    if was != is_now:
        yield place.change(ChangeKind.NULL, "may be null now" if is_now else "may be null no longer", allowed=is_now)


def _alternative_by_alternative(old: Sequence[Schema], new: Sequence[Schema], place: Place) -> Iterator[Change]:
    """One against one is told keyword by keyword; of more, each of the old ones must be within one of the new."""
    renamed = _named_otherwise(old, new, place)
    if renamed is not None:
        yield renamed
    elif len(old) == len(new) == 1:
        yield from _keywords(old[0], new[0], place)
    elif as_text(old) != as_text(new):
        allowed = all(any(_contained(each, other, place) for other in new) for each in old)
        what = f"takes {_in_words(new)} instead of {_in_words(old)}"
        yield place.change(ChangeKind.ALTERNATIVES, what, allowed=allowed)


def _named_otherwise(old: Sequence[Schema], new: Sequence[Schema], place: Place) -> Change | None:
    """Another type, as the source or the warehouse calls it: what else changed with it is not worth telling."""
    for keyword in ("x-family", "x-sql"):
        names = [list(dict.fromkeys(str(each.get(keyword)) for each in schemas)) for schemas in (old, new)]
        if old and new and names[0] != names[1]:
            was, is_now = (" or ".join(each) for each in names)
            return place.change(ChangeKind.TYPE, f"changed from {was} to {is_now}", allowed=False)
    return None


def _contained(original: Schema, update: Schema, place: Place) -> bool:
    return all(change.allowed for change in _differences(original, update, place))


def _in_words(schemas: Sequence[Schema]) -> str:
    return " or ".join(dict.fromkeys(WORDS.get(str(each.get("type")), "anything") for each in schemas)) or "none"


def _keywords(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """What changed of one alternative: its type first, and where that is another, nothing else is worth telling."""
    strange = sorted(key for key in original.keys() | update.keys() if key not in UNDERSTOOD and not is_ours(key))
    if strange and as_text(original) != as_text(update):
        what = f"changed beside {', '.join(strange)}, which is not understood here"
        yield place.change(ChangeKind.OTHER, what, allowed=False)
        return
    retyped = _retyped(original, update, place)
    if retyped is not None:
        yield retyped
        return
    for rule in _RULES:
        yield from rule(original, update, place)


def _retyped(original: Schema, update: Schema, place: Place) -> Change | None:
    """Another type, if nothing of the one is within the other."""
    old, new = type_of(original), type_of(update)
    if old == new or None in (old, new) or {old, new} == {"integer", "number"}:
        return None
    return place.change(ChangeKind.TYPE, f"changed from {WORDS[old]} to {WORDS[new]}", allowed=False)


def _value(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """What the text of a source field stands for."""
    if "x-value" in original or "x-value" in update:
        yield from _differences(under(original, "x-value"), under(update, "x-value"), place)


def _items(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    if "items" in original or "items" in update:
        yield from _differences(under(original, "items"), under(update, "items"), place.at(EACH))


def _object(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """What changed of the fields, and of what else may stand beside them."""
    old, new = properties_of(original), properties_of(update)
    yield from _unknown_fields(original, update, place)
    for name in dict.fromkeys((*old, *new)):
        if name not in old:
            yield _added(name, original, update, place)
        elif name not in new:
            yield _removed(name, original, update, place)
        else:
            yield from _field(old[name], new[name], place.at(name))
    was, is_now = needed(original), needed(update)
    for name in sorted(was ^ is_now):
        if (name in old) == (name in new):
            what = "became required" if name in is_now else "became optional"
            yield place.at(name).change(ChangeKind.REQUIRED, what, allowed=name in was)


def _unknown_fields(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    old, new = under(original, "additionalProperties"), under(update, "additionalProperties")
    if as_text(old) == as_text(new):
        return
    allowed = place.policy is Policy.LENIENT or _contained(old, new, place)
    takes = "nothing" if new == NOTHING else "anything" if new == {} else _in_words(alternatives(new))
    what = f"takes {takes} under other names than its own"
    yield place.change(ChangeKind.UNKNOWN_FIELDS, what, allowed=allowed)


def _added(name: str, original: Schema, update: Schema, place: Place) -> Change:
    """A closed document held nothing under that name before; an open one may have held anything."""
    said = properties_of(update)[name]
    sure = _contained(under(original, "additionalProperties"), said, place)
    must_be_there = name in needed(update) - needed(original)
    though = ", though it may be null" if _contained({"type": "null"}, said, place) else ""
    how = f" and is required{though}" if must_be_there else " with a default" if "default" in said else ""
    doubt = "" if sure else ", where anything may have stood under that name"
    allowed = not must_be_there and (sure or place.policy is Policy.LENIENT)
    return place.at(name).change(ChangeKind.PRESENCE, f"was added{how or doubt}", allowed=allowed)


def _removed(name: str, original: Schema, update: Schema, place: Place) -> Change:
    """An open document holds what it likes under that name afterwards; a closed one nothing."""
    said, rest = properties_of(original)[name], under(update, "additionalProperties")
    spared = place.policy is Policy.LENIENT and name not in original.get("required", ())
    allowed = (spared or _contained(said, rest, place)) and name not in needed(update) - needed(original)
    renamed = [each for each, schema in _new_properties(original, update).items() if as_text(schema) == as_text(said)]
    lost = len(_new_properties(update, original))
    hint = f" (was it renamed to {renamed[0]}?)" if len(renamed) == lost == 1 else ""
    return place.at(name).change(ChangeKind.PRESENCE, f"was removed{hint}", allowed=allowed)


def _new_properties(original: Schema, update: Schema) -> dict[str, Schema]:
    old = properties_of(original)
    return {name: schema for name, schema in properties_of(update).items() if name not in old}


def _field(original: Schema, update: Schema, place: Place) -> Iterator[Change]:
    """A field's default is what a reader fills in; what a document holds in its place is compared like anything."""
    old, new = _default_in_words(original), _default_in_words(update)
    if old != new:
        yield place.change(ChangeKind.DEFAULT, f"has {new}, it had {old}", allowed=True)
    yield from _differences(original, update, place)


def _default_in_words(schema: Schema) -> str:
    return f"the default {as_text(schema['default'])}" if "default" in schema else "no default"


_RULES = (
    *(wider_type, values, pattern_or_format, bounds, digits, _value, _items, _object),
    *(reference, rules, order, other),
)
