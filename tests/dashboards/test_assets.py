"""The files that the dashboards are made from, held to the warehouse's real schema."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.dashboards.installed import ASSETS
from services.dashboards.readable import known_names, readable
from services.loader.migrate import migrate
from tests.conftest import open_connection

FILES = {path.relative_to(ASSETS).as_posix(): path.read_text("utf-8") for path in sorted(ASSETS.rglob("*.yaml"))}
MONEY = {"revenue", "spend", "amount"} | {
    f"{way}_{status}" for way in ("receive", "pay") for status in ("paid", "due", "overdue", "never")
}
DASHBOARDS = ("order-history", "payments", "pipeline-health", "purchases", "sales")
ANALYST = "dashboard_analyst"
KINDS = {
    "INTEGER": {20, 21, 23},
    "DOUBLE PRECISION": {701, 1700},
    "DECIMAL": {1700},
    "STRING": {25, 1043},
    "DATE": {1082},
    "TIMESTAMP WITHOUT TIME ZONE": {1114},
}
"""Type in a file -> the oids of PostgreSQL's types that it stands for."""


def documents(kind: str) -> dict[str, dict[str, Any]]:
    return {Path(name).stem: yaml.safe_load(text) for name, text in FILES.items() if name.startswith(f"{kind}/")}


DATASETS, CHARTS = documents("datasets"), documents("charts")
BY_UUID = {dataset["uuid"]: dataset for dataset in DATASETS.values()}


@pytest.fixture(scope="module")
def warehouse(databases: Any) -> str:
    """A warehouse as migrations leave it; the DSN of a login with the rights of an analyst."""
    name = databases.make("dashboards")
    owner = databases.server.dsn(name)
    with open_connection(owner) as connection:
        connection.run(f"DROP ROLE IF EXISTS {ANALYST}")
        connection.run(f"CREATE ROLE {ANALYST} LOGIN")
    migrate(owner, "warehouse", loader_role=None, analyst_role=ANALYST)
    return str(databases.server.dsn(name, ANALYST))


def test_the_files_are_as_an_export_would_write_them() -> None:
    assert readable(FILES, known_names(FILES)) == FILES


def test_every_uuid_is_of_one_file() -> None:
    assert len(known_names(FILES)) == len(FILES) - 1  # metadata.yaml has none


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_gives_an_analyst_the_columns_and_metrics_that_its_file_names(name: str, warehouse: str) -> None:
    dataset = DATASETS[name]
    metrics = ", ".join(metric["expression"] for metric in dataset["metrics"])

    with open_connection(warehouse) as connection:
        connection.run("SET search_path = warehouse; SET default_transaction_read_only = on")
        connection.run(dataset["sql"])
        found = {column["name"]: column["type_oid"] for column in connection.columns}
        connection.run(f"SELECT {metrics} FROM ({dataset['sql']}) asked")

    assert set(found) == {column["column_name"] for column in dataset["columns"]}
    for column in dataset["columns"]:
        assert found[column["column_name"]] in KINDS[column["type"]], column


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_asks_for_columns_and_metrics_that_its_dataset_has(name: str) -> None:
    chart = CHARTS[name]
    dataset = BY_UUID[chart["dataset_uuid"]]
    params = chart["params"]
    asked = {params.get("x_axis"), *params.get("groupby", []), *params.get("all_columns", [])} - {None}

    assert asked <= {column["column_name"] for column in dataset["columns"]}
    assert set(metrics_of(chart)) <= {metric["metric_name"] for metric in dataset["metrics"]}


def metrics_of(chart: dict[str, Any]) -> list[str]:
    params = chart["params"]
    return [*params.get("metrics", []), *([params["metric"]] if "metric" in params else [])]


def placed(dashboard: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number on the dashboard, and the chart."""
    by_uuid = {chart["uuid"]: chart for chart in CHARTS.values()}
    for part in dashboard["position"].values():
        if isinstance(part, dict) and part["type"] == "CHART":
            yield part["meta"]["chartId"], by_uuid[part["meta"]["uuid"]]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_money_is_never_added_across_currencies(name: str) -> None:
    dashboard = documents("dashboards")[name]
    filters = {each["name"]: each for each in dashboard["metadata"]["native_filter_configuration"]}

    for number, chart in placed(dashboard):
        if MONEY & set(metrics_of(chart)) and "currency" not in chart["params"].get("groupby", []):
            currency = filters["Currency"]
            assert number not in currency["scope"]["excluded"], chart["slice_name"]
            assert currency["controlValues"]["multiSelect"] is False
            assert currency["controlValues"]["enableEmptyFilter"] is True
            assert currency["defaultDataMask"]["filterState"]["value"] == ["GBP"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_refreshes_itself_and_says_as_of_when_whatever_is_filtered(name: str) -> None:
    dashboard = documents("dashboards")[name]
    [number] = [number for number, chart in placed(dashboard) if chart["slice_name"] == "Data as of (UTC)"]

    assert dashboard["metadata"]["refresh_frequency"] == 10
    assert all(number in each["scope"]["excluded"] for each in dashboard["metadata"]["native_filter_configuration"])


def test_no_file_holds_a_password() -> None:
    [database] = documents("databases").values()

    assert database["sqlalchemy_uri"] == "postgresql+psycopg2://totes_analyst@localhost/warehouse"
    assert not database["allow_dml"]
