"""One server, one pair of databases a test process; a site is as empty as its test begins."""

from collections.abc import Iterator

import pytest

from tests.attack.site import Databases
from tests.attack.trial import Ground
from tests.conftest import Server


@pytest.fixture(scope="session")
def ground(server: Server) -> Iterator[Ground]:
    made = Ground(Databases.make(server))
    yield made
    made.close()
