"""What `totes reconcile` says, and the exit code a script goes by."""

import json
from io import StringIO

import pytest
from rich.console import Console

from services.ops.reconcile import as_json, asking, exit_code, feeds_named, render
from services.reconciler.plan import Decision, Kind, Totals
from services.reconciler.reconcile import Report
from shared.errors import ConfigurationError
from tests.ops.test_cli import totes

CLEAN = Report({"design": Totals(source=10_000, live=10_000, ranges=1, bytes=90)}, {}, {})
DRIFTED = Report(
    {"design": Totals(source=99, stale=2, in_flight=1, changed=2), "staff": Totals(source=20, extra=25, held_back=25)},
    {},
    {"design": (Decision(Kind.STALE, 7, 1, None), Decision(Kind.IN_FLIGHT, 8, 1, None))},
)
SKIPPED = Report({}, {"design": "The backfill has not come to its end."}, {})


def printed(report: Report, *, dry_run: bool = False) -> str:
    console = Console(file=StringIO(), width=80)
    console.print(render(report, dry_run=dry_run))
    return console.file.getvalue()


@pytest.mark.parametrize(("report", "code"), [(CLEAN, 0), (DRIFTED, 1), (SKIPPED, 3)])
def test_the_exit_code_tells_no_drift_drift_and_what_could_not_be_compared(report: Report, code: int):
    assert exit_code(report) == code


def test_what_is_only_on_its_way_is_no_drift():
    assert exit_code(Report({"design": Totals(in_flight=3, quarantined=1, inferred=1)}, {}, {})) == 0


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (SKIPPED, "Nothing was compared."),
        (Report(CLEAN.feeds, SKIPPED.skipped, {}), "No drift in what was compared."),
        (Report({"design": Totals(source=9, quarantined=1)}, {}, {}), "No drift."),
    ],
)
def test_no_more_is_said_than_was_seen(report: Report, said: str):
    shown = printed(report)

    assert said in shown
    assert "the warehouse shows what the source holds" not in shown


def test_no_drift_is_one_line_behind_the_counts():
    shown = printed(CLEAN)

    assert "No drift: the warehouse shows what the source holds." in shown
    assert "10,000" in shown
    assert "Left alone" not in shown


def test_drift_is_shown_with_keys_what_was_published_and_what_to_do():
    shown = " ".join(printed(DRIFTED).split())

    assert "Drift: 27 rows. Published: 2 changed, 0 deleted, 0 restored" in shown
    assert "design: 7 stale, 8 in flight" in shown
    assert "25 deletions are held back, because they are so many: if they are meant, run it again with --yes." in shown
    assert "Left alone: 1 in flight, 0 quarantined" in shown


def test_a_dry_run_says_that_nothing_was_published():
    assert "nothing was published, because this was a dry run" in " ".join(printed(DRIFTED, dry_run=True).split())


def test_a_feed_that_could_not_be_compared_is_named_with_its_reason():
    assert "! design was not compared: The backfill has not come to its end." in printed(SKIPPED)


@pytest.mark.parametrize("report", [CLEAN, DRIFTED, SKIPPED])
def test_no_line_is_wider_than_80_columns(report: Report):
    assert all(len(line) <= 80 for line in printed(report).splitlines())


def test_json_counts_every_kind_and_names_the_first_keys():
    found = json.loads(json.dumps(as_json(DRIFTED)))

    assert found["drift"] == 27
    assert found["total"]["held_back"] == 25
    assert found["decisions"]["design"] == [{"kind": "stale", "key": 7}, {"kind": "in_flight", "key": 8}]


def test_only_without_yes_is_somebody_asked():
    asked: list[str] = []

    assert asking(lambda question: bool(asked.append(question)), yes=False)("staff", 25, 30) is False
    assert asking(lambda question: bool(asked.append(question)), yes=True)("staff", 25, 30) is True

    assert asked == ["25 of 30 rows of staff are gone from the source. Delete them in the warehouse too?"]


@pytest.mark.parametrize("name", ["nonsense", "department"])
def test_a_feed_that_has_nothing_to_compare_is_a_usage_error(name: str):
    with pytest.raises(ConfigurationError, match=f"found {name}"):
        feeds_named([name])


def test_the_command_says_that_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = totes("reconcile", "--dry-run")

    assert result.exit_code == 3
    assert "start one with `totes up`" in result.stderr
