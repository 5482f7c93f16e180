"""A start is measured in a process of its own, beside its libraries alone; each function has both."""

import pytest

from services.local.topology import topology
from services.ops.bench import starts
from services.ops.bench.starts import Start
from shared.errors import PipelineError


@pytest.mark.parametrize("name", topology().functions)
def test_every_function_builds_its_adapters_in_a_clean_interpreter(name: str):
    found = starts.started(starts.of_function(topology().functions[name]))

    assert found.seconds > 0
    assert found.cpu > 0


def test_the_floor_is_the_libraries_and_the_clients_that_the_function_has():
    loader, poller = (starts.of_its_libraries(name, topology().functions[name]) for name in ("loader", "poller"))
    clients = "boto3.client('s3')\nboto3.client('secretsmanager')\nboto3.client('sqs')"

    assert poller == f"import boto3\n{clients}"
    assert loader == f"import boto3\nimport fastparquet\n{clients}"
    starts.started(poller)


def test_a_start_that_fails_says_why():
    with pytest.raises(PipelineError, match="No module named 'nowhere'"):
        starts.started("import nowhere")


def test_a_start_finds_no_site_and_nothing_of_this_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOTES_PAGE_ROWS", "77")

    starts.started("import os\nassert 'site' not in sys.modules\nassert 'TOTES_PAGE_ROWS' not in os.environ")


def test_the_poller_has_a_target_of_its_own_and_the_median_is_held_against_it():
    slow, fast = [Start(0.5, 0.3), Start(0.4, 0.2), Start(0.6, 0.4)], [Start(0.25, 0.1)]

    found = list(starts.figures_of({"poller": slow, "loader": slow}, {"poller": fast, "loader": fast}))

    assert [(figure.name, figure.value, figure.met, figure.ratio) for figure in found] == [
        ("start of the poller", 0.5, False, 2.0),
        ("start of the poller, processor", 0.3, None, pytest.approx(3.0)),
        ("start of the loader", 0.5, True, 2.0),
        ("start of the loader, processor", 0.3, None, pytest.approx(3.0)),
    ]
