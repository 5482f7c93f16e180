"""What `make dashboard` is told: by its options, else by variables, else by a `.env` file, else the default.

Invariant: names that the pipeline shares keep the pipeline's variable (TOTES_WAREHOUSE_SCHEMA, TOTES_STATE_DIR).
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from services.ops.options import Options, UpOptions


class DashboardOptions(Options):
    """One run of Superset in the foreground."""

    analyst_dsn: str | None = Field(
        None, description="DSN of the warehouse, of a login that may read; without one, the embedded warehouse."
    )
    warehouse_schema: str = UpOptions.model_fields["warehouse_schema"].default
    state_dir: Path = UpOptions.model_fields["state_dir"].default
    dashboard_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="TCP port on this machine; without one, 8088, or any free one if that is taken."
    )
    superset_dir: Path = Field(Path("build/superset"), description="Environment that Superset is installed in.")

    @property
    def home(self) -> Path:
        """Where Superset keeps what is its own: its database, its password and key, its log."""
        return self.state_dir.absolute() / "superset"
