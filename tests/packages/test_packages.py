"""The packages as they are built: twice the same, and each handler runs from its own alone, with real work to do.

A fresh interpreter sees the standard library, the unzipped package and its layers, and nothing else of this machine.
"""

import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from services.loader.migrate import migrate
from services.local.deploy import QUIET, Deployment, environment
from services.local.description import CREDENTIALS, REGION
from services.local.emulator import Emulator
from services.local.topology import topology
from services.packages.__main__ import main
from services.packages.alone import run, search_path, unzip
from services.packages.build import build
from services.packages.described import Description
from services.packages.platforms import ELF_MACHINES, elf_machine, local_platform
from shared.errors import ConfigurationError
from tests.conftest import Source, open_connection
from tests.packages import local

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packages")]

SCHEMA = "warehouse"
CONSUMERS = sorted(topology().event_source_mappings)
CALL = """
import importlib, json, sys, sysconfig
sys.path[:0] = paths = sys.argv[1].split(":")
class Context:
    function_name, memory_limit_in_mb, aws_request_id = "function", 512, "request"
    invoked_function_arn = "arn:aws:lambda:eu-west-2:000000000000:function:function"
    def get_remaining_time_in_millis(self):
        return 60_000
module, _, name = sys.argv[2].rpartition(".")
answer = getattr(importlib.import_module(module), name)(json.loads(sys.argv[3]), Context())
standard = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
files = {getattr(each, "__file__", None) for each in list(sys.modules.values())} - {None}
foreign = [file for file in files if not file.startswith((*paths, *standard)) or "-packages/" in file]
print(json.dumps({"answer": answer, "foreign": sorted(foreign)}, default=str))
"""


@dataclass(frozen=True)
class Unzipped:
    """What was built for this machine, and where it is unzipped as on Lambda."""

    made: Description
    zips: Path
    folder: Path

    def call(self, name: str, event: Mapping[str, Any], variables: Mapping[str, str]) -> Any:
        """The answer of a function's handler; raises ConfigurationError with its last words if it fails."""
        paths = os.pathsep.join(map(str, search_path(self.made, name, self.folder)))
        printed = run(CALL, paths, topology().functions[name].handler, json.dumps(event), environment=variables)
        told = json.loads(printed.splitlines()[-1])
        assert told["foreign"] == []
        return told["answer"]


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory: pytest.TempPathFactory) -> Unzipped:
    made, folder = local.built(), tmp_path_factory.mktemp("unzipped")
    unzip(local.FOLDER, made, folder)
    return Unzipped(made, local.FOLDER, folder)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    running = Emulator(tmp_path_factory.mktemp("aws") / "state")
    try:
        running.start()
        yield running
    finally:
        running.stop()


@dataclass(frozen=True)
class Stack:
    """Buckets and queues of an emulated AWS in which no function is deployed: the test calls them."""

    emulator: Emulator
    storage: Deployment

    def variables(self, name: str) -> dict[str, str]:
        """What a function is told, and where AWS is. Python's own time zones are hidden: Lambda has promised none."""
        chosen = {"poll_interval_seconds": "1", "time_zone": "Europe/London", "settle_seconds": "1"}
        place = {"AWS_ENDPOINT_URL": self.emulator.endpoint_url, "AWS_DEFAULT_REGION": REGION, "PYTHONTZPATH": ""}
        credentials = {"AWS_ACCESS_KEY_ID": CREDENTIALS, "AWS_SECRET_ACCESS_KEY": CREDENTIALS}
        told = environment(topology(), name, self.storage, chosen)
        return {**QUIET, **told, **place, **credentials, "TOTES_POLL_LIFETIME_SECONDS": "2"}

    def secret(self, name: str, dsn: str) -> None:
        self.emulator.client("secretsmanager").create_secret(Name=topology().secret_name(name), SecretString=dsn)

    def forget(self, name: str) -> None:
        secrets = self.emulator.client("secretsmanager")
        with suppress(secrets.exceptions.ResourceNotFoundException):
            secrets.delete_secret(SecretId=topology().secret_name(name), ForceDeleteWithoutRecovery=True)

    def event(self, queue: str) -> dict[str, Any]:
        """What Lambda would call a queue's consumer with now."""
        found = self.emulator.client("sqs").receive_message(
            QueueUrl=self.storage.queues[queue], MaxNumberOfMessages=10, AttributeNames=["All"]
        )
        records = [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "attributes": message["Attributes"],
                "body": message["Body"],
            }
            for message in found["Messages"]
        ]
        return {"Records": records}


@pytest.fixture
def stack(emulator: Emulator) -> Iterator[Stack]:
    s3, sqs = emulator.client("s3"), emulator.client("sqs")
    names = [topology().name(name) for name in topology().buckets]
    for name in names:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    urls = {
        name: sqs.create_queue(QueueName=name)["QueueUrl"]
        for queue in topology().queues
        for name in (topology().name(queue), topology().dead_letter_name(queue))
    }
    storage = Deployment(
        buckets={name: topology().name(name) for name in topology().buckets},
        queues={name: urls[topology().name(name)] for name in topology().queues},
        dead_letter_queues={name: urls[topology().dead_letter_name(name)] for name in topology().queues},
    )
    stack = Stack(emulator, storage)
    yield stack
    for name in topology().secrets:
        stack.forget(name)
    for url in urls.values():
        sqs.delete_queue(QueueUrl=url)
    for name in names:
        for found in s3.list_objects_v2(Bucket=name).get("Contents", []):
            s3.delete_object(Bucket=name, Key=found["Key"])
        s3.delete_bucket(Bucket=name)


@pytest.fixture
def warehouse(new_database: Callable[[str], str]) -> str:
    """A migrated warehouse's DSN."""
    dsn = new_database("star")
    migrate(dsn, SCHEMA, loader_role=None, analyst_role=None)
    return dsn


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that `make package` fills, and what it says."""
    folder = tmp_path_factory.mktemp("elsewhere") / "packages"
    with redirect_stdout(StringIO()) as said:
        assert main(["--folder", str(folder)]) == 0
    return folder, said.getvalue()


def test_the_same_input_gives_the_same_bytes_in_another_folder(unzipped: Unzipped, made: tuple[Path, str]):
    names = [each.file for each in unzipped.made.packages.values()]

    assert len(names) == len(topology().functions) + len(topology().layers)
    for name in names:
        assert (made[0] / "local" / name).read_bytes() == (unzipped.zips / name).read_bytes()


def test_what_was_made_for_lambda_is_described_beside_it(made: tuple[Path, str]):
    folder, said = made
    described = json.loads((folder / "lambda" / "packages.json").read_text())

    assert (described["machine"], described["python"]) == ("aarch64", topology().platform.python_version)
    assert described["bytecode"] == ("with bytecode" in said)
    for name, told in described["packages"].items():
        content = (folder / "lambda" / told["file"]).read_bytes()
        assert (sha256(content).hexdigest(), len(content)) == (told["sha256"], told["zipped_bytes"])
        assert told["file"] in said
        assert (told["import_seconds"] is None) == name.startswith("layer-")


def test_every_library_made_for_lambda_is_for_its_machine(made: tuple[Path, str], tmp_path: Path):
    machines = set()
    for path in (made[0] / "lambda").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            libraries = [name for name in archive.namelist() if ".so" in name]
            machines |= {elf_machine(Path(archive.extract(name, tmp_path))) for name in libraries}

    assert machines == {ELF_MACHINES["aarch64"]}


def test_what_is_there_already_is_not_built_again_unless_somebody_changed_it(unzipped: Unzipped):
    before = {path.name: path.stat().st_ino for path in unzipped.zips.iterdir()}

    assert build(topology(), local_platform(), unzipped.zips) == unzipped.made
    assert {path.name: path.stat().st_ino for path in unzipped.zips.iterdir()} == before


def test_a_package_says_where_it_was_built_nowhere(unzipped: Unzipped):
    for each in unzipped.made.packages.values():
        with zipfile.ZipFile(unzipped.zips / each.file) as archive:
            assert not any(str(unzipped.zips.parent).encode() in archive.read(name) for name in archive.namelist())


def test_every_distribution_in_a_package_keeps_its_metadata_and_licence(unzipped: Unzipped):
    for each in unzipped.made.packages.values():
        with zipfile.ZipFile(unzipped.zips / each.file) as archive:
            names = archive.namelist()
        metadata = [name for name in names if name.endswith(".dist-info/METADATA")]
        licences = [name for name in names if ".dist-info/" in name and "LICEN" in name.upper()]
        assert len(metadata) == len(each.distributions)
        assert {name.split(".dist-info")[0] for name in licences} == {name.split(".dist-info")[0] for name in metadata}


@pytest.mark.parametrize("name", CONSUMERS)
def test_a_consumer_answers_from_its_package_alone(unzipped: Unzipped, stack: Stack, name: str):
    assert unzipped.call(name, {"Records": []}, stack.variables(name)) == {"batchItemFailures": []}


def test_a_poller_without_its_secret_says_which_one_it_misses(unzipped: Unzipped, stack: Stack):
    with pytest.raises(ConfigurationError, match="Expected a secret named 'totes/source' in Secrets Manager"):
        unzipped.call("poller", {}, stack.variables("poller"))


def test_a_row_goes_from_the_source_to_the_warehouse_through_packages_alone(
    unzipped: Unzipped, stack: Stack, totesys: Source, warehouse: str
):
    stack.secret("source", totesys.reader_dsn)
    stack.secret("warehouse", warehouse)
    with totesys.connect() as connection:
        connection.run("INSERT INTO currency (currency_code) VALUES ('GBP')")

    polled = unzipped.call("poller", {}, stack.variables("poller"))
    transformed = unzipped.call("transform", stack.event("changes"), stack.variables("transform"))
    loaded = unzipped.call("loader", stack.event("loads"), stack.variables("loader"))
    reconciled = unzipped.call("reconciler", {}, stack.variables("reconciler"))
    compacted = unzipped.call("compactor", {}, stack.variables("compactor"))

    assert polled["rows"] == 1
    assert transformed == loaded == {"batchItemFailures": []}
    with open_connection(warehouse) as connection:
        rows = connection.run(f"SELECT currency_code, currency_name FROM {SCHEMA}.dim_currency WHERE currency_id > 0")
    assert rows == [["GBP", "Pound Sterling"]]
    assert (reconciled["total"]["source"], reconciled["total"]["live"]) == (1, 1)
    assert compacted == {"days": [], "broken_off": False}
