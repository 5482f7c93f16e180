"""Settings of the functions and the command; a function's come from its environment variables.

Each has its unit in its name and its default here; nothing else reads the environment. The AWS SDK's own variables
(AWS_REGION, AWS_ENDPOINT_URL, credentials) are left to the SDK. The command reads a `.env` file too, by
pydantic-settings (services/local/settings.py); a function has none, and would pay for that import at each cold start.
"""

import os
from typing import Annotated, Self

from pydantic import BaseModel, Field

ENV_PREFIX = "TOTES_"
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseModel):
    """What a function needs beside its event."""

    archive_bucket: str = Field("", description="Bucket of the raw rows as the source gave them.")
    processed_bucket: str = Field("", description="Bucket of the star-schema Parquet and of the quarantine.")
    control_bucket: str = Field("", description="Bucket of the poller's checkpoint.")
    changes_queue_url: str = Field("", description="URL of the queue of change batches.")
    loads_queue_url: str = Field("", description="URL of the queue of load batches.")
    dead_letter_queue_url: str = Field("", description="URL of the dead-letter queue of the function's own queue.")

    source_secret: str = Field("totes/source", description="Name of the secret that holds the source's DSN.")
    warehouse_secret: str = Field("totes/warehouse", description="Name of the secret that holds the warehouse's DSN.")
    warehouse_schema: str = Field("warehouse", description="Schema of the star tables in the warehouse.")
    source_schema: str = Field("public", description="Schema of the source's tables.")
    time_zone: str = Field("UTC", description="IANA zone in which the source's timestamps without zone are meant.")

    poll_interval_seconds: Seconds = Field(5.0, description="Pause between the starts of two polls, in seconds.")
    poll_lifetime_seconds: Seconds = Field(
        50.0, description="How long one invocation of the poller goes on polling, in seconds."
    )
    lease_seconds: Seconds = Field(
        15.0, description="How long a poller counts as alive after its last sign of life, in seconds."
    )
    heartbeat_seconds: Seconds = Field(
        60.0, description="Pause between two heartbeats of the poller, by which an idle pipeline is known, in seconds."
    )
    margin_seconds: Seconds = Field(
        60.0, description="How far a poll reads back beyond what it must, against clocks that step, in seconds."
    )
    page_rows: Annotated[int, Field(ge=1)] = Field(
        50_000, description="Rows in one object and one message at most; wide rows make a page of 8 MiB of text."
    )
    pages_per_turn: Annotated[int, Field(ge=1)] = Field(
        4, description="Full pages one feed may read before the other feeds have their turn."
    )
    scan_interval_seconds: Seconds = Field(1.0, description="Least pause between two scans of a feed, in seconds.")
    scan_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="Largest share of time a feed's scans may take of the source."
    )
    scan_max_rows: Annotated[int, Field(ge=0)] = Field(
        1_000_000, description="Estimated rows above which a feed is never scanned (the reconciler covers it)."
    )
    settle_seconds: Annotated[float, Field(ge=0)] = Field(
        5.0, description="How long the reconciler waits before a difference counts, in seconds: it may be in flight."
    )
    reconcile_budget_seconds: Seconds = Field(
        60.0, description="How long one scheduled run of the reconciler compares, in seconds; the next one goes on."
    )
    reconcile_range_rows: Annotated[int, Field(ge=1)] = Field(
        100_000, description="Rows the reconciler compares in one source snapshot."
    )
    compact_budget_seconds: Seconds = Field(
        480.0, description="How long one scheduled run of the compactor begins files, in seconds; the next one goes on."
    )
    inferred_seconds: Seconds = Field(
        900.0, description="How long a dimension's member may stay inferred before it is told, in seconds."
    )
    statement_timeout_seconds: Seconds = Field(120.0, description="Longest statement on either database, in seconds.")
    lock_timeout_seconds: Seconds = Field(2.0, description="Longest wait for a lock on a source table, in seconds.")
    warehouse_lock_timeout_seconds: Seconds = Field(
        60.0, description="Longest wait for a lock in the warehouse, in seconds."
    )
    compression_level: Annotated[int, Field(ge=0, le=3)] = Field(1, description="igzip level of archive objects.")
    log_level: str = Field("INFO", description="Least level that is logged.")

    @classmethod
    def from_environment(cls) -> Self:
        """Each from the variable of its name in capitals behind TOTES_, else its default. Raises ValidationError."""
        variables = {name: f"{ENV_PREFIX}{name.upper()}" for name in cls.model_fields}
        return cls.model_validate(
            {name: os.environ[variable] for name, variable in variables.items() if variable in os.environ}
        )
