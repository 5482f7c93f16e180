"""Verdicts over versions: every former one is judged, and a way that lacks one step leads nowhere."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ops.contracts.published import Kind, Published, today
from services.ops.contracts.verdicts import Direction, Severity, Verdict, judge


def _published(kind: Kind, version: int, name: str = "load_batch", **fields: Any) -> Published:
    """A contract of these fields, all required, closed as written and open as read."""
    read = {"type": "object", "properties": fields, "required": list(fields)}
    return Published(kind, name, version, {**read, "additionalProperties": False}, read)


TEXT = {"type": "string"}
INTEGER = {"type": "integer"}
NULL = {"type": "null"}


def _of(verdicts: tuple[Verdict, ...], direction: Direction) -> list[tuple[Severity, str]]:
    return [(each.severity, each.sentence) for each in verdicts if each.direction is direction]


@pytest.mark.parametrize("contract", today(), ids=lambda each: each.title)
def test_a_contract_that_is_as_it_was_released_breaks_nobody(contract: Published):
    assert judge({contract.version: contract}, contract, frozenset()) == ()


def test_every_former_version_is_judged_and_not_the_last_alone():
    first = _published(Kind.MESSAGE, 1, a=TEXT)
    second = _published(Kind.MESSAGE, 2, a=TEXT, b=TEXT)

    verdicts = judge({2: second, 1: first}, _published(Kind.MESSAGE, 3, a=TEXT, b=TEXT), frozenset({2}))

    assert _of(verdicts, Direction.BACKWARD) == [
        (
            Severity.BREAKING,
            "message.load_batch: field b was added and is required: "
            "messages of v1 in the dead-letter queue could not be replayed",
        )
    ]


@pytest.mark.parametrize("kind", [Kind.MESSAGE, Kind.SOURCE])
@given(steps=st.frozensets(st.integers(1, 4)))
def test_a_change_is_bridged_just_where_there_is_a_step_at_every_version_on_the_way(kind: Kind, steps: frozenset[int]):
    former, now = _published(kind, 2, a=INTEGER), _published(kind, 4, a=TEXT)

    ((severity, _),) = _of(judge({2: former}, now, steps), Direction.BACKWARD)

    assert severity is (Severity.BRIDGED if {2, 3} <= steps else Severity.BREAKING)


def test_a_step_that_would_lead_from_a_version_to_itself_bridges_nothing():
    former, now = _published(Kind.MESSAGE, 1, a=INTEGER), _published(Kind.MESSAGE, 1, a=TEXT)

    ((severity, _),) = _of(judge({1: former}, now, frozenset({1})), Direction.BACKWARD)

    assert severity is Severity.BREAKING


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("change_batch", "a transform of v1"),
        ("load_batch", "a loader of v1"),
        ("heartbeat", "a transform or loader of v1"),
        ("receipt", "a consumer of v1"),
    ],
)
def test_a_message_that_former_code_cannot_read_names_who_reads_it(name: str, reader: str):
    former, now = _published(Kind.MESSAGE, 1, name, a=TEXT, b=TEXT), _published(Kind.MESSAGE, 2, name, a=TEXT)

    ((severity, sentence),) = _of(judge({1: former}, now, frozenset({1})), Direction.FORWARD)

    assert severity is Severity.BREAKING
    assert sentence == (
        f"message.{name}: field b was removed: {reader}, still running during a rollout, could not read it"
    )


def test_what_a_message_says_of_its_own_version_is_no_change():
    former, now = (
        _published(Kind.MESSAGE, version, dataschema={**TEXT, "default": f"urn:totes:load_batch:{version}"})
        for version in (1, 2)
    )

    assert judge({1: former}, now, frozenset({1})) == ()


def test_a_field_that_went_from_a_source_row_is_another_contract_although_an_open_reader_would_not_miss_it():
    former, now = _published(Kind.SOURCE, 1, "staff", a=TEXT, b=INTEGER), _published(Kind.SOURCE, 1, "staff", a=TEXT)

    verdicts = judge({1: former}, now, frozenset())

    assert [severity for severity, _ in _of(verdicts, Direction.BACKWARD)] == [Severity.BREAKING]
    assert [severity for severity, _ in _of(verdicts, Direction.FORWARD)] == [Severity.BREAKING]


def test_a_rule_that_went_breaks_no_row_of_the_archive():
    bare = _published(Kind.SOURCE, 2, "staff", a=TEXT)
    ruled = Published(Kind.SOURCE, "staff", 1, {**bare.written, "x-rules": ["a"]}, {**bare.read, "x-rules": ["a"]})

    verdicts = judge({1: ruled}, bare, frozenset({1}))

    assert _of(verdicts, Direction.BACKWARD) == [
        (Severity.HARMLESS, "source.staff: rule 'a' was removed: rows archived under v1 are read as before")
    ]


def test_nothing_bridges_a_secret_that_is_one_no_longer():
    former = _published(Kind.SOURCE, 1, "payment", a={**TEXT, "x-secret": True})
    now = _published(Kind.SOURCE, 2, "payment", a=TEXT)

    ((severity, sentence),) = _of(judge({1: former}, now, frozenset({1})), Direction.BACKWARD)

    assert severity is Severity.BREAKING
    assert sentence == (
        "source.payment: field a is secret no longer: values archived under v1, which never left the archive, would"
    )


def test_the_loader_fills_or_leaves_out_columns_and_analysts_miss_those_that_went():
    former = _published(Kind.STAR, 1, "fact_payment", key=INTEGER, gone=TEXT)
    now = _published(Kind.STAR, 2, "fact_payment", key=INTEGER, maybe={"anyOf": [INTEGER, NULL]}, always=INTEGER)

    verdicts = judge({1: former}, now, frozenset())

    assert [
        (each.direction, each.severity, each.sentence.removeprefix("star.fact_payment: ")) for each in verdicts
    ] == [
        (
            Direction.BACKWARD,
            Severity.HARMLESS,
            "column gone was removed: the loader leaves it out of load batches of v1",
        ),
        (
            Direction.BACKWARD,
            Severity.HARMLESS,
            "column maybe was added and is required, though it may be null: "
            "the loader fills it with NULL for load batches of v1",
        ),
        (
            Direction.BACKWARD,
            Severity.BREAKING,
            "column always was added and is required: "
            "load batches of v1, waiting or in the dead-letter queue, could not be loaded",
        ),
        (
            Direction.FORWARD,
            Severity.BREAKING,
            "column gone was removed: "
            "analysts who select it, and the views current_payment and history_payment, would fail",
        ),
        (
            Direction.FORWARD,
            Severity.HARMLESS,
            "column maybe was added and is required, though it may be null: what analysts select is as before",
        ),
        (
            Direction.FORWARD,
            Severity.HARMLESS,
            "column always was added and is required: what analysts select is as before",
        ),
    ]


def test_what_only_one_direction_can_tell_is_told_too():
    former = _published(Kind.MESSAGE, 1, a=INTEGER)
    now = Published(Kind.MESSAGE, "load_batch", 1, former.written, _published(Kind.MESSAGE, 1, a=TEXT).read)

    verdicts = judge({1: former}, now, frozenset())

    assert [(each.direction, each.severity) for each in verdicts] == [(Direction.BACKWARD, Severity.BREAKING)]
    assert "field a changed from integer to text" in verdicts[0].sentence
