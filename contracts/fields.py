"""Field types of the row contracts: how one source value looks as text, and what it means.

The archive holds the source's own text, so every contract parses text and nothing else. Lax parsing accepts too
much ('86400' as a date, '1_000' as an integer), so each type carries the exact pattern Postgres prints under the
poller's session settings. Invariant: a text that passes means one value, and rendering that value loses nothing.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Family(StrEnum):
    """Source types that print alike, so that a change of type inside one family changes no archived text."""

    TEXT = "text"
    INTEGER = "integer"
    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class AsText:
    """The value arrives as text, of this pattern if one is given, and pydantic's own type then parses it."""

    family: Family
    pattern: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Chain the pattern before the annotated type's own schema, all inside pydantic-core."""
        return core_schema.chain_schema([core_schema.str_schema(pattern=self.pattern), handler(source)])

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The text as JSON Schema knows it; beside it the family, and the value that the text stands for."""
        text, value = schema["steps"]
        return {**handler(text), "x-family": str(self.family), "x-value": _value_schema(value, handler)}


def _value_schema(value: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
    """A value's own JSON Schema; that of a decimal would not tell its digits, and a date's zone is none of ours."""
    if value["type"] != "decimal":
        return handler(value)
    return {"type": "number", "x-digits": value["max_digits"], "x-decimal-places": value["decimal_places"]}


@dataclass(frozen=True)
class Secret:
    """Marks a field whose values never leave the archive: masked in quarantine, absent everywhere else."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Say it in the JSON Schema too, where a change of it is seen."""
        return {**handler(schema), "x-secret": True}


_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MONEY = AsText(Family.NUMERIC, r"^-?[0-9]+(\.[0-9]{1,2}0*)?$")

Text = Annotated[str, AsText(Family.TEXT)]
"""Any text, kept to the letter: leading zeros, quotes, newlines, an empty string."""
Int = Annotated[int, Field(ge=-(2**31), le=2**31 - 1), AsText(Family.INTEGER, "^(0|-?[1-9][0-9]{0,9})$")]
"""A Postgres int."""
SecretInt = Annotated[
    int, Field(ge=-(2**31), le=2**31 - 1), Secret(), AsText(Family.INTEGER, "^(0|-?[1-9][0-9]{0,9})$")
]
"""A Postgres int that identifies a bank account."""
Price = Annotated[Decimal, Field(max_digits=10, decimal_places=2), _MONEY]
"""Money as numeric(10, 2): more decimals are refused, because the warehouse would round them."""
Amount = Annotated[Decimal, Field(max_digits=18, decimal_places=2), _MONEY]
"""Money as numeric with two decimals; units times price outgrows numeric(10, 2)."""
Flag = Annotated[bool, AsText(Family.BOOLEAN, "^(true|false)$")]
"""A Postgres boolean cast to text."""
Timestamp = Annotated[
    datetime,
    AsText(Family.TIMESTAMP, f"^{_DATE} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\\.[0-9]{{1,6}})?$"),
]
"""A timestamp without time zone in ISO style, with or without a fraction (Postgres drops an empty one)."""
DateText = Annotated[date, AsText(Family.TEXT, f"^{_DATE}$")]
"""A calendar date that the source keeps as text, yyyy-mm-dd."""
