"""What the text of a source column stands for, as a type: in Python, in a logical model, and in words. Pure.

Invariant: read from the field's own annotation and JSON Schema, so a field type that is new needs its line in LOGICAL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from contracts import columnar
from contracts.source import Row
from shared.errors import ConfigurationError

LOGICAL: Mapping[type, str] = {
    int: "integer",
    str: "string",
    bool: "boolean",
    Decimal: "number",
    date: "date",
    time: "time",
    datetime: "timestamp",
}
"""Python type -> logical type of the Open Data Contract Standard."""


@dataclass(frozen=True)
class Value:
    """What one value of a source column is. `options`: keywords of its JSON Schema, such as minimum or x-digits."""

    python: type
    shown: str
    options: Mapping[str, Any]

    @property
    def logical(self) -> str:
        """As the Open Data Contract Standard has it."""
        return LOGICAL[self.python]


def value(model: type[Row], field: str) -> Value:
    """What a field's text is parsed into. Raises ConfigurationError for a type that has no line in LOGICAL."""
    python = _bare(model.model_fields[field].annotation)
    if python not in LOGICAL:
        raise ConfigurationError(
            f"Expected one of {', '.join(each.__name__ for each in LOGICAL)} as the type of {model.__name__}.{field}, "
            f"found {python.__name__}: give it a line in LOGICAL of {__name__}, and two values in MARKS of lineage."
        )
    options = _said(model)[field]["x-value"]
    family = str(columnar.family(model, field))
    if python is Decimal:
        return Value(python, f"{family}({options['x-digits']}, {options['x-decimal-places']})", options)
    return Value(python, f"{family}, yyyy-mm-dd" if python is date else family, options)


@cache
def _said(model: type[Row]) -> Mapping[str, Any]:
    """Field -> its JSON Schema without NULL."""
    properties = model.model_json_schema()["properties"]
    return {name: schema.get("anyOf", [schema])[0] for name, schema in properties.items()}


def _bare(annotation: Any) -> type:
    """The type under NULL and markers."""
    part = next((each for each in get_args(annotation) if each is not NoneType), annotation)
    bare: type = get_args(part)[0] if get_origin(part) is Annotated else part
    return bare
