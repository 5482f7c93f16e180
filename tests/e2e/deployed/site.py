"""One deployment on an emulated account: two Postgres servers, the account, Terraform's own work, and life in totesys.

Everything that AWS would hold is made by `terraform apply` of the project's configuration, from the packages that
`make package` builds; the databases, which it does not make, are the embedded ones.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pg8000.native import Connection

from contracts.star import STAR_TABLES
from services.loader.migrate import migrate
from services.local import postgres
from services.local.description import REGION
from services.local.postgres import PostgresServer
from services.local.simulator import Simulator, SimulatorOptions
from services.local.simulator.simulator import utc_now
from tests.conftest import open_connection
from tests.e2e import oracle
from tests.e2e.command import PAUSE_SECONDS, pause_after
from tests.e2e.deployed.account import RecordingEmulator
from tests.e2e.deployed.terraform import Terraform

ENVIRONMENT = "e2e"
SCHEMA = "warehouse"
SIMULATOR = SimulatorOptions(seed=5, orders=150, changes_per_second=4.0)
REPOSITORY = "terrific-totes/totes"
STATE_KEY = f"totes/{ENVIRONMENT}.tfstate"
PATIENCE_SECONDS = 240


@dataclass
class Site:
    """What a test needs of it."""

    folder: Path
    emulator: RecordingEmulator
    warehouse_server: PostgresServer
    source_dsn: str
    warehouse_dsn: str
    bootstrap: Terraform
    root: Terraform
    simulator: Simulator

    @cached_property
    def stack(self) -> dict[str, Any]:
        """What the deployment says of itself, asked once: waits look it up many times."""
        return dict(self.root.outputs()["stack"])

    def client(self, service: str) -> Any:
        return self.emulator.client(service)

    def source(self) -> Connection:
        return open_connection(self.source_dsn)

    def warehouse(self) -> Connection:
        return open_connection(self.warehouse_dsn)

    def until(self, what: str, holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until something holds; the seconds it took."""
        began = looked = time.monotonic()
        while not holds():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"not within {seconds} s: {what}\n{self.log()}")
            time.sleep(pause_after(time.monotonic() - looked))
            looked = time.monotonic()
        return time.monotonic() - began

    def log(self) -> str:
        """What the account and its functions said last."""
        return self.emulator.log.read_text(errors="replace")[-6000:]

    @contextmanager
    def living(self) -> Iterator[None]:
        """Orders come in, are amended, paid and deleted, for as long as this lasts."""
        stop = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            life = pool.submit(self.simulator.run, stop)
            try:
                yield
            finally:
                stop.set()
                life.result()

    def differing(self) -> list[str]:
        """Star tables that are not what an oracle computes from the source; dimensions may keep what facts needed."""
        with self.source() as source, self.warehouse() as warehouse:
            return [
                model.table
                for model in STAR_TABLES
                if not _agree(
                    model.table,
                    oracle.expected(source, model.table),
                    oracle.found(warehouse, SCHEMA, model.table),
                )
            ]


@contextmanager
def deployed(folder: Path, packages: Path, progress: Callable[[str], None]) -> Iterator[Site]:
    """All of it running; nothing of it runs afterwards."""
    with ExitStack() as stack:
        emulator = RecordingEmulator(folder / "aws")
        source, warehouse = (PostgresServer(folder / name) for name in ("source", "warehouse"))
        for part in (emulator, source, warehouse):
            stack.callback(part.stop)
            part.start()
        owner = postgres.prepare_source(source, "UTC")
        postgres.prepare_warehouse(warehouse)
        warehouse_owner, loader = (
            warehouse.dsn(role, postgres.WAREHOUSE_DATABASE) for role in (postgres.OWNER, postgres.LOADER)
        )
        migrate(warehouse_owner, SCHEMA, loader_role=postgres.LOADER, analyst_role=postgres.ANALYST)
        simulator = Simulator(owner, SIMULATOR, now=utc_now, sleep=time.sleep)
        simulator.seed_if_empty()
        bootstrap = prepared(folder, emulator.endpoint_url)
        with ThreadPoolExecutor(1) as pool:
            progress("terraform apply of the bootstrap, and of the pipeline as soon as the state has its bucket")
            began = pool.submit(bootstrap.apply)
            root = applied(folder, emulator.endpoint_url, state_bucket(emulator, began.done), packages)
            began.result()
        site = Site(folder, emulator, warehouse, owner, loader, bootstrap, root, simulator)
        tell_secrets(site, source.dsn(postgres.READER, postgres.SOURCE_DATABASE))
        yield site


def prepared(folder: Path, endpoint_url: str) -> Terraform:
    """The module that makes the bucket for Terraform's state, and what GitHub may do; not applied yet."""
    variables = {"region": REGION, "environment": ENVIRONMENT, "github_repository": REPOSITORY}
    bootstrap = Terraform.copied("bootstrap", folder, endpoint_url, variables, REGION)
    bootstrap.init()
    return bootstrap


def state_bucket(emulator: RecordingEmulator, ended: Callable[[], bool]) -> str:
    """The first bucket there is: Terraform goes on waiting for a minute for its lifecycle to be known everywhere."""
    s3 = emulator.client("s3")
    while not (found := s3.list_buckets()["Buckets"]) and not ended():
        time.sleep(PAUSE_SECONDS)
    return str(found[0]["Name"])


def applied(folder: Path, endpoint_url: str, state: str, packages: Path) -> Terraform:
    """The pipeline itself."""
    variables = {
        "environment": ENVIRONMENT,
        "region": REGION,
        "packages_dir": str(packages),
        "poll_interval_seconds": 1,
        "delete_data": True,
        "alarm_emails": {"critical": ["night@example.com"], "warning": ["day@example.com"], "every": []},
    }
    root = Terraform.copied(".", folder, endpoint_url, variables, REGION)
    root.init(bucket=state, key=STATE_KEY, region=REGION, use_path_style="true", skip_credentials_validation="true")
    root.apply()
    return root


def tell_secrets(site: Site, reader_dsn: str) -> None:
    """What docs/deploy.md asks an operator to do by hand: no value passes through Terraform."""
    secrets, named = site.client("secretsmanager"), site.stack["secrets"]
    secrets.put_secret_value(SecretId=named["source"], SecretString=reader_dsn)
    secrets.put_secret_value(SecretId=named["warehouse"], SecretString=site.warehouse_dsn)


def _agree(table: str, expected: list[oracle.Row], found: list[oracle.Row]) -> bool:
    return expected == found if table.startswith("fact_") else set(expected) <= set(found)
