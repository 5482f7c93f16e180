"""What a command needs to know of a pipeline, wherever it runs: as the embedded stack, or in an AWS account.

Invariant: only what both have is here; what one alone has (processes, a state folder; secrets) is asked of it by who
knows that it is that one. A DSN may have to be read from a secret first, so asking for one may raise PipelineError.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol


class Installation(Protocol):
    """Names and places of one pipeline, and clients of the AWS it runs on."""

    @property
    def prefix(self) -> str:
        """What the names of its resources begin with: totes, totes-prod."""

    @property
    def buckets(self) -> Mapping[str, str]:
        """Name in the topology (archive, processed, control) -> the bucket's name."""

    @property
    def queues(self) -> Mapping[str, str]:
        """Name in the topology (changes, loads) -> URL."""

    @property
    def dead_letter_queues(self) -> Mapping[str, str]:
        """Name of the queue in the topology -> URL of its dead-letter queue."""

    @property
    def source_dsn(self) -> str:
        """The login the poller reads with."""

    @property
    def warehouse_dsn(self) -> str:
        """The login the loader writes with."""

    @property
    def warehouse_owner_dsn(self) -> str:
        """The login that a schema is made with; the loader's own where no other is known."""

    @property
    def loader_role(self) -> str | None:
        """Who is granted to load a new schema, None where its owner loads."""

    @property
    def analyst_role(self) -> str | None:
        """Who is granted to read it, None where that is left to its owner."""

    @property
    def warehouse_schema(self) -> str:
        """Schema of the star tables."""

    @property
    def time_zone(self) -> str:
        """Zone of the source's timestamps."""

    @property
    def running_since(self) -> datetime:
        """From when on something is expected of it."""

    def log_of(self, function: str, /) -> str:
        """Where the log of a function is read."""

    def client(self, service: str, /) -> Any:
        """A boto3 client of its AWS."""
