"""What the command's modules share: options made from settings, and what an exit code means.

Invariant: an option is documented by the setting it overrides; importing this imports nothing that takes long.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from services.ops.options import described

NOT_FIT, USAGE, UNREACHABLE, OUR_MISTAKE, INTERRUPTED = 1, 2, 3, 70, 130


def option(field: str, *names: str, metavar: str | None = None) -> Any:
    """An option that overrides a setting and is documented by it."""
    return typer.Option(*names, help=described(field), metavar=metavar, show_default=False)


StateDir = Annotated[Path | None, option("state_dir", "--state-dir", metavar="FOLDER")]
Schema = Annotated[str | None, option("warehouse_schema", "--schema", metavar="NAME")]
WarehouseDsn = Annotated[str | None, option("warehouse_dsn", "--warehouse", metavar="DSN")]
