"""Distributions as they would be installed, without installing any."""

from packaging.tags import parse_tag

from services.packages.distributions import Distribution


def distribution(name: str, *requires: str, wheel: str = "py3-none-any") -> Distribution:
    return Distribution(name, "1.0", frozenset(requires), frozenset(parse_tag(wheel)), files={})


def locked(*found: Distribution) -> dict[str, Distribution]:
    return {each.name: each for each in found}
