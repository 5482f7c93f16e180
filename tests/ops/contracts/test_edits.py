"""The edits of the real models, each judged as it ought to be."""

from collections import Counter
from dataclasses import replace

import pytest

from services.ops.contracts.published import Kind, today
from services.ops.contracts.verdicts import Direction, Severity, judge
from tests.ops.contracts.edits import EDITS, REAL, Edit, judged, main


def _name(edit: Edit) -> str:
    return f"{edit.contract}: {edit.name}"


@pytest.mark.parametrize("edit", EDITS, ids=_name)
def test_an_edit_of_the_models_is_judged_right(edit: Edit):
    found = judged(edit)

    assert found.severity is edit.severity, found.verdicts
    assert edit.words in found.sentence


@pytest.mark.parametrize("edit", EDITS, ids=_name)
def test_an_edit_is_told_of_its_own_contract_alone(edit: Edit):
    released, edited = edit.before(REAL), edit.change(edit.before(REAL))
    before = {each.title: each for each in today(released.feeds, released.messages)}

    told = {
        each.title
        for each in today(edited.feeds, edited.messages)
        if judge({before[each.title].version: before[each.title]}, each, edited.steps(each.title))
    }

    assert told <= {edit.contract}


def test_there_are_enough_edits_of_each_severity_and_breaking_ones_of_every_kind_in_both_directions():
    severities = Counter(edit.severity for edit in EDITS)
    broken = {(edit.contract.split(".")[0], edit.direction) for edit in EDITS if edit.severity is Severity.BREAKING}

    assert severities[Severity.BREAKING] >= 25
    assert severities[Severity.HARMLESS] >= 15
    assert broken == {(kind, direction) for kind in Kind for direction in Direction}


def test_the_script_tells_each_edit_and_that_all_are_judged_right(capsys: pytest.CaptureFixture[str]):
    code = main()

    *told, total = capsys.readouterr().out.splitlines()
    assert code == 0
    assert len(told) == len(EDITS)
    assert total == f"{len(EDITS)} edits: 39 breaking, 6 bridged, 16 harmless, all judged right"


@pytest.mark.parametrize("wrong", [{"severity": Severity.HARMLESS}, {"words": "nobody"}])
def test_the_script_fails_where_an_edit_is_judged_otherwise(wrong: dict[str, str], capsys: pytest.CaptureFixture[str]):
    edit = replace(EDITS[0], **wrong)

    code = main([edit])

    assert code == 1
    assert f"judged wrong: {[edit.name]}" in capsys.readouterr().out
