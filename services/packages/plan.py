"""Decide which distributions go into which package. Pure.

Invariant: a function finds all that it needs in its package and its layers, and nothing of it in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.local.topology import Topology
from services.packages.distributions import Distribution, closure

LAYER_ROOT = "python/"
"""Where in a layer Lambda looks for packages."""
MEGABYTE = 1_000_000
LARGEST_UNZIPPED_BYTES = 225 * MEGABYTE
"""Of a function with its layers; Lambda refuses 250 MB (262,144,000 bytes), the rest is room for the next release."""
LARGEST_ZIPPED_BYTES = {"poller": 20 * MEGABYTE}
"""The poller's start is in the way of every minute's first poll, and it needs none of what is large."""


@dataclass(frozen=True)
class Package:
    """One zip: a function's, named as it, or a layer's."""

    name: str
    distributions: frozenset[str]
    function: str | None = None
    layers: tuple[str, ...] = ()
    """The names of the packages of the function's layers."""

    @property
    def file(self) -> str:
        """The zip's name."""
        return f"{self.name}.zip"

    @property
    def root(self) -> str:
        """What stands before every name in the zip."""
        return "" if self.function else LAYER_ROOT


def plan(topology: Topology, locked: Mapping[str, Distribution]) -> tuple[Package, ...]:
    """All packages, layers first. Raises ConfigurationError if a requirement is not locked."""
    layers = {name: closure(layer.requirements, locked) for name, layer in topology.layers.items()}
    functions = topology.functions.items()
    return (
        *(Package(layer_name(name), held) for name, held in layers.items()),
        *(
            Package(
                name,
                closure(function.requirements, locked).difference(*(layers[layer] for layer in function.layers)),
                function=name,
                layers=tuple(map(layer_name, function.layers)),
            )
            for name, function in functions
        ),
    )


def layer_name(layer: str) -> str:
    """Of a layer's package."""
    return f"layer-{layer}"


def too_large(package: Package, zipped: Mapping[str, int], unzipped: Mapping[str, int]) -> str | None:
    """The sentence on a package that breaks a limit; sizes in bytes by the packages' names."""
    together = sum(unzipped[name] for name in (package.name, *package.layers))
    if package.function and together >= LARGEST_UNZIPPED_BYTES:
        return (
            f"Expected {package.name} and its layers below {LARGEST_UNZIPPED_BYTES:,} bytes unzipped, found "
            f"{together:,}: leave a requirement out in topology.yaml or slim it in services/packages/slim.py."
        )
    limit = LARGEST_ZIPPED_BYTES.get(package.name)
    if limit is not None and zipped[package.name] >= limit:
        return (
            f"Expected {package.file} below {limit:,} bytes, found {zipped[package.name]:,}: "
            "leave a requirement out in topology.yaml or slim it in services/packages/slim.py."
        )
    return None
