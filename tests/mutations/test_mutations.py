"""The list of deliberate bugs cannot rot, and what is called a catch is one."""

import ast

import pytest

from tests.mutations.checkout import ROOT, MovedCode, edited, texts_after
from tests.mutations.mutations import MUTATIONS, Edit, Mutation
from tests.mutations.trial import Outcome, judge

NAMES = [one.name for one in MUTATIONS]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=NAMES)
def test_a_bug_s_place_is_there_exactly_once_and_with_it_the_code_is_still_code(mutation: Mutation):
    for name, text in texts_after(mutation.edits).items():
        ast.parse(text, name)
        assert text != (ROOT / name).read_text(encoding="utf-8")


def test_every_bug_has_a_name_of_its_own_and_tests_that_exist():
    files = {test.partition("::")[0] for one in MUTATIONS for test in one.tests}
    functions = {
        (file, function.partition("[")[0])
        for one in MUTATIONS
        for test in one.tests
        for file, _, function in [test.partition("::")]
        if function
    }

    assert len(set(NAMES)) == len(NAMES) >= 25
    assert all(one.tests for one in MUTATIONS)
    assert [file for file in files if not (ROOT / file).is_file()] == []
    assert [name for file, name in functions if f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")] == []


def test_code_that_moved_is_told_in_words():
    with pytest.raises(MovedCode, match=r"found it 0 times.*correct tests/mutations/mutations.py"):
        edited("a = 1", Edit("a.py", "a = 2", "a = 3"))
    with pytest.raises(MovedCode, match="found it 2 times"):
        edited("a = 1; a = 1", Edit("a.py", "a = 1", "a = 3"))


FAILED = "FAILED tests/a.py::test_it[a - b] - AssertionError: assert 1 == 2"


@pytest.mark.parametrize(
    ("code", "output", "outcome"),
    [
        (1, f"E   AssertionError: assert 1 == 2\n{FAILED}", Outcome.CAUGHT),
        (0, "3 passed", Outcome.SURVIVED),
        (1, "ERROR tests/a.py - SyntaxError", Outcome.BROKEN),
        (1, f"E   NameError: name 'x' is not defined\n{FAILED}", Outcome.BROKEN),
        (1, f"E   pg8000.exceptions.DatabaseError: {{'S': 'ERROR', 'C': '42601'}}\n{FAILED}", Outcome.BROKEN),
        (1, f"E   pg8000.exceptions.DatabaseError: {{'S': 'ERROR', 'C': '23505'}}\n{FAILED}", Outcome.CAUGHT),
        (2, "interrupted", Outcome.BROKEN),
        (4, "", Outcome.BROKEN),
        (-2, "", Outcome.BROKEN),
    ],
)
def test_only_a_test_that_failed_for_a_reason_of_its_own_has_caught_anything(code: int, output: str, outcome: Outcome):
    assert judge(code, output).outcome is outcome
