"""Releasing writes what is new, once, and refuses what would break somebody."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from services.ops.contracts import documents, golden
from services.ops.contracts.accepted import accept, accepted
from services.ops.contracts.check import standings
from services.ops.contracts.published import Published, today
from services.ops.contracts.registry import Registry
from services.ops.contracts.release import GOLDEN, release
from services.ops.contracts.view import released
from services.ops.contracts.whole import against_code, since
from shared.errors import ConfigurationError

CONTRACTS = {each.title: each for each in today()}


def next_heartbeat(**properties: object) -> list[Published]:
    """All contracts, and of the heartbeat a second version with other properties and no step."""
    now = CONTRACTS["message.heartbeat"]
    read = {**now.read, "properties": {**now.read["properties"], **properties}}
    read["required"] = [*read["required"], *properties]
    return [*(each for each in CONTRACTS.values() if each is not now), replace(now, version=2, read=read)]


def test_everything_is_released_once_and_a_second_release_writes_nothing(tmp_path: Path) -> None:
    done = release(tmp_path)

    again = release(tmp_path)

    assert len(done.contracts) == len(CONTRACTS)
    assert len([path for path in done.files if "schemas" in path.parts]) == 2 * len(CONTRACTS)
    assert done.migration == ()
    assert (again.contracts, again.files, again.migration) == ((), (), ())
    assert list(released(again, tmp_path)) == ["Nothing is new: every contract is released as it is."]
    assert documents.stale(tmp_path) == ()
    assert golden.check(tmp_path / GOLDEN) == ()


def test_what_was_written_is_told_by_its_place_in_the_project(tmp_path: Path) -> None:
    said = list(released(release(tmp_path), tmp_path))

    assert "Released source.payment v1." in said
    assert "  wrote contracts/schemas/source/payment/v1.read.json" in said


def test_a_model_that_changed_under_its_version_is_not_released(tmp_path: Path) -> None:
    now = CONTRACTS["source.payment"]
    release(tmp_path, contracts=[replace(now, read={**now.read, "required": []})])

    with pytest.raises(
        ConfigurationError, match=r"source[.]payment changed without a new version: raise its feed"
    ) as found:
        release(tmp_path)

    assert "\n" not in str(found.value)


def test_a_change_that_breaks_somebody_is_released_with_its_reason_alone(tmp_path: Path) -> None:
    release(tmp_path)
    broken = next_heartbeat(colour={"type": "string"})

    with pytest.raises(ConfigurationError, match=r"colour.*--accept REASON"):
        release(tmp_path, contracts=broken)
    assert Registry(tmp_path / "contracts" / "schemas").newest("message.heartbeat") == 1

    done = release(tmp_path, contracts=broken, reason="nobody runs v1 any more")

    assert done.contracts == ("message.heartbeat v2",)
    assert set(accepted(tmp_path / "contracts" / "schemas").values()) == {"nobody runs v1 any more"}
    assert release(tmp_path, contracts=broken).contracts == ()


def test_what_was_accepted_before_needs_no_other_reason(tmp_path: Path) -> None:
    release(tmp_path)
    broken = next_heartbeat(colour={"type": "string"})
    folder = tmp_path / "contracts" / "schemas"
    [standing] = [each for each in standings(Registry(folder), broken) if each.today.version == 2]
    accept(folder, [verdict.sentence for verdict in standing.breaking], "agreed")

    assert release(tmp_path, contracts=broken).contracts == ("message.heartbeat v2",)


def test_the_check_of_a_project_names_a_stale_document_and_a_golden_file_that_is_gone(tmp_path: Path) -> None:
    release(tmp_path)
    before = against_code(tmp_path)
    (tmp_path / "docs" / "data-dictionary.md").write_text("older")
    shutil.rmtree(tmp_path / GOLDEN / "message" / "heartbeat")

    found = against_code(tmp_path)

    assert not before.failed
    assert found.failed
    assert any("docs/data-dictionary.md" in line for line in found.lines)
    assert any("golden files of message.heartbeat v1" in line for line in found.lines)
    assert "2 not in order" in found.lines[-1]


def test_a_difference_that_breaks_somebody_is_told_as_such() -> None:
    former = CONTRACTS["message.heartbeat"]
    [now] = [each for each in next_heartbeat(colour={"type": "string"}) if each.title == former.title]

    harmless, breaking = since(former, former, frozenset()), since(former, now, frozenset())

    assert (harmless.lines, harmless.failed) == (("message.heartbeat is as it was released under v1.",), False)
    assert breaking.failed
    assert any(line.startswith("+ ") and "colour" in line for line in breaking.lines)
    assert any(line.startswith("breaking: message.heartbeat: field colour") for line in breaking.lines)
