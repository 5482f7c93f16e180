"""The part of JSON Schema 2020-12 that pydantic writes for our models, made plain for comparing. Pure.

Invariant: what is made plain accepts the same documents as before. A keyword of which that is not known stays as it is.
"""

import json
from collections.abc import Mapping
from typing import Any

from services.ops.contracts.published import Schema
from shared.errors import ConfigurationError

NOTHING: Schema = {"anyOf": []}
"""The schema that accepts no document, as `false` does."""
_UNREAD = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "examples"})
_SAID_AS_IT_IS = frozenset({"enum", "const", "default", "required"})
_OF_FIELDS = frozenset({"properties", "additionalProperties"})
"""What is additional depends on the properties beside it."""
_BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas"})


def inlined(schema: Schema) -> Schema:
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
    return both(walked, _referred(part["$ref"], definitions, within)) if "$ref" in part else walked


def _referred(ref: str, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Schema:
    name = ref.removeprefix("#/$defs/")
    if name in within or name not in definitions:
        raise ConfigurationError(
            f"Expected a contract whose parts are defined in it and contain no part of their own kind, found {ref}"
            f" in {' in '.join(reversed(within)) or 'the document'}: write the model without it."
        )
    found: Schema = _walk(definitions[name], definitions, (*within, name))
    return found


def both(one: Schema, other: Schema) -> Schema:
    """The schema that asks for both; where a keyword would mean something else beside the other's, they stay apart."""
    clash = any(as_text(one[key]) != as_text(other[key]) for key in one.keys() & other.keys())
    told, told_there = one.keys() & _OF_FIELDS, other.keys() & _OF_FIELDS
    apart = clash or (told and told_there and told != told_there)
    return {"allOf": [one, other]} if apart else {**one, **other}


def as_schema(part: Any) -> Schema:
    """The schema that `true` or `false` stands for, or the one that it is."""
    if isinstance(part, bool):
        return {} if part else NOTHING
    found: Schema = part
    return found


def under(schema: Schema, keyword: str) -> Schema:
    """The schema under a keyword; without it everything is accepted there."""
    return as_schema(schema.get(keyword, True))


def as_text(value: Any) -> str:
    """Equal only for values that JSON holds equal: Python takes true for 1."""
    return json.dumps(value, sort_keys=True)


def alternatives(schema: Schema) -> list[Schema]:
    """The schemas of which a document needs one, each with at most one type and without alternatives of its own."""
    bare = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    if "anyOf" in schema:
        return [each for part in schema["anyOf"] for each in alternatives(both(bare, as_schema(part)))]
    types = bare.get("type")
    return [{**bare, "type": each} for each in types] if isinstance(types, list) else [bare]


def is_null(schema: Schema) -> bool:
    """Whether it accepts null and nothing else."""
    return schema.get("type") == "null" and all(key == "type" or is_ours(key) for key in schema)


def is_ours(keyword: str) -> bool:
    """JSON Schema holds no document to a keyword that begins so."""
    return keyword.startswith("x-")


def type_of(schema: Schema) -> Any:
    """The type asked for, or that of all values asked for."""
    values = values_of(schema)
    if "type" in schema or values is None:
        return schema.get("type")
    return "string" if values and all(isinstance(each, str) for each in values) else None


def values_of(schema: Schema) -> list[Any] | None:
    """The values that a document may be, if they are listed."""
    if "const" not in schema:
        found: list[Any] | None = schema.get("enum")
        return found
    return [each for each in schema.get("enum", [schema["const"]]) if as_text(each) == as_text(schema["const"])]


def properties_of(schema: Schema) -> dict[str, Schema]:
    """The fields by name, in their order."""
    return {name: as_schema(each) for name, each in schema.get("properties", {}).items()}


def needed(schema: Schema) -> frozenset[str]:
    """The fields that a document must have: a reader fills in the others' defaults."""
    fields = properties_of(schema)
    return frozenset(name for name in schema.get("required", ()) if "default" not in fields.get(name, {}))
