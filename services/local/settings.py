"""The settings as the command reads them: environment variables, else a `.env` file in the current folder."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import ENV_PREFIX, Settings


class CommandSettings(BaseSettings, Settings):
    """The functions' settings, for what the command composes itself. Raises ValidationError."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore")
