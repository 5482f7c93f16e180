"""What may change between two schemas, and the words for it. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum

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
    SECRECY = "secrecy"
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


@dataclass(frozen=True)
class Place:
    """Where two schemas are compared, and how it is called."""

    policy: Policy
    noun: str
    path: tuple[str, ...] = ()

    def at(self, name: str) -> "Place":
        """The place of that name within this one."""
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
