"""Confluent's matrix: what may be added to an object and removed from it, so that a new reader reads old documents.

Source: https://github.com/confluentinc/schema-registry/pull/4292, which tells all 24 cells apart.
"""

import pytest

from services.ops.contracts.changes import Policy
from services.ops.contracts.compatibility import compare
from services.ops.contracts.published import Schema

BACKWARD = """
                    required   default   optional
strict  open    add    -         -         -
strict  open    remove +         +         +
strict  closed  add    -         +         +
strict  closed  remove -         -         -
lenient open    add    -         +         +
lenient open    remove +         +         +
lenient closed  add    -         +         +
lenient closed  remove -         -         +
"""
"""+ allowed, - refused; `default` is a required field with a default."""


def _cells(table: str) -> list[tuple[str, str, str, str, bool]]:
    heads, *lines = [line.split() for line in table.strip().splitlines()]
    return [
        (policy, content, action, presence, sign == "+")
        for policy, content, action, *signs in lines
        for presence, sign in zip(heads, signs, strict=True)
    ]


CELLS = _cells(BACKWARD)
MIRRORED = {"add": "remove", "remove": "add"}


def _object(content: str, presence: str | None) -> Schema:
    """A document with `id`, and with `page` as one says; None: without it."""
    page = {"type": "integer", **({"default": 0} if presence == "default" else {})}
    properties = {"id": {"type": "string"}, **({} if presence is None else {"page": page})}
    required = ["id", *(["page"] if presence in ("required", "default") else [])]
    closed = {"additionalProperties": False} if content == "closed" else {}
    return {"type": "object", "properties": properties, "required": required, **closed}


def _change(content: str, action: str, presence: str) -> tuple[Schema, Schema]:
    """The former schema and the new one."""
    without, having = _object(content, None), _object(content, presence)
    return (without, having) if action == "add" else (having, without)


def _allows(original: Schema, update: Schema, policy: str) -> bool:
    return all(change.allowed for change in compare(original, update, Policy(policy)))


def test_the_table_has_24_cells():
    assert len({cell[:4] for cell in CELLS}) == 24


@pytest.mark.parametrize(("policy", "content", "action", "presence", "allowed"), CELLS)
def test_a_new_reader_reads_what_was_written_before_as_the_matrix_says(
    policy: str, content: str, action: str, presence: str, allowed: bool
):
    former, new = _change(content, action, presence)

    assert _allows(former, new, policy) is allowed


@pytest.mark.parametrize(("policy", "content", "action", "presence", "allowed"), CELLS)
def test_a_former_reader_reads_what_is_written_now_as_the_matrix_says_with_both_swapped(
    policy: str, content: str, action: str, presence: str, allowed: bool
):
    former, new = _change(content, MIRRORED[action], presence)

    assert _allows(new, former, policy) is allowed


@pytest.mark.parametrize("policy", ["strict", "lenient"])
@pytest.mark.parametrize(
    ("action", "presence", "allowed"),
    [
        ("add", "required", False),
        ("add", "default", True),
        ("add", "optional", True),
        ("remove", "required", True),
        ("remove", "default", True),
        ("remove", "optional", True),
    ],
)
def test_what_was_written_closed_and_is_read_open_may_lose_any_field_and_gain_those_that_may_be_absent(
    policy: str, action: str, presence: str, allowed: bool
):
    without_written, having_read = _object("closed", None), _object("open", presence)
    having_written, without_read = _object("closed", presence), _object("open", None)
    former, new = (without_written, having_read) if action == "add" else (having_written, without_read)

    assert _allows(former, new, policy) is allowed
