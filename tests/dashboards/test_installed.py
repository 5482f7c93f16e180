"""What surrounds Superset's processes: ports, secrets, and sentences where something is missing."""

import socket
from pathlib import Path

import pytest

from services.dashboards.installed import HOST, Superset, free_port
from services.dashboards.warehouse import Warehouse
from shared.errors import ConfigurationError
from shared.postgres import Dsn

WAREHOUSE = Warehouse(Dsn.parse("postgresql://analyst@localhost/warehouse"), "warehouse")


def test_a_port_that_is_taken_is_refused_in_a_sentence() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigurationError, match=f"Expected port {port} of 127.0.0.1 to be free"):
            free_port(port)


def test_without_a_wanted_port_any_free_one_does() -> None:
    assert free_port(None) > 0


def test_superset_that_is_not_installed_is_missed_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"found none: install it with `make dashboard`"):
        Superset.installed(tmp_path, tmp_path / "home", WAREHOUSE)


def test_the_password_is_random_kept_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    first, second = (Superset(Path("python"), home, WAREHOUSE) for home in (tmp_path, _made(tmp_path / "other")))

    assert first.password == first.password != second.password
    assert len(first.password) >= 40
    assert (tmp_path / "password").stat().st_mode & 0o777 == 0o600


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
