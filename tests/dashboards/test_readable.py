"""What Superset exports, as a file that reads well."""

import yaml

from services.dashboards.readable import readable

POSITION = """
position:
  ROOT_ID: {type: ROOT, id: ROOT_ID, children: [GRID_ID]}
  GRID_ID: {type: GRID, id: GRID_ID, children: [ROW-1]}
  ROW-1: {type: ROW, id: ROW-1, children: [CHART-b, CHART-a]}
  CHART-a: {type: CHART, id: CHART-a, children: [], meta: {chartId: 71, uuid: a}}
  CHART-b: {type: CHART, id: CHART-b, children: [], meta: {chartId: 84, uuid: b}}
"""
DASHBOARD = f"""
uuid: d
dashboard_title: Sales
description: null
metadata:
  chart_configuration: {{'71': {{id: 71}}}}
  native_filter_configuration:
  - {{id: f, chartsInScope: [71, 84], scope: {{rootPath: [ROOT_ID], excluded: [84, 99]}}}}
{POSITION}
"""


def chart(uuid: str) -> str:
    return (
        f"{{slice_name: Top, uuid: {uuid}, cache_timeout: null, params: {{metric: m, slice_id: 84, dashboards: [1]}}}}"
    )


def test_numbers_of_supersets_database_become_places_on_the_dashboard() -> None:
    texts = readable({"dashboards/Sales_3.yaml": DASHBOARD}, {})

    found = yaml.safe_load(texts["dashboards/sales.yaml"])
    numbers = {key: part["meta"]["chartId"] for key, part in found["position"].items() if key.startswith("CHART")}
    assert numbers == {"CHART-b": 1, "CHART-a": 2}
    assert found["metadata"] == {
        "native_filter_configuration": [{"id": "f", "scope": {"rootPath": ["ROOT_ID"], "excluded": [1]}}]
    }


def test_what_superset_fills_in_by_itself_is_left_out() -> None:
    texts = readable({"dashboards/S_1.yaml": DASHBOARD, "charts/Top_84.yaml": chart("b")}, {})

    assert texts["charts/top.yaml"] == "slice_name: Top\nparams:\n  metric: m\nuuid: b\n"


def test_a_file_keeps_the_name_it_has_here() -> None:
    texts = readable({"dashboards/S_1.yaml": DASHBOARD, "charts/Top_84.yaml": chart("b")}, {"b": "charts/designs.yaml"})

    assert set(texts) == {"metadata.yaml", "dashboards/s.yaml", "charts/designs.yaml"}


def test_a_chart_that_no_dashboard_shows_is_not_exported() -> None:
    texts = readable({"dashboards/S_1.yaml": DASHBOARD, "charts/Draft_85.yaml": chart("c")}, {})

    assert set(texts) == {"metadata.yaml", "dashboards/s.yaml"}


def test_sql_is_written_as_a_block_even_where_its_lines_end_in_spaces() -> None:
    dataset = yaml.safe_dump({"uuid": "x", "table_name": "t", "sql": "SELECT 1, \n       2\n"})

    texts = readable({"datasets/warehouse/t_4.yaml": dataset}, {})

    assert "sql: |\n  SELECT 1,\n         2\n" in texts["datasets/warehouse/t.yaml"]
