"""What the command's modules share: options made from settings, and what an exit code means.

Invariant: an option is documented by the setting it overrides; importing this imports nothing that takes long.
"""

from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.options import described
from shared.errors import ConfigurationError

NOT_FIT, USAGE, UNREACHABLE, OUR_MISTAKE, INTERRUPTED = 1, 2, 3, 70, 130


def option(field: str, *names: str, metavar: str | None = None) -> Any:
    """An option that overrides a setting and is documented by it."""
    return typer.Option(*names, help=described(field), metavar=metavar, show_default=False)


StateDir = Annotated[Path | None, option("state_dir", "--state-dir", metavar="FOLDER")]
Schema = Annotated[str | None, option("warehouse_schema", "--schema", metavar="NAME")]
WarehouseDsn = Annotated[str | None, option("warehouse_dsn", "--warehouse", metavar="DSN")]

_environment: ContextVar[str | None] = ContextVar("environment", default=None)


def choose_environment(name: str | None) -> None:
    """All that the command does is about that deployment in AWS; without one, about the embedded stack."""
    _environment.set(name or None)


def environment() -> str | None:
    """The deployment that was chosen."""
    return _environment.get()


def only_here(command: str, instead: str) -> None:
    """Raises ConfigurationError where a command of this machine is asked to do it elsewhere."""
    if named := environment():
        raise ConfigurationError(f"`totes {command}` is for this machine, not for {named!r}: {instead}.")
