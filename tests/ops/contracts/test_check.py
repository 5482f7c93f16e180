"""Nothing changes without a new version, and no version breaks anybody without a sentence that says whom."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.feeds import FEEDS, Feed, before
from contracts.fields import Text
from contracts.source import DesignRow
from services.ops.contracts.accepted import accept, accepted
from services.ops.contracts.check import State, sentences, standings
from services.ops.contracts.published import steps, today
from services.ops.contracts.registry import Registry
from shared.errors import ConfigurationError


class ColouredRow(DesignRow):
    """A design with a column that came later."""

    colour: Text | None


def feeds(**changes: object) -> Mapping[str, Feed]:
    return {"design": replace(FEEDS["design"], **changes)}


NEXT = {"row": ColouredRow, "contract": 2, "former": {1: before(ColouredRow, "design_id", "colour")}}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """The first versions of one feed and its star table, and dim_date's."""
    made = Registry(tmp_path)
    for each in today(feeds(), {}):
        made.add(each)
    return Registry(tmp_path)


def found(registry: Registry, now: Mapping[str, Feed]) -> list[str]:
    contracts = today(now, {})
    bridged = {each.title: steps(each.title, now, {}) for each in contracts}
    return list(
        sentences(standings(registry, contracts, bridged), registry.titles(), frozenset(accepted(registry.folder)))
    )


def test_what_is_as_it_was_released_has_no_sentence(registry: Registry) -> None:
    assert found(registry, feeds()) == []


def test_a_model_that_changed_under_its_version_is_refused_with_the_difference(registry: Registry) -> None:
    [sentence] = [each for each in found(registry, feeds(row=ColouredRow)) if "without" in each]

    assert sentence.startswith("source.design changed without a new version: raise its feed's `contract` to 2")
    assert "+ properties.colour.anyOf: [{" in sentence
    assert "$id" not in sentence


def test_a_new_version_with_its_step_is_bridged_and_waits_for_its_release(registry: Registry) -> None:
    now = feeds(**NEXT)

    assert found(registry, now) == [
        "source.design: expected v2 to be released, found up to v1: `totes contracts release`.",
        "star.dim_design: expected v2 to be released, found up to v1: `totes contracts release`.",
    ]
    for each in today(now, {}):
        registry.add(each)
    assert found(registry, now) == []


def test_code_that_is_older_than_what_was_released_is_refused(registry: Registry) -> None:
    for each in today(feeds(**NEXT), {}):
        registry.add(each)

    assert found(registry, feeds())[0] == (
        "source.design: expected v2 or newer, as it was released, found v1 in the code."
    )


def test_a_released_contract_without_a_model_is_refused(registry: Registry) -> None:
    [source, star] = found(registry, {})

    assert (
        source == "source.design: expected a model, found none: what was written under it could not be read any more."
    )
    assert star.startswith("star.dim_design: ")


def test_a_break_that_was_accepted_is_not_told_again_and_another_one_is(registry: Registry) -> None:
    [star] = [each for each in today(feeds(), {}) if each.title == "star.dim_design"]
    left = {
        name: each for name, each in star.written["properties"].items() if name not in ("file_name", "file_location")
    }
    lost = replace(star, version=2, written={**star.written, "properties": left, "required": list(left)})

    def told() -> list[str]:
        known = frozenset(accepted(registry.folder))
        now = standings(registry, [lost], {star.title: frozenset()})
        return [each for each in sentences(now, (), known) if "was removed" in each]

    one, other = told()
    accept(registry.folder, [one.removesuffix(".")], "nobody reads it")

    assert "column file_location was removed" in one
    assert told() == [other]
    assert accepted(registry.folder) == {one.removesuffix("."): "nobody reads it"}


def test_a_star_column_that_came_later_and_is_not_named_so_is_refused(registry: Registry) -> None:
    [star] = [each for each in today(feeds(), {}) if each.title == "star.dim_design"]
    schema = {**star.written, "x-columns": [*star.written["x-columns"], "colour"]}
    widened = replace(star, version=2, written=schema)

    [standing] = standings(registry, [widened], {star.title: frozenset()})

    assert standing.state is State.UNRELEASED
    assert any("expected colour in the table's `added`" in each for each in sentences([standing], ()))


def test_an_accepted_list_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "accepted.json").write_text("{")

    with pytest.raises(ConfigurationError, match=r"accepted[.]json, found .*: restore it from git"):
        accepted(tmp_path)
