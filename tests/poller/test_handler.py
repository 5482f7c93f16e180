"""The function as Lambda calls it: composed from the environment, bounded by the invocation, survived by rotation."""

import subprocess
import sys
from collections.abc import Iterator

import boto3
import pytest

from services.poller import handler
from shared.errors import ConfigurationError
from shared.secrets import Secrets
from shared.settings import Settings
from tests.conftest import Aws, Source
from tests.poller.archived import latest, receive
from tests.poller.conftest import design


class Context:
    """An invocation with so many seconds left."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, totesys: Source, aws: Aws) -> Iterator[Aws]:
    for name, value in {
        "ARCHIVE_BUCKET": aws.archive,
        "CONTROL_BUCKET": aws.control,
        "CHANGES_QUEUE_URL": aws.changes,
        "POLL_LIFETIME_SECONDS": "0.001",
        "LOG_LEVEL": "CRITICAL",
    }.items():
        monkeypatch.setenv(f"TOTES_{name}", value)
    aws.secrets.create_secret(Name="totes/source", SecretString=totesys.reader_dsn)
    handler.composition.cache_clear()
    yield aws
    handler.composition()._source.close()
    handler.composition.cache_clear()


def test_an_invocation_polls_and_answers_what_it_did(environment: Aws, totesys: Source, monkeypatch):
    monkeypatch.setenv("TOTES_POLL_LIFETIME_SECONDS", "2")
    monkeypatch.setenv("TOTES_POLL_INTERVAL_SECONDS", "5")
    with totesys.connect() as connection:
        design(connection, 1)

    answer = handler.handler({}, Context(900))

    assert (answer["owner"], answer["rows"], answer["pages"], answer["stopped"]) == (True, 1, 1, {})
    assert latest(receive(environment), "design", "design_id").keys() == {"1"}


def test_an_invocation_with_no_time_left_still_ends_in_good_order(environment: Aws):
    answer = handler.handler({}, Context(0))

    assert answer["owner"]
    assert answer["rows"] == 0


def test_a_rotated_dsn_is_read_again_and_a_wrong_one_is_said(aws: Aws, totesys: Source):
    aws.secrets.create_secret(Name="totes/source", SecretString=totesys.reader_dsn + "_gone")
    secrets = Secrets(boto3.client("secretsmanager"))
    wrong = totesys.reader_dsn.replace("totesys_", "gone_")
    aws.secrets.put_secret_value(SecretId="totes/source", SecretString=wrong)
    assert secrets.get("totes/source") == wrong
    with pytest.raises(ConfigurationError, match="no such database"):
        handler.connect_to_source(secrets, Settings())
    assert secrets.get("totes/source") == wrong
    aws.secrets.put_secret_value(SecretId="totes/source", SecretString=totesys.reader_dsn)

    connection = handler.connect_to_source(secrets, Settings())

    assert connection.run("SELECT 1") == [[1]]
    connection.close()


def test_importing_the_function_brings_neither_pandas_nor_numpy():
    code = "import sys, services.poller.handler; print(sorted({'pandas', 'numpy'} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
