"""Which distributions go where, and what is too large."""

import pytest

from services.local.topology import Topology, topology
from services.packages.plan import Package, plan, too_large
from shared.errors import ConfigurationError
from tests.packages.installed import distribution, locked

LOCKED = locked(
    distribution("numpy"),
    distribution("pandas", "numpy", "python-dateutil"),
    distribution("python-dateutil", "six"),
    distribution("six"),
    distribution("boto3", "python-dateutil", "urllib3"),
    distribution("urllib3"),
)


def described(**functions: dict[str, list[str]]) -> Topology:
    """The topology with one layer, and of its functions only those named, each with layers and requirements."""
    whole = topology()
    layer = whole.layers["parquet"].model_copy(update={"requirements": ("pandas",)})
    changed = {name: whole.functions[name].model_copy(update=parts) for name, parts in functions.items()}
    return whole.model_copy(update={"layers": {"parquet": layer}, "functions": changed})


def test_a_layer_holds_its_requirements_with_all_that_they_need():
    (layer,) = plan(described(), LOCKED)

    assert (layer.file, layer.root) == ("layer-parquet.zip", "python/")
    assert layer.distributions == {"pandas", "numpy", "python-dateutil", "six"}


def test_a_function_holds_what_its_layers_do_not():
    _, loader, poller = plan(
        described(
            loader={"layers": ["parquet"], "requirements": ["boto3"]},
            poller={"layers": [], "requirements": ["boto3"]},
        ),
        LOCKED,
    )

    assert loader.distributions == {"boto3", "urllib3"}
    assert loader.layers == ("layer-parquet",)
    assert poller.distributions == {"boto3", "urllib3", "python-dateutil", "six"}


def test_a_requirement_that_is_not_locked_is_refused():
    with pytest.raises(ConfigurationError, match="Expected pyarrow in requirements"):
        plan(described(poller={"layers": [], "requirements": ["pyarrow"]}), LOCKED)


@pytest.mark.parametrize(
    ("name", "layer", "unzipped", "zipped", "sentence"),
    [
        ("loader", 200_000_000, 24_999_999, 90_000_000, None),
        ("loader", 200_000_000, 25_000_000, 1, "loader and its layers below 225,000,000 bytes unzipped, found 225,000"),
        ("poller", 0, 1, 19_999_999, None),
        ("poller", 0, 1, 20_000_000, "Expected poller.zip below 20,000,000 bytes, found 20,000,000"),
    ],
)
def test_a_package_that_is_too_large_is_told_in_a_sentence(
    name: str, layer: int, unzipped: int, zipped: int, sentence: str | None
):
    package = Package(name, frozenset(), function=name, layers=("layer-parquet",))

    found = too_large(package, {name: zipped}, {name: unzipped, "layer-parquet": layer})

    assert found is None if sentence is None else sentence in str(found)


def test_a_layer_may_be_as_large_as_its_functions_allow():
    assert too_large(Package("layer-parquet", frozenset()), {}, {"layer-parquet": 300_000_000}) is None
