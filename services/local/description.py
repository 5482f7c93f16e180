"""What one running stack is, for whoever wants to look at it: `totes status` in another terminal, the simulator, tests.

Invariant: the file is there only while the stack is ready, is replaced in one step, and is readable by its owner alone,
because DSNs may hold passwords. Writing it again replaces it.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from pydantic import BaseModel, ConfigDict, ValidationError

from services.local.processes import Process
from shared.errors import ConfigurationError

FILE = "running.json"
REGION = "eu-west-2"
"""Of the emulated account; nothing leaves this machine."""
CREDENTIALS = "test"
"""What the emulator takes for key and secret."""


class StackDescription(BaseModel):
    """Processes, places and names of one running stack."""

    model_config = ConfigDict(frozen=True)

    up: Process
    children: tuple[Process, ...]
    state_dir: Path
    endpoint_url: str
    region: str
    buckets: Mapping[str, str]
    """Name in the topology (archive, processed, control) -> the bucket's name."""
    queues: Mapping[str, str]
    """Name in the topology (changes, loads) -> URL."""
    dead_letter_queues: Mapping[str, str]
    """Name of the queue in the topology -> URL of its dead-letter queue."""
    source_dsn: str
    """The login the poller reads with."""
    source_owner_dsn: str | None
    """The login the simulator writes with; None where the source is somebody else's."""
    warehouse_dsn: str
    """The login the loader writes with."""
    warehouse_owner_dsn: str
    """The login that may create a schema; the loader's own where the warehouse is somebody else's."""
    loader_role: str | None
    """Who is granted to load a new schema, None where its owner loads."""
    analyst_role: str | None
    """Who is granted to read it, None where that is left to its owner."""
    warehouse_schema: str
    time_zone: str

    @property
    def prefix(self) -> str:
        """What the names of its resources begin with: nothing but the topology's, there is no environment."""
        from services.local.topology import topology  # a tenth of a second, which most commands need not wait

        return topology().prefix

    @property
    def running_since(self) -> datetime:
        """When `totes up` began."""
        return datetime.fromtimestamp(self.up.started, UTC)

    def log_of(self, _function: str) -> str:
        """All functions of the emulated AWS have one log."""
        return f"aws.log in {self.state_dir}"

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's AWS."""
        return client(service, self.endpoint_url)

    def write(self, root: Path) -> None:
        """Publish under the root of all stacks."""
        unfinished = root / f"{FILE}.new"
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.model_dump_json(indent=2))
        unfinished.rename(root / FILE)


def read_description(root: Path) -> StackDescription:
    """The stack that runs under this root. Raises ConfigurationError if none does."""
    missing = f"Expected a running stack in {root} and found none: start one with `totes up`."
    try:
        description = StackDescription.model_validate_json((root / FILE).read_bytes())
    except FileNotFoundError as exc:
        raise ConfigurationError(missing) from exc
    except (OSError, ValidationError) as exc:
        raise ConfigurationError(f"Expected to read {root / FILE}: {type(exc).__name__}. Run `totes down`.") from exc
    if description.up.running() is None:
        raise ConfigurationError(f"{missing[:-1]}, or clean up after the killed one with `totes down`.")
    return description


def client(service: str, endpoint_url: str) -> Any:
    """A boto3 client of an emulated AWS; no proxy and no profile of this machine has a say."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS,
        aws_secret_access_key=CREDENTIALS,
        config=Config(proxies={}, retries={"mode": "standard", "max_attempts": 3}, read_timeout=30),
    )
