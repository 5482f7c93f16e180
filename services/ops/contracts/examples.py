"""Rows that try a source contract, made from its published schema: plain, extreme, NULL, odd, and broken. Pure.

Invariant: the same contract always has the same rows. The first GOOD obey it, whatever follows breaks it: one row a
field's pattern and, where the contract has rules across fields, one a rule. Plain values differ from column to column,
so that two columns that are mistaken for each other come out differently.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from services.ops.contracts.published import Schema

SourceRow = Mapping[str, str | None]
GOOD = 4
"""A plain row, one of the most each field holds, one of the least (NULL where it may be), and an odd one."""
NULL_ROW = 2
EXAMPLES: Mapping[str, Mapping[str, Sequence[str | None]]] = {
    "currency": {"currency_code": ("GBP", "DEM", "", "EUR")},
    "design": {"file_name": ("wooden.json", r"\N", r"\\N", "null")},
    "transaction": {
        "transaction_type": ("SALE", "PURCHASE", "", "refund", "SALE"),
        "sales_order_id": ("7", None, "-2147483648", None, "7"),
        "purchase_order_id": (None, "2147483647", None, "0", "8"),
    },
}
"""Feed -> field -> its values, where no schema can say what matters or what a rule demands; a fifth breaks a rule."""
_BROKEN = "1_000"
"""What no type but text accepts, and lax parsing would."""


def rows(feed: str, schema: Schema) -> list[SourceRow]:
    """The rows of a feed's contract, keys first to last all different."""
    good = [_row(feed, schema, number) for number in range(GOOD)]
    broken = [{**good[0], schema["x-key"]: str(GOOD + 1), _last_typed(schema): _BROKEN}]
    against_rules = {field: values[GOOD] for field, values in EXAMPLES.get(feed, {}).items() if len(values) > GOOD}
    unruly = [{**good[0], schema["x-key"]: str(GOOD + 2), **against_rules}] if schema["x-rules"] else []
    return good + broken + unruly


def copy_text(values: Sequence[str | None]) -> bytes:
    """One row as COPY prints it."""
    return ("\t".join(r"\N" if value is None else value.translate(_ESCAPES) for value in values) + "\n").encode()


_ESCAPES = str.maketrans({"\\": r"\\", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"})


def _row(feed: str, schema: Schema, number: int) -> SourceRow:
    given = EXAMPLES.get(feed, {})
    made = {
        name: given[name][number] if name in given else _values(name, place, field)[number]
        for place, (name, field) in enumerate(schema["properties"].items())
    }
    return {**made, schema["x-key"]: _keys(schema)[number]}


def _keys(schema: Schema) -> list[str]:
    value = schema["properties"][schema["x-key"]]["x-value"]
    return ["1", str(value["maximum"]), str(value["minimum"]), str(GOOD)]


def _values(name: str, place: int, field: Schema) -> list[str | None]:
    """One value of the field for each good row."""
    if "anyOf" not in field:
        return list(_of_type(name, place, field))
    made: list[str | None] = list(_of_type(name, place, next(each for each in field["anyOf"] if "x-family" in each)))
    return [*made[:NULL_ROW], None, *made[NULL_ROW + 1 :]]


def _of_type(name: str, place: int, field: Schema) -> tuple[str, str, str, str]:
    value = field["x-value"]
    if field["x-family"] == "integer":
        return str(100 + place), str(value["maximum"]), str(value["minimum"]), "0"
    if field["x-family"] == "numeric":
        most = "9" * (value["x-digits"] - value["x-decimal-places"]) + "." + "9" * value["x-decimal-places"]
        return f"{place}.5", most, f"-{most}", f"{place}.940"
    if field["x-family"] == "boolean":
        return "true", "false", "true", "false"
    if field["x-family"] == "timestamp":
        early, odd = "1999-12-31 23:59:59.999999", f"2024-02-29 00:{place:02}:00"
        return f"2022-11-03 14:{place:02}:52.186", early, f"2022-11-03 14:{place:02}:52.000001", odd
    if value.get("format") == "date":
        return str(date(2022, 11, 7) + timedelta(place)), "9999-12-31", "0001-01-01", "2024-02-29"
    return f"{name}, plain", f"\\N {name}\t\n\r\b\f\v'\"\\", "", f"{name}: Ünïcødé 👜"


def _last_typed(schema: Schema) -> str:
    """The last field that is more than any text, so that a secret one shows that it is masked."""
    fields: Schema = schema["properties"]
    return [name for name, field in fields.items() if "pattern" in str(field)][-1]
