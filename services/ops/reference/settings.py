"""The page of the settings: those of `totes up`, and those of the functions and which function is given each. Pure."""

from collections.abc import Iterator
from types import NoneType
from typing import get_args

from annotated_types import BaseMetadata
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from services.local.topology import Topology
from services.ops.contracts.documents.text import table
from services.ops.options import UpOptions
from shared.settings import ENV_PREFIX, Settings

HEAD = """\
# Settings

Each is a variable of the environment, or a line of a `.env` file in the folder where a command is run. A value that is
not fit ends in one sentence that says which.

## Of `totes up`

What an option says wins over its variable.
"""
FUNCTIONS = """\
## Of the functions, and of commands that do their work

`totes up` and Terraform give each function those that are named after it; every other one has its default unless the
variable is set. In an account they follow from `terraform/topology.yaml` and Terraform's variables, which
`terraform/variables.tf` describes.
"""
UNITS = {
    **dict.fromkeys(("seconds", "bucket", "level", "port"), ""),
    **dict.fromkeys(("rows", "orders"), "rows"),
    **dict.fromkeys(("secret", "schema"), "name"),
    "share": "share of one",
    "turn": "pages",
    "url": "URL",
    "dsn": "DSN",
    "zone": "time zone",
    "dir": "folder",
    "simulate": "changes a second",
    "seed": "number",
}
"""The last word of a setting's name -> what its value is; empty: that very word. One that is missing is refused."""
SIGNS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def page(described: Topology) -> str:
    """The whole page."""
    options = table(("variable", "unit", "default", "meaning"), (_cells(*each) for each in _fields(UpOptions)))
    given = {name: _given(described, name) for name in Settings.model_fields}
    rows = [(*_cells(name, field), given[name]) for name, field in _fields(Settings)]
    functions = table(("variable", "unit", "default", "meaning", "given to"), rows)
    return "\n".join((HEAD, options, FUNCTIONS, functions))


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    yield from model.model_fields.items()


def _cells(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    unit = ", ".join((_unit(name), *_bounds(field)))
    return (f"`{ENV_PREFIX}{name.upper()}`", unit, _default(field), field.description or "")


def _unit(name: str) -> str:
    """Raises ValueError for a name that does not say it."""
    last = name.rpartition("_")[2]
    if last not in UNITS:
        raise ValueError(
            f"Expected a setting's name to end in its unit, found {name}: rename it, or add {last!r} to UNITS."
        )
    return UNITS[last] or last


def _bounds(field: FieldInfo) -> Iterator[str]:
    """What a number must keep to, of one that may be missing too."""
    inside = [each for part in get_args(field.annotation) if part is not NoneType for each in _metadata(part)]
    for limit in (*field.metadata, *inside):
        for name, said in SIGNS.items():
            if isinstance(limit, BaseMetadata) and hasattr(limit, name):
                yield f"{said} {getattr(limit, name):,}"


def _metadata(part: object) -> tuple[object, ...]:
    """Of an annotated type; pydantic wraps its limits in a Field."""
    return tuple(each for wrapped in getattr(part, "__metadata__", ()) for each in getattr(wrapped, "metadata", ()))


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == "":
        return "none"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _given(described: Topology, name: str) -> str:
    return ", ".join(function for function, each in described.functions.items() if name in each.environment)
