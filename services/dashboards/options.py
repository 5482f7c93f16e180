"""What `make dashboard` is told: by its options, else by variables, else by a `.env` file, else the default.

Invariant: names that the pipeline shares keep the pipeline's variable (TOTES_WAREHOUSE_SCHEMA, TOTES_STATE_DIR).
"""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.ops.options import UpOptions, in_words
from shared.errors import ConfigurationError
from shared.settings import ENV_PREFIX


class DashboardOptions(BaseSettings):
    """One run of Superset in the foreground."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    analyst_dsn: str | None = Field(
        None, description="DSN of the warehouse, of a login that may read; without one, the embedded warehouse."
    )
    warehouse_schema: str = UpOptions.model_fields["warehouse_schema"].default
    state_dir: Path = UpOptions.model_fields["state_dir"].default
    dashboard_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="TCP port on this machine; without one, 8088, or any free one if that is taken."
    )
    superset_dir: Path = Field(Path("build/superset"), description="Environment that Superset is installed in.")

    @classmethod
    def of(cls, **given: Any) -> Self:
        """The options given, completed by variables, `.env` and defaults. Raises ConfigurationError in one sentence."""
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise ConfigurationError(in_words(error)) from error

    @property
    def home(self) -> Path:
        """Where Superset keeps what is its own: its database, its password and key, its log."""
        return self.state_dir.absolute() / "superset"
