"""The shop of shop.py, opened once in a warehouse of its own: questions only read."""

from collections.abc import Iterator

import pytest

from services.insight.ask import Answer, ask
from services.insight.catalogue import questions
from services.insight.values import values_of
from services.ops.moments import parse
from tests.conftest import Databases
from tests.insight.shop import NOW, open_shop
from tests.loader.conftest import ANALYST, Star, roles, star, star_template

__all__ = ["roles", "star", "star_template"]


@pytest.fixture(scope="session")
def shop(star_template: str, databases: Databases) -> Iterator[Star]:
    found = Star(databases.server.dsn(databases.make("shop", star_template)))
    open_shop(found)
    yield found
    found.close()


def asked(of: Star, question: str, /, **typed: str) -> Answer:
    """A question's answer at the shop's now, asked by an analyst, who may only read."""
    chosen = questions()[question]
    return ask(of.dsn(ANALYST), of.schema, chosen, values_of(chosen, typed, now=NOW, read_moment=parse))
