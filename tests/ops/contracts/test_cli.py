"""`totes contracts` as a contributor types it; and this project is as its own check wants it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from contracts.feeds import FEEDS
from services.ops.cli import app
from services.ops.contracts.whole import against_code
from tests.conftest import Source
from tests.loader.conftest import SCHEMA, Star, roles, star, star_template

__all__ = ["roles", "star", "star_template"]
ROOT = Path(__file__).parents[3]


def totes(*words: str) -> Result:
    return CliRunner().invoke(app, ["contracts", *words])


def test_this_project_is_as_it_was_released() -> None:
    assert against_code(ROOT).lines == (
        "25 contracts, 25 released versions, golden messages and rows, documents: all in order.",
    )


def test_every_contract_is_listed_with_its_versions() -> None:
    answer = totes("list")

    assert answer.exit_code == 0
    assert all(f"source.{name}" in answer.output for name in FEEDS)
    assert "not released" not in answer.output


def test_a_contract_is_shown_as_it_is_written_and_as_it_is_read() -> None:
    written, read = (json.loads(totes("show", "source.payment", *form).output) for form in ((), ("--read",)))
    released = json.loads(totes("show", "source.payment", "--version", "1").output)

    assert written["additionalProperties"] is False
    assert "additionalProperties" not in read
    assert written == released


def test_what_did_not_change_has_no_difference() -> None:
    answer = totes("diff", "star.fact_payment")

    assert (answer.exit_code, answer.output) == (0, "star.fact_payment is as it was released under v1.\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("show", "source.colour"), "Expected one of the contracts message.change_batch,"),
        (("show", "source.payment", "--version", "7"), "Expected one of the released versions [1] of source.payment"),
        (("diff", "payment"), "found 'payment'."),
        (("diff", "source.payment", "3"), "found 3."),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(words: tuple[str, ...], expected: str) -> None:
    answer = totes(*words)

    assert answer.exit_code == 2
    assert expected in answer.output
    assert answer.output.count("\n") == 1


def test_nothing_new_is_released_as_nothing() -> None:
    answer = totes("release")

    assert (answer.exit_code, answer.output) == (0, "Nothing is new: every contract is released as it is.\n")


def test_live_databases_that_are_as_the_contracts_say_pass(totesys: Source, star: Star) -> None:
    answer = totes("check", "--source", totesys.reader_dsn, "--warehouse", star.owner_dsn, "--schema", SCHEMA)

    assert answer.exit_code == 0, answer.output
    assert "  fail:" not in answer.output


def test_a_source_that_lost_a_column_fails_with_its_name(totesys: Source) -> None:
    with totesys.connect() as connection:
        connection.run("ALTER TABLE sales_order DROP COLUMN units_sold")

    answer = totes("check", "--source", totesys.reader_dsn)

    assert answer.exit_code == 1
    assert "units_sold" in answer.output


def test_a_database_that_does_not_answer_is_unreachable() -> None:
    answer = totes("check", "--source", "postgresql://reader@localhost:1/totesys")

    assert answer.exit_code == 3
    assert answer.output.count("\n") == 1
