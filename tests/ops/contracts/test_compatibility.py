"""The comparison of two schemas, held to what a validator that is not ours says of documents.

The validator is `jsonschema`, and it sees every document of a small universe, with one for each distinction that the
schemas here can make. A reader fills in defaults, so a field with one is taken from what is required first.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from itertools import product
from typing import Annotated, Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from services.ops.contracts.changes import ChangeKind, Policy
from services.ops.contracts.compatibility import compare
from services.ops.contracts.published import Kind, Published, Schema, today
from shared.errors import ConfigurationError

SCALARS = (None, True, -2, -1, 0, 1, 2, 3, 2.5, "", "a", "ab", "abc", "2020-01-01")
HELD = (*SCALARS, [], ["a"], [1], [2.5], {}, {"a": 1}, {"a": "a"}, {"c": 1})
"""What a field may hold."""
FEW = (1, 2.5, "a", "2020-01-01", None, [1], {"a": 1})
UNIVERSE = (
    *SCALARS,
    *([each] for each in HELD),
    *([one, other] for one, other in product((1, 2.5, "a", None), repeat=2)),
    {},
    *({name: each} for name, each in product("abc", HELD)),
    *({"a": one, "b": other} for one, other in product(HELD, FEW)),
    *({"b": one, "a": other} for one, other in product(HELD, FEW)),
    *({"a": 1, "c": each} for each in FEW),
    *({"a": one, "b": other, "c": 1} for one, other in product(FEW, FEW)),
)
"""Every document that the oracle asks about."""


def _filled(schema: Any) -> Any:
    """The schema of a reader who fills in defaults: what has one is not required."""
    if not isinstance(schema, dict):
        return schema
    filled = {
        key: {name: _filled(each) for name, each in value.items()}
        if key in ("properties", "$defs")
        else [_filled(each) for each in value]
        if key == "anyOf"
        else _filled(value)
        for key, value in schema.items()
    }
    defaults = {name for name, each in schema.get("properties", {}).items() if "default" in _as_dict(each)}
    if "required" in filled:
        filled["required"] = [name for name in schema["required"] if name not in defaults]
    return filled


def _as_dict(schema: Any) -> dict[str, Any]:
    return schema if isinstance(schema, dict) else {}


def _reader(schema: Schema) -> Callable[[Any], bool]:
    checks = jsonschema.FormatChecker(formats=["date"])
    return jsonschema.Draft202012Validator(_filled(schema), format_checker=checks).is_valid


def _refused(original: Schema, update: Schema) -> list[Any]:
    """The documents that are valid under `original` alone."""
    accepts, reads = _reader(original), _reader(update)
    return [each for each in UNIVERSE if accepts(each) and not reads(each)]


@cache
def _accepted(text: str) -> frozenset[int]:
    """Which of the documents of two fields are valid under a schema, given as text."""
    accepts = _reader(json.loads(text))
    return frozenset(place for place, each in enumerate(OF_TWO_FIELDS) if accepts(each))


def _allows(original: Schema, update: Schema, policy: Policy = Policy.STRICT) -> bool:
    return all(change.allowed for change in compare(original, update, policy))


def _only(original: Schema, update: Schema) -> tuple[ChangeKind, str, bool]:
    (change,) = compare(original, update)
    return change.kind, change.sentence, change.allowed


WORDS = ("", "a", "ab", "abc", "2020-01-01")
NUMBERS = (-1, 0, 1, 2)


def _some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


def _typed(name: str, **keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return _some(**keywords).map(lambda found: {"type": name, **found})


LENGTH = st.integers(0, 3)
TEXTS = _typed(
    "string",
    minLength=LENGTH,
    maxLength=LENGTH,
    pattern=st.sampled_from(["^a", "b", "^a$", "^[0-9-]+$"]),
    format=st.just("date"),
)
NUMERIC = st.sampled_from(["integer", "number"]).flatmap(
    lambda name: _typed(
        name,
        minimum=st.sampled_from(NUMBERS),
        maximum=st.sampled_from(NUMBERS),
        exclusiveMinimum=st.sampled_from(NUMBERS),
        exclusiveMaximum=st.sampled_from(NUMBERS),
    )
)
VALUES = st.one_of(
    st.lists(st.sampled_from(SCALARS), min_size=1, max_size=4).map(lambda found: {"enum": found}),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(lambda found: {"type": "string", "enum": found}),
    st.sampled_from(SCALARS).map(lambda found: {"const": found}),
)
SIMPLE: st.SearchStrategy[Any] = st.one_of(
    TEXTS,
    NUMERIC,
    VALUES,
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, True, False, {"type": ["string", "null"]}]),
    st.sampled_from([{"$ref": "#/$defs/Word"}, {"$ref": "#/$defs/Count"}]),
)


def _alternatives(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    nullable = parts.map(lambda part: {"anyOf": [part, {"type": "null"}]})
    return nullable | st.lists(parts, min_size=1, max_size=3).map(lambda found: {"anyOf": found})


def _with_default(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    defaulted = st.tuples(parts, st.sampled_from([0, 1, "a"])).map(
        lambda pair: {**_as_dict(pair[0]), "default": pair[1]}
    )
    return parts | defaulted


def _objects_of(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return _some(
        properties=st.dictionaries(st.sampled_from("ab"), _with_default(parts)),
        required=st.lists(st.sampled_from("abc"), unique=True),
        additionalProperties=st.just(False) | parts,
    ).map(lambda found: {"type": "object", **found})


def _lists_of(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return _typed("array", items=parts, minItems=st.integers(0, 2), maxItems=st.integers(0, 2))


PARTS = SIMPLE | _alternatives(SIMPLE)
NESTED_PARTS = st.one_of(PARTS, PARTS, _objects_of(PARTS), _lists_of(PARTS))
DEFINITIONS = st.fixed_dictionaries({"Word": TEXTS | VALUES, "Count": NUMERIC})


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """A schema with definitions; mostly of an object, as contracts are."""
    root = draw(st.one_of(_objects_of(NESTED_PARTS), _objects_of(PARTS), _lists_of(PARTS), PARTS))
    return {**(root if isinstance(root, dict) else {"anyOf": [root]}), "$defs": draw(DEFINITIONS)}


@st.composite
def related(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Two schemas that differ in a keyword here or there: strangers are hardly ever compatible."""
    original, stranger = draw(schemas()), draw(schemas())
    update = original
    for _ in range(draw(st.integers(1, 2))):
        update = _nearer(draw, update, stranger)
    assume(update != original)
    return original, update


def _nearer(draw: st.DrawFn, schema: Any, stranger: Any) -> Any:
    """The schema with one keyword as the other has it, at the top or within."""
    if not isinstance(schema, dict) or not isinstance(stranger, dict) or draw(st.integers(0, 9)) == 0:
        return stranger
    key = draw(st.sampled_from(sorted(schema.keys() | stranger.keys() or {"type"})))
    if key not in stranger:
        return {name: each for name, each in schema.items() if name != key}
    within = key in ("properties", "$defs", "items", "additionalProperties") or "properties" not in schema
    return {**schema, key: _nearer(draw, schema[key], stranger[key]) if key in schema and within else stranger[key]}


@settings(max_examples=120, deadline=None)
@given(related())
def test_what_the_comparison_allows_the_validator_accepts_document_by_document(pair: tuple[Schema, Schema]):
    original, update = pair

    allowed = _allows(original, update)

    assert not allowed or _refused(original, update) == []


@settings(max_examples=120, deadline=None)
@given(related())
def test_both_directions_tell_the_same_changes(pair: tuple[Schema, Schema]):
    original, update = pair

    there = {change.path for change in compare(original, update)}
    back = {change.path for change in compare(update, original)}

    assert there == back


@settings(max_examples=120, deadline=None)
@given(related())
def test_the_lenient_policy_allows_whatever_the_strict_one_does(pair: tuple[Schema, Schema]):
    original, update = pair

    strict, lenient = (_allows(original, update, policy) for policy in Policy)

    assert lenient or not strict


@settings(max_examples=100)
@given(schemas())
def test_a_schema_has_no_changes_against_itself(schema: Schema):
    assert compare(schema, schema) == ()


FIELDS: tuple[dict[str, Any], ...] = (
    {"type": "integer", "minimum": 0, "maximum": 2},
    {"type": "integer"},
    {"type": "number"},
    {"type": "string", "minLength": 1, "maxLength": 2},
    {"type": "string", "pattern": "^a"},
    {"type": "string", "format": "date"},
    {"type": "string"},
    {"type": "string", "enum": ["a", "ab"]},
    {"type": "boolean"},
    {"const": "a"},
    {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    {"anyOf": [{"type": "string", "pattern": "^a"}, {"type": "null"}]},
    {"$ref": "#/$defs/Word"},
    {"type": "array", "items": {"type": "integer"}},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
)
OF_TWO_FIELDS = (
    {},
    *({name: each} for name, each in product("ab", HELD)),
    *({"a": one, "b": other} for one, other in product(HELD, (1, "a"))),
    *({"a": one, "b": other} for one, other in product(FEW, HELD)),
)


def _documents() -> Iterator[dict[str, Any]]:
    """Schemas of one field `a`, of each kind, required or not, closed or open."""
    for field, required, content in product(FIELDS, ([], ["a"]), ({}, {"additionalProperties": False})):
        definitions = {"Word": {"type": "string", "enum": ["a", "abc"]}}
        yield {"type": "object", "properties": {"a": field}, "required": required, "$defs": definitions, **content}


Edit = Callable[[dict[str, Any], str], dict[str, Any] | None]


def _of_field(*among: str, **keywords: Any) -> Edit:
    """Sets keywords of the field; None removes one. Only where none but these stand beside its type."""
    kinds = {"minimum": "integer", "maximum": "integer", "items": "array"}

    def edit(schema: dict[str, Any], name: str) -> dict[str, Any] | None:
        field = schema["properties"].get(name, {})
        meant = field.get("type") == kinds.get(next(iter(keywords)), "string")
        if not meant or not field.keys() <= {"type", *among, *keywords}:
            return None
        return _with(schema, name, {key: value for key, value in {**field, **keywords}.items() if value is not None})

    return edit


def _becomes(field: Any, *among: str) -> Edit:
    """The field becomes another, where its type is among these."""

    def edit(schema: dict[str, Any], name: str) -> dict[str, Any] | None:
        if schema["properties"].get(name, {}).get("type") not in among:
            return None
        return _with(schema, name, field)

    return edit


def _added(field: Any, *required: str) -> Edit:
    def edit(schema: dict[str, Any], name: str) -> dict[str, Any] | None:
        if name in schema["properties"]:
            return None
        return {
            **schema,
            "properties": {**schema["properties"], name: field},
            "required": [*schema["required"], *required],
        }

    return edit


def _removed(schema: dict[str, Any], name: str) -> dict[str, Any]:
    kept = {key: value for key, value in schema["properties"].items() if key != name}
    return {**schema, "properties": kept, "required": [key for key in schema["required"] if key != name]}


def _nullable(schema: dict[str, Any], name: str) -> dict[str, Any] | None:
    field = schema["properties"].get(name, {"anyOf": []})
    return None if "anyOf" in field else _with(schema, name, {"anyOf": [field, {"type": "null"}]})


def _defaulted(schema: dict[str, Any], name: str) -> dict[str, Any] | None:
    field = schema["properties"].get(name)
    return None if field is None else _with(schema, name, {**field, "default": "a"})


def _with(schema: dict[str, Any], name: str, field: Any) -> dict[str, Any]:
    return {**schema, "properties": {**schema["properties"], name: field}}


def _required(schema: dict[str, Any], name: str) -> dict[str, Any] | None:
    return None if name in schema["required"] else {**schema, "required": [*schema["required"], name]}


def _closed(schema: dict[str, Any], name: str) -> dict[str, Any] | None:
    return None if "additionalProperties" in schema else {**schema, "additionalProperties": False}


EDITS: dict[str, Edit] = {
    "least value lowered": _of_field("maximum", minimum=-1),
    "least value raised": _of_field("maximum", minimum=1),
    "greatest value lowered": _of_field("minimum", maximum=1),
    "no greatest value": _of_field("minimum", maximum=None),
    "text must be longer": _of_field("maxLength", minLength=2),
    "text may be shorter": _of_field("maxLength", minLength=0),
    "text must be shorter": _of_field("minLength", maxLength=1),
    "pattern removed": _of_field(pattern=None),
    "format removed": _of_field(format=None),
    "value lost": _of_field(enum=["a"]),
    "values gained": _of_field(enum=["a", "ab", "abc", ""]),
    "any value": _of_field(enum=None),
    "items became numbers": _of_field(items={"type": "number"}),
    "items became texts": _of_field(items={"type": "string"}),
    "became a number": _becomes({"type": "number"}, "integer", "string", "boolean"),
    "became an integer": _becomes({"type": "integer"}, "number", "string", "boolean"),
    "became a text": _becomes({"type": "string"}, "integer", "number", "boolean"),
    "became anything": _becomes({}, "integer", "string", "boolean", "array", "object"),
    "became an object": _becomes({"type": "object"}, "string", "object"),
    "became integer or text": _becomes(
        {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "integer", "string", "array"
    ),
    "became nullable": _nullable,
    "has a default": _defaulted,
    "became required": _required,
    "optional field added": _added({"type": "integer"}),
    "field of anything added": _added({}),
    "required field added": _added({"type": "integer"}, "a", "b"),
    "field with a default added": _added({"type": "string", "default": "a"}, "a", "b"),
    "field removed": _removed,
    "closed": _closed,
}


@pytest.mark.parametrize("edit", EDITS)
def test_one_edit_is_refused_just_where_a_document_is_and_so_is_its_undoing(edit: str):
    pairs = [
        (schema, edited)
        for schema, name in product(_documents(), "ab")
        if (edited := EDITS[edit](schema, name)) is not None
    ]

    wrong = [
        (original, update)
        for pair in pairs
        for original, update in (pair, pair[::-1])
        if _allows(original, update) is not (_accepted(json.dumps(original)) <= _accepted(json.dumps(update)))
    ]

    assert pairs
    assert wrong == []


@cache
def _decimals(digits: int | None, places: int | None) -> frozenset[str]:
    """The numbers that pydantic takes for a decimal of so many digits, among one for each count before and after."""
    adapter = TypeAdapter(Annotated[Decimal, Field(max_digits=digits, decimal_places=places)])
    texts = [
        ("1" * before or "0") + ("." + "1" * after if after else "") for before, after in product(range(6), repeat=2)
    ]
    return frozenset(text for text in texts if _is_valid(adapter, text))


def _is_valid(adapter: TypeAdapter[Any], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True


ROOMS = st.integers(1, 4).flatmap(lambda digits: st.tuples(st.just(digits), st.integers(0, digits)))


@settings(max_examples=100)
@given(old=ROOMS, new=ROOMS)
def test_digits_are_refused_just_where_pydantic_refuses_a_number_that_it_took_before(
    old: tuple[int, int], new: tuple[int, int]
):
    before, after = (
        {"type": "string", "x-value": {"type": "number", "x-digits": digits, "x-decimal-places": places}}
        for digits, places in (old, new)
    )

    assert _allows(before, after) is (_decimals(*old) <= _decimals(*new))


def _contract(title: str) -> Published:
    return next(each for each in today() if each.title == title)


@pytest.mark.parametrize("contract", today(), ids=lambda each: each.title)
def test_what_a_contract_writes_is_what_it_reads(contract: Published):
    assert _allows(contract.written, contract.read)
    assert compare(contract.written, contract.written) == compare(contract.read, contract.read) == ()


def test_titles_and_descriptions_are_no_changes_but_a_field_of_such_a_name_is():
    original = {"title": "Old", "properties": {"title": {"type": "string", "description": "old"}}}
    update = {"title": "New", "properties": {"title": {"type": "string", "examples": ["new"]}}}

    assert compare(original, update) == ()
    assert _only(original, {"properties": {"title": {"type": "integer"}}}) == (
        ChangeKind.TYPE,
        "field title changed from text to integer",
        False,
    )


def _field(**keywords: Any) -> Schema:
    return {"properties": {"x": keywords}}


@pytest.mark.parametrize(
    ("original", "update", "sentence", "allowed"),
    [
        (_field(enum=["a", "b"]), _field(enum=["b", "c"]), "field x takes a no longer and takes c too", False),
        (_field(enum=["a"]), _field(enum=["a", "c"]), "field x takes c too", True),
        (_field(const="a"), _field(const="b"), "field x takes a no longer and takes b too", False),
        (_field(enum=["a"]), _field(), "field x takes anything now", True),
        (_field(const=1), _field(const=True), "field x takes 1 no longer and takes True too", False),
        (
            _field(type="string", pattern="^a"),
            _field(type="string", pattern="^ab"),
            "field x has the pattern ^ab, it had ^a",
            False,
        ),
        (
            _field(type="string", format="date"),
            _field(type="string"),
            "field x has no format any more, it had date",
            True,
        ),
        (
            _field(type="integer", minimum=0, maximum=9),
            _field(type="integer", minimum=1),
            "field x has the least value 1, it had 0 and has no greatest value any more, it had 9",
            False,
        ),
        (_field(type="integer"), _field(type="number"), "field x changed from integer to number", True),
        (_field(type="number"), _field(type="integer"), "field x changed from number to integer", False),
        (
            _field(anyOf=[{"type": "string"}, {"type": "null"}]),
            _field(type="string"),
            "field x may be null no longer",
            False,
        ),
        (
            _field(anyOf=[{"type": "string"}, {"type": "integer"}]),
            _field(anyOf=[{"type": "string"}, {"type": "number"}, {"type": "boolean"}]),
            "field x takes text or number or boolean instead of text or integer",
            True,
        ),
        (
            _field(type="string", default="a"),
            _field(type="string", default="b"),
            'field x has the default "b", it had the default "a"',
            True,
        ),
        (_field(type="string", **{"x-secret": True}), _field(type="string"), "field x is secret no longer", False),
        (_field(type="string"), _field(type="string", **{"x-secret": True}), "field x became secret", True),
        (
            _field(type="integer", **{"x-sql": "int", "x-references": "dim_staff"}),
            _field(type="integer", **{"x-sql": "int", "x-references": "dim_design"}),
            "field x refers to dim_design instead of dim_staff",
            False,
        ),
        (
            _field(type="integer", **{"x-sql": "int"}),
            _field(type="number", **{"x-sql": "numeric"}),
            "field x changed from int to numeric",
            False,
        ),
        (
            _field(**{"type": "string", "x-value": {"type": "number", "x-digits": 10, "x-decimal-places": 2}}),
            _field(**{"type": "string", "x-value": {"type": "number", "x-digits": 10, "x-decimal-places": 1}}),
            "field x takes fewer digits after the point and more digits before the point",
            False,
        ),
        ({"x-rules": ["a < b"]}, {"x-rules": []}, "rule 'a < b' was removed", True),
        ({"x-rules": []}, {"x-rules": ["a < b"]}, "rule 'a < b' was added", False),
        ({"x-columns": ["a", "b"]}, {"x-columns": ["b", "a"]}, "field b took another's place in their order", False),
        (
            {"x-columns": ["a", "b"]},
            {"x-columns": ["a", "c", "b"]},
            "field c took another's place in their order",
            False,
        ),
        ({"x-key": "a"}, {"x-key": "b"}, "the contract has the key b instead of a", False),
        (
            {"type": "object", "additionalProperties": False},
            {"type": "object"},
            "the contract takes anything under other names than its own",
            True,
        ),
        (
            _field(type="array", items={"type": "string"}),
            _field(type="array", items={"type": "integer"}),
            "each of x changed from text to integer",
            False,
        ),
        (
            _field(type="object", properties={"y": {"type": "string"}}),
            _field(type="object", properties={"y": {"type": "integer"}}),
            "field y of x changed from text to integer",
            False,
        ),
        (
            _field(oneOf=[{"type": "string"}]),
            _field(oneOf=[{"type": "string"}, {"type": "integer"}]),
            "field x changed beside oneOf, which is not understood here",
            False,
        ),
        (
            _field(type="string", **{"x-new": 1}),
            _field(type="string", **{"x-new": 2}),
            "field x has the new 2 instead of 1",
            False,
        ),
    ],
)
def test_each_change_is_told_in_words(original: Schema, update: Schema, sentence: str, allowed: bool):
    (change,) = compare(original, update)

    assert (change.sentence, change.allowed) == (sentence, allowed)


def test_columns_that_come_last_or_are_gone_move_no_other():
    assert compare({"x-columns": ["a", "b"]}, {"x-columns": ["a", "b", "c"]}) == ()
    assert compare({"x-columns": ["a", "b", "c"]}, {"x-columns": ["a", "c"]}) == ()


def test_a_field_that_went_where_one_of_its_kind_came_may_have_been_renamed():
    changes = compare(_field(type="string"), {"properties": {"y": {"type": "string"}}}, noun="column")

    assert [change.sentence for change in changes] == [
        "column x was removed (was it renamed to y?)",
        "column y was added, where anything may have stood under that name",
    ]


def test_a_secret_that_changes_its_type_is_told_to_be_secret_no_longer():
    changes = compare(_field(type="string", **{"x-secret": True}), _field(type="integer"))

    assert [change.kind for change in changes if not change.allowed] == [ChangeKind.SECRECY, ChangeKind.TYPE]


def test_a_part_behind_a_reference_is_compared_as_if_it_stood_there():
    original = {"$defs": {"Page": {"type": "integer", "minimum": 0}}, "properties": {"page": {"$ref": "#/$defs/Page"}}}
    update = {"properties": {"page": {"type": "integer", "minimum": 1}}}

    assert _only(original, update) == (ChangeKind.BOUNDS, "field page has the least value 1, it had 0", False)


def test_a_keyword_beside_a_reference_adds_to_what_is_referred_to():
    original = {"$defs": {"Page": {"type": "integer"}}, "properties": {"page": {"$ref": "#/$defs/Page", "minimum": 0}}}
    update = {"$defs": {"Page": {"type": "integer"}}, "properties": {"page": {"$ref": "#/$defs/Page", "minimum": 1}}}

    assert _only(original, update) == (ChangeKind.BOUNDS, "field page has the least value 1, it had 0", False)


def test_what_is_additional_to_a_part_is_not_told_by_the_properties_beside_the_reference_to_it():
    fields = {"type": "object", "properties": {"a": {"type": "integer"}}}
    original = {**fields, "additionalProperties": False}
    update = {**fields, "$ref": "#/$defs/Empty", "$defs": {"Empty": {"additionalProperties": False}}}

    assert {"a": 1} in _refused(original, update)
    assert not _allows(original, update)


class Node(BaseModel):
    """A model that holds others of its kind."""

    children: list["Node"]


def test_a_schema_that_contains_itself_is_refused_by_name():
    schema = Node.model_json_schema()

    with pytest.raises(ConfigurationError, match="found #/\\$defs/Node in Node: write the model without it"):
        compare(schema, schema)


def test_every_kind_of_contract_is_compared():
    assert {each.kind for each in today()} == set(Kind)
    assert _contract("source.payment").read["properties"]["company_ac_number"]["x-secret"] is True
