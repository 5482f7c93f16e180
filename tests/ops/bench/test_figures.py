"""What samples come to: medians, ratios, exponents; and how figures are shown."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from services.ops.bench import chart, costs, growth, idle, path, run, stages, table
from services.ops.bench.chart import Block
from services.ops.bench.figures import Figure, Task, exponent, measured
from services.ops.bench.parts import PARTS, PEERS, Described, chosen
from services.ops.bench.stages import LATER, PATH, Limits, Spent
from shared.errors import ConfigurationError, Unavailable
from shared.marked import put

NOW = datetime(2026, 11, 25, tzinfo=UTC)
SOME = measured(
    "backfill", [6.0, 4.0, 5.0], "s", limits=[2.0, 1.0, 3.0], limit_name="COPY | COPY", target="≤ 3", note="why"
)


def test_a_figure_is_the_median_of_its_runs_beside_the_median_of_its_limit() -> None:
    assert (SOME.value, SOME.low, SOME.high, SOME.limit, SOME.ratio) == (5.0, 4.0, 6.0, 2.0, 2.5)


def test_a_figure_of_no_run_is_none() -> None:
    with pytest.raises(ValueError, match="backfill"):
        measured("backfill", [], "s")


@pytest.mark.parametrize(("samples", "met"), [([9.0, 11.0, 10.0], True), ([9.0, 11.0, 10.1], False)])
def test_a_target_is_judged_by_the_median(samples: list[float], met: bool) -> None:
    assert measured("x", samples, "ms", met=lambda value: value <= 10).met is met


def test_without_a_limit_there_is_no_ratio_and_without_a_target_no_verdict() -> None:
    alone = measured("x", [1.0], "ms")

    assert (alone.ratio, alone.met) == (None, None)


@given(st.floats(0.2, 3), st.floats(0.01, 100), st.sets(st.integers(1, 10**7), min_size=2, max_size=5))
def test_the_exponent_of_a_power_is_found_whatever_its_factor(power: float, factor: float, sizes: set[int]) -> None:
    ordered = sorted(sizes)

    assert exponent(ordered, [factor * size**power for size in ordered]) == pytest.approx(power, abs=1e-3)


def test_an_exponent_needs_two_sizes() -> None:
    with pytest.raises(ValueError, match="two sizes"):
        exponent([10, 10], [1.0, 2.0])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.00001, "0"), (0.1234, "0.12"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,234"), (3.0, "3")],
)
def test_a_number_shows_the_digits_that_tell(value: float, shown: str) -> None:
    assert table.number(value) == shown


def test_the_table_shows_every_figure_with_its_limit_and_what_must_be_known_of_it() -> None:
    console = Console(width=160, record=True, file=StringIO())

    console.print(table.table("path: the whole", [SOME, measured("other", [7.0], "ms", met=lambda _: False)]))

    said = console.export_text()
    assert "backfill: limit: COPY | COPY; why." in said
    [row] = [line for line in said.splitlines() if line.startswith("backfill  ")]
    assert row.split() == ["backfill", "5", "s", "4", "…", "6", "2", "2.50", "≤", "3"]
    assert [line.split()[-1] for line in said.splitlines() if line.startswith("other")] == ["no"]


def test_markdown_escapes_what_would_end_a_cell_and_stands_between_the_documents_marks() -> None:
    computed = table.markdown([("path", [measured("a | b", [1.0], "s")])])

    document = put("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n", table.MARK, computed)

    assert r"| a \| b | 1 | s |" in document
    assert document.startswith("before\n<!-- bench -->\n**Path**\n")
    assert document.endswith("<!-- /bench -->\nafter\n")
    assert "old" not in document


def test_a_document_without_marks_is_left_alone() -> None:
    with pytest.raises(ConfigurationError, match="<!-- bench -->"):
        put("nothing to see\n", table.MARK, "x")


def test_the_chart_is_svg_with_a_bar_for_each_figure_and_each_limit_inside_its_frame() -> None:
    text = chart.chart([Block("path & more", [SOME, measured("other", [7.0], "ms")])])

    root = ElementTree.fromstring(text)  # noqa: S314 - our own text
    bars = [
        float(each.attrib["x"]) + float(each.attrib["width"]) for each in root.iter() if each.attrib.get("rx") == "2"
    ]
    assert len(bars) == 3
    assert max(bars) <= chart.WIDTH - chart.RIGHT
    assert "path &amp; more" in text


def test_a_limit_that_figures_share_is_drawn_once() -> None:
    text = chart.chart([Block("x", [SOME, replace(SOME, name="other")])])

    assert text.count("COPY | COPY") == 1
    assert text.count('rx="2"') == 3


def test_bars_of_one_unit_have_one_scale() -> None:
    text = chart.chart([Block("x", [measured("one", [10.0], "s"), measured("two", [5.0], "s")])])

    widths = [
        float(each.attrib["width"])
        for each in ElementTree.fromstring(text).iter()  # noqa: S314 - our own text
        if each.attrib.get("rx") == "2"
    ]
    assert widths[0] == pytest.approx(2 * widths[1])


def test_parts_are_measured_in_their_own_order_and_an_unknown_one_is_refused() -> None:
    assert [part.name for part in chosen(["path", "stages"])] == ["stages", "path"]
    assert chosen([]) == PARTS
    with pytest.raises(ConfigurationError, match="speed"):
        chosen(["speed"])


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_part_has_its_module(part: Described) -> None:
    assert callable(part.measure())


def test_a_part_that_fails_costs_no_other_and_the_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_task: Task) -> list[Figure]:
        raise Unavailable("No server.")

    monkeypatch.setattr(stages, "measure", fails)
    monkeypatch.setattr(path, "measure", lambda task: [SOME])
    task, shown = Task(1, 1000, full=False, folder=tmp_path / "bench", say=str), list[str]()

    done = run.measure(chosen(["stages", "path"]), task, lambda done: shown.append(done[-1].part.name))

    assert [(one.failed, one.figures) for one in done] == [("No server.", ()), (None, (SOME,))]
    assert shown == ["stages", "path"]
    assert not task.folder.exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")

    with pytest.raises(ConfigurationError, match="empty"):
        run.measure([], Task(1, 1000, full=False, folder=tmp_path, say=str), str)

    assert (tmp_path / "mine").exists()


def test_the_file_holds_every_figure_with_its_ratio_and_what_it_was_measured_on() -> None:
    [part] = chosen(["path"])

    written = json.loads(
        run.as_json(
            [run.Measured(part, (SOME,))],
            Task(3, 1000, full=False, folder=Path(), say=str),
            NOW,
        )
    )

    assert written["parts"]["path"]["figures"][0]["ratio"] == 2.5
    assert written["runs"] == 3
    assert written["machine"]["processors"]


def test_the_chart_shows_the_whole_path_before_its_stages_and_nothing_that_was_not_measured() -> None:
    done = [run.Measured(part, (SOME,)) for part in chosen(["stages", "path", "growth"])]

    text = run.charted(done)

    assert 0 < text.index("A backfill from") < text.index("Each stage alone")
    assert "How time grows" not in text


def test_figures_are_kept_in_every_file_that_is_named(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("x\n<!-- bench -->\n<!-- /bench -->\n")
    files = run.Files(tmp_path / "figures.json", tmp_path / "chart.svg", document)
    [part] = chosen(["path"])

    files.expect_fit()
    files.write([run.Measured(part, (SOME,))], "{}")

    assert (tmp_path / "figures.json").read_text() == "{}"
    assert (tmp_path / "chart.svg").read_text().startswith("<svg")
    assert "| backfill | 5 | s |" in document.read_text()


def test_what_was_kept_is_shown_again_as_it_was_measured(tmp_path: Path) -> None:
    task, seen = Task(1, 1000, full=False, folder=tmp_path, say=str), list[list[str]]()
    measured_before = [run.Measured(part, (SOME,)) for part in (*chosen(["path"]), PEERS)]
    for one in measured_before:
        (tmp_path / one.part.name).write_text(run.as_json([one], task, NOW))

    found = run.shown(
        [tmp_path / one.part.name for one in measured_before],
        lambda done: seen.append([one.part.name for one in done]),
    )

    assert found == measured_before
    assert seen == [["path"], ["path", "peers"]]


@pytest.mark.parametrize("text", ["", "[]", '{"parts": {"speed": {}}}', '{"parts": {"path": {"figures": [{}]}}}'])
def test_a_file_that_holds_no_figures_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)

    with pytest.raises(ConfigurationError, match=r"x\.json"):
        run.read(tmp_path / "x.json")


def test_other_tools_stand_in_the_chart_beside_ours_in_place_of_our_path_alone() -> None:
    peers = tuple(measured(name, [3.0], unit) for name, unit in (("step: totes", "s"), ("step: Sling", "s"), ("r", "")))
    done = [run.Measured(part, (SOME,)) for part in chosen(["stages", "path"])] + [run.Measured(PEERS, peers)]

    [block] = run.peers_blocks(peers)
    text = run.charted(done)

    assert ([one.name for one in block.figures], block.others) == (["totes", "Sling"], {"Sling"})
    assert text.count(chart.OTHERS) == 1
    assert "A backfill from" not in text


def test_a_file_that_could_not_be_written_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "bare.md").write_text("no marks\n")

    for files, wrong in (
        (run.Files(tmp_path / "nowhere" / "figures.json", None, None), "nowhere"),
        (run.Files(None, None, tmp_path / "none.md"), "none.md"),
        (run.Files(None, None, tmp_path / "bare.md"), "<!-- bench -->"),
    ):
        with pytest.raises(ConfigurationError, match=wrong):
            files.expect_fit()


def test_stages_are_told_for_a_million_rows_and_together() -> None:
    ledger = {name: Spent(own=1.0, server=2.0, wall=4.0) for name in (*PATH, *LATER)}

    found = {one.name: one for one in stages.figures_of([ledger], [Limits(0.5, 0.25, 0.125)], 500_000)}

    assert found["parse"].value == 6.0
    assert "4.00 of it in Postgres, 8.00 s by the clock" in found["parse"].note
    assert found["all stages of a backfill"].value == 6.0 * len(PATH)
    assert found["all stages of a backfill"].limit == 1.5


def backfill(seconds: float, **cpu: float) -> path.Backfill:
    return path.Backfill(seconds, seconds, cpu)


def test_growth_is_linear_where_ten_times_the_rows_take_ten_times_as_long() -> None:
    linear = growth.figures_of({100: [backfill(1.0), backfill(1.0)], 1000: [backfill(10.0), backfill(10.0)]})
    quadratic = growth.figures_of({100: [backfill(1.0)], 1000: [backfill(100.0)]})

    assert [(one.value, one.met) for found in (linear, quadratic) for one in found if "exponent" in one.name] == [
        (pytest.approx(1.0), True),
        (pytest.approx(2.0), False),
    ]


def test_what_another_million_rows_takes_leaves_out_what_every_size_pays() -> None:
    figures = growth.figures_of(
        {100_000: [backfill(1.0, loader=3.2, source=0.1)], 1_100_000: [backfill(10.0, loader=5.2, source=1.1)]}
    )

    found = {one.name: one.value for one in figures if one.unit.startswith("CPU")}
    assert found == {
        "loader, another million rows": pytest.approx(2.0),
        "source, another million rows": pytest.approx(1.0),
        "all processes, another million rows": pytest.approx(3.0),
    }


def test_watching_is_told_beside_the_idle_month_and_not_in_it() -> None:
    bulk, idle_month = costs.figures_of(bulk=0.009, trickle=2.0, idle=15.1, watching=25.0)

    assert (bulk.met, idle_month.met, idle_month.value) == (True, False, 15.1)
    assert "another 25.00" in idle_month.note


def test_an_idle_poll_is_held_to_its_target_only_where_there_is_an_index() -> None:
    costs = {f"pulse, {index}": [idle.Cost(11.0, 99.0)] for index in ("with an index", "without an index")}

    assert [one.met for one in idle.figures_of(costs, 10)] == [False, True, None, None]


def test_the_whole_path_is_told_beside_the_copy_of_the_same_run() -> None:
    backfill = path.Backfill(seconds=8.0, from_start=12.0, cpu={"source": 1.5, "totes-poller": 2.0})
    once = path.Run(rows=1000, backfill=backfill, copied=2.0, update=1.0, update_copied=0.5)

    first, with_start, update = path.figures_of([once])

    assert (first.ratio, with_start.ratio, update.ratio) == (4.0, 6.0, 2.0)
    assert first.met is False
    assert "source 1.5, totes-poller 2.0" in first.note
