"""The edits of the real models, each judged as it ought to be."""

from collections import Counter
from dataclasses import replace

import pytest

from services.ops.contracts.published import Kind
from services.ops.contracts.verdicts import Direction, Severity, judge
from tests.ops.contracts.edits import EDITS, REAL, Edit, judged, main


def _name(edit: Edit) -> str:
    return f"{edit.contract}: {edit.name}"


@pytest.mark.parametrize("edit", EDITS, ids=_name)
def test_an_edit_of_the_models_is_judged_right(edit: Edit):
    found = judged(edit)

    assert found.severity is edit.severity, found.verdicts
    assert edit.words in found.sentence


def _others(edit: Edit) -> set[str]:
    """The contracts of everything that an edit touches, but its own; a feed has two."""
    edited = edit.change(edit.before(REAL))
    feeds = [feed for name, feed in edited.feeds.items() if feed is not REAL.feeds[name]]
    stars = {f"star.{feed.star.table}" for feed in feeds if feed.star is not None}
    return ({f"source.{feed.name}" for feed in feeds} | stars) - {edit.contract}


@pytest.mark.parametrize("edit", [edit for edit in EDITS if _others(edit)], ids=_name)
def test_an_edit_of_a_row_is_told_of_no_star_table_and_the_other_way_round(edit: Edit):
    edited = edit.change(REAL)

    for title in _others(edit):
        assert judge({1: REAL.published(title)}, edited.published(title), edited.steps(title)) == ()


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
