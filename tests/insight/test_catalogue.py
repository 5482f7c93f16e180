"""A question's file says all that a reader must know, and its query keeps to what an analyst may rely on."""

import re
from pathlib import Path

import pytest

from services.insight.__main__ import main
from services.insight.catalogue import FOLDER, Kind, MalformedQuestion, Parameter, Question, parse, questions
from services.insight.document import table
from tests.conftest import Server
from tests.loader.conftest import Star

DOCUMENT = Path(__file__).parents[2] / "docs" / "questions.md"
HEADER = "-- Question: Is it?\n-- Read: So.\n-- Counted: All.\n-- Not counted: None.\n"
EVERY = pytest.mark.parametrize("question", questions().values(), ids=lambda question: question.name)


def test_every_file_is_a_question() -> None:
    assert sorted(questions()) == sorted(path.stem for path in FOLDER.iterdir())


@EVERY
def test_a_header_is_whole_sentences(question: Question) -> None:
    sentences = [question.read, question.counted, question.not_counted, *(one.help for one in question.parameters)]

    assert question.asks.endswith("?")
    assert all(re.fullmatch(r"[A-Z`].+\.", sentence) for sentence in sentences)


@EVERY
def test_a_query_takes_the_parameters_that_its_header_names_and_no_others(question: Question) -> None:
    taken = re.findall(r"(?<![:\w]):([a-z_]+)", question.sql)

    assert set(taken) == {parameter.name for parameter in question.parameters}


@EVERY
def test_a_default_is_one_that_the_kind_has(question: Question) -> None:
    defaults = {Kind.MOMENT: {"now"}, Kind.DATE: {"today", "none"}}

    for one in question.parameters:
        assert one.default in (defaults.get(one.kind, {"none"}) if one.kind is not Kind.CHOICE else one.choices)


@EVERY
def test_a_query_reads_views_and_dimensions_alone(question: Question) -> None:
    """No fact, which holds every version, and none of the loader's books."""
    read = set(re.findall(r"(?:FROM|JOIN) +([a-z_]+)\b(?!\.)", question.sql))
    own = set(re.findall(r"^(?:WITH )?([a-z_]+) AS \($", question.sql, re.M)) | {"jsonb_to_recordset"}

    assert all(re.fullmatch(r"(current|history|dim)_[a-z_]+|freshness", name) for name in read - own)
    assert not re.search(r"[ .(,]_[a-z]", question.sql)


@EVERY
def test_a_query_names_its_order(question: Question) -> None:
    assert re.search(r"^ ORDER BY [^()]+(\(.+\))?$", question.sql.rstrip(), re.M)


@EVERY
def test_the_views_and_columns_that_a_query_names_exist(question: Question, star: Star, server: Server) -> None:
    statement = re.sub(r"(?<![:\w]):([a-z_]+)", "NULL", question.sql)

    star.rows(f"EXPLAIN {statement}")


def test_a_header_is_read_over_several_lines() -> None:
    found = parse("is-it", HEADER + "-- Parameter by (day|week; week): How\n--   long.\nSELECT :by\n")

    assert (found.name, found.asks, found.sql) == ("is-it", "Is it?", "SELECT :by")
    assert found.parameters == (Parameter("by", Kind.CHOICE, ("day", "week"), "week", "How long."),)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        HEADER.replace("-- Counted: All.\n", "") + "SELECT 1",
        HEADER + "-- Parameter by day: How long.\nSELECT 1",
        HEADER + "-- Remark: Something else.\nSELECT 1",
    ],
    ids=["no header", "nothing said of what is counted", "a parameter without a default", "another paragraph"],
)
def test_a_header_that_is_not_complete_is_refused(text: str) -> None:
    with pytest.raises(MalformedQuestion):
        parse("broken", text)


def test_the_document_lists_every_question_as_it_is() -> None:
    """`make questions` writes it."""
    [shown] = re.findall(r"^<!-- questions -->\n(.*)^<!-- /questions -->", DOCUMENT.read_text(), re.M | re.S)

    assert shown == table(questions().values())


def test_the_document_is_written_between_its_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "questions.md"
    document.write_text("before\n<!-- questions -->\nold\n<!-- /questions -->\nafter\n")

    main(["--write", str(document)])
    main([])

    made = capsys.readouterr().out
    assert document.read_text() == f"before\n<!-- questions -->\n{made}<!-- /questions -->\nafter\n"
