"""What `totes up` is told: by its options, else by environment variables, else by a `.env` file, else the default here.

Invariant: an option, its variable, its unit and its default are written once, as a field; `--help` is made from it.
Names that the functions share keep the functions' variable (TOTES_WAREHOUSE_SCHEMA, TOTES_TIME_ZONE, …).
"""

from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import ConfigurationError
from shared.settings import ENV_PREFIX

SIMULATE_CHANGES_PER_SECOND = 5.0
"""Enough to see every feed move within a minute, little enough for two cores."""

Seconds = Annotated[float, Field(gt=0)]


class Options(BaseSettings):
    """What a command is told, wherever it is written."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    @classmethod
    def of(cls, **given: Any) -> Self:
        """The options given, completed by variables, `.env` and defaults. Raises ConfigurationError in one sentence."""
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise ConfigurationError(in_words(error)) from error


class UpOptions(Options):
    """One run of the pipeline in the foreground."""

    source_dsn: str | None = Field(
        None, description="DSN of the source, postgresql://user@host:port/database; without one, an embedded totesys."
    )
    warehouse_dsn: str | None = Field(
        None, description="DSN of the warehouse, of a login that may create; without one, an embedded Postgres."
    )
    warehouse_schema: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        "warehouse", description="Schema of the star tables in the warehouse."
    )
    simulate: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="Changes a second that the simulator makes in the embedded totesys, "
        f"{SIMULATE_CHANGES_PER_SECOND:g} unless told; 0 makes none.",
    )
    poll_interval_seconds: Seconds = Field(0.5, description="Pause between the starts of two polls, in seconds.")
    reconcile_interval_seconds: Seconds = Field(
        300.0, description="Pause between two reconciliations of source and warehouse, in seconds."
    )
    seconds: Annotated[float, Field(ge=0)] = Field(
        0.0, description="How long to run before draining and ending, in seconds; 0 runs until Ctrl-C."
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="TCP port of the emulated AWS on this machine; without one, any free port."
    )
    orders: Annotated[int, Field(ge=0)] = Field(1000, description="Orders a new embedded totesys is seeded with.")
    seed: int = Field(1, description="Seed of the simulator's randomness: the same seed makes the same rows.")
    time_zone: str = Field("UTC", description="IANA zone in which the source's timestamps without zone are meant.")
    state_dir: Path = Field(
        Path(".totes"), description="Folder that keeps the stack between runs: databases, buckets, logs."
    )

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise ValueError(f"expected an IANA time zone such as Europe/London, found {name!r}") from exc
        return name

    @model_validator(mode="after")
    def _only_an_embedded_source_is_simulated(self) -> Self:
        if self.source_dsn and self.simulate:
            raise ValueError("nothing is simulated in a source that is named: leave out --simulate or --source")
        return self

    @property
    def changes_per_second(self) -> float:
        """What the simulator is asked for: nothing where the source is somebody else's."""
        if self.source_dsn:
            return 0.0
        return SIMULATE_CHANGES_PER_SECOND if self.simulate is None else self.simulate


def described(name: str) -> str:
    """A field's help: what it is, its variable and its default."""
    field = UpOptions.model_fields[name]
    value = f"{field.default:g}" if isinstance(field.default, float) else field.default
    default = "" if value is None else f"; default {value}"
    return f"{field.description} ({ENV_PREFIX}{name.upper()}{default})"


def in_words(error: ValidationError) -> str:
    """Every offending field with what was found; a DSN's value is never repeated, it may hold a password."""
    sentences = []
    for problem in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in problem["loc"])
        reason = problem["msg"].removeprefix("Value error, ")
        shown = "" if not name or name.endswith("_dsn") else f" (found {problem['input']!r})"
        sentences.append(f"{ENV_PREFIX}{name.upper()}: {reason}{shown}" if name else reason)
    return "; ".join(sentences) + "."
