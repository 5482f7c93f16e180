"""How the tools are called: what makes them fast is set, what tells on users is not, and nobody is always first."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peers.contestants import DLT, Contestant, Line, Places, dlt, rotated, seconds_at_work, sling

PLACES = Places("postgresql://me:word@127.77.0.1:5432/totesys", "postgresql://me:word@127.77.0.2:5432/warehouse")


def everybody() -> list[Contestant]:
    folder = Path("/state")
    return [
        sling(Path("/bin/sling"), "1", PLACES, folder),
        *(dlt(Path("/bin/python"), "1", PLACES, folder, name=name) for name in DLT),
    ]


def test_no_tool_reports_its_use() -> None:
    for contestant in everybody():
        for command in (contestant.backfill, contestant.update):
            switches = {name: value for name, value in command.environment.items() if "TELEMETRY" in name}
            assert switches in ({"SLING_DISABLE_TELEMETRY": "true"}, {"RUNTIME__DLTHUB_TELEMETRY": "false"})


def test_no_password_stands_among_the_arguments_where_every_user_of_the_machine_may_read_it() -> None:
    for contestant in everybody():
        for command in (contestant.backfill, contestant.update):
            assert "word" not in " ".join(command.arguments)
            assert "word" in " ".join(command.environment.values())


def test_each_tool_has_a_table_and_a_state_of_its_own() -> None:
    tables = [contestant.table for contestant in everybody()]
    states = [contestant.backfill.arguments[-1] for contestant in everybody()[1:]]

    assert len(set(tables)) == len(tables)
    assert len(set(states)) == len(states)


def test_an_update_merges_by_key_what_has_moved() -> None:
    asked = sling(Path("/bin/sling"), "1", PLACES, Path("/state")).update.arguments

    assert asked[asked.index("--mode") + 1] == "incremental"
    assert asked[asked.index("--primary-key") + 1] == "sales_order_id"
    assert asked[asked.index("--update-key") + 1] == "last_updated"


@pytest.mark.parametrize(
    ("name", "backend", "file_format", "driver"),
    [
        ("dlt pyarrow", "pyarrow", "csv", "postgresql+psycopg"),
        ("dlt pyarrow ADBC", "pyarrow", "parquet", "postgresql+psycopg"),
        ("dlt connectorx ADBC", "connectorx", "parquet", "postgresql"),
        ("dlt default", "sqlalchemy", "insert_values", "postgresql+psycopg"),
    ],
)
def test_each_way_of_dlt_is_the_backend_and_the_format_that_its_name_says(
    name: str, backend: str, file_format: str, driver: str
) -> None:
    command = dlt(Path("/bin/python"), "1", PLACES, Path("/state"), name=name).backfill

    assert command.arguments[2:4] == (backend, file_format)
    assert command.environment["PEER_SOURCE"].partition("://")[0] == driver
    assert command.environment["PEER_TARGET"] == PLACES.target


@given(st.lists(st.text(), min_size=1, unique=True))
def test_over_as_many_runs_as_there_are_tools_each_has_every_place_once(names: list[str]) -> None:
    orders = [rotated(names, run) for run in range(len(names))]

    places = Counter((name, order.index(name)) for order in orders for name in names)
    assert set(places.values()) == {1}
    assert len(places) == len(names) ** 2


def test_work_begins_where_a_tool_says_so() -> None:
    connecting = "INF connecting to source database (postgres)"
    sling_said = [Line(0.4, "INF Sling CLI"), Line(0.5, connecting), Line(9.0, "INF execution succeeded")]
    dlt_said = [Line(1.0, "a warning"), Line(9.0, '{"extract": 1.5, "normalize": 0.25, "load": 2.0}')]

    assert seconds_at_work("Sling", sling_said) == 8.5
    assert seconds_at_work("dlt pyarrow", dlt_said) == 3.75
    assert seconds_at_work("Sling", dlt_said) is None
    assert seconds_at_work("dlt pyarrow", sling_said) is None
