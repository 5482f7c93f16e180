"""A command about a deployment: what it reads of it, and one sentence for whatever it cannot read."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore import exceptions
from botocore.client import BaseClient
from click.testing import Result
from moto import mock_aws
from typer.testing import CliRunner

from services.ops.cli import app
from services.ops.command import NOT_FIT, UNREACHABLE, USAGE, choose_environment
from services.ops.deployed import read_deployed
from shared.errors import ConfigurationError, Unavailable
from tests.conftest import REGION, open_connection
from tests.ops.conftest import free_port

NAMES = ("archive", "processed", "control")
PARAMETER = "/totes/prod/stack"


@pytest.fixture(autouse=True)
def _nothing_chosen_afterwards() -> Iterator[None]:
    yield
    choose_environment(None)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An account with one deployment, prod; what its parameter says, to be changed by a test."""
    monkeypatch.delenv("TOTES_WAREHOUSE_DSN", raising=False)
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", REGION)):
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        s3, sqs = boto3.client("s3"), boto3.client("sqs")
        for name in NAMES:
            place = {"LocationConstraint": REGION}
            s3.create_bucket(Bucket=f"totes-prod-{name}", CreateBucketConfiguration=place)
        queues, dead_letters = (
            {name: sqs.create_queue(QueueName=f"totes-prod-{name}{end}")["QueueUrl"] for name in ("changes", "loads")}
            for end in ("", "-dlq")
        )
        described = {
            "environment": "prod",
            "prefix": "totes-prod",
            "region": REGION,
            "buckets": {name: f"totes-prod-{name}" for name in NAMES},
            "queues": queues,
            "dead_letter_queues": dead_letters,
            "secrets": {"source": "totes-prod/source", "warehouse": "totes-prod/warehouse"},
            "warehouse_schema": "stars",
            "time_zone": "UTC",
        }
        describe(described)
        yield described


def describe(described: object) -> None:
    text = described if isinstance(described, str) else json.dumps(described)
    boto3.client("ssm").put_parameter(Name=PARAMETER, Type="String", Value=text, Overwrite=True)


def put_secret(name: str, dsn: str) -> None:
    boto3.client("secretsmanager").create_secret(Name=f"totes-prod/{name}", SecretString=dsn)


def totes(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="totes")


def test_a_deployment_is_what_its_parameter_says(account: Mapping[str, Any]) -> None:
    found = read_deployed("prod")

    assert found.queues == account["queues"]
    assert found.buckets["control"] == "totes-prod-control"
    assert (found.prefix, found.warehouse_schema) == ("totes-prod", "stars")
    assert found.log_of("poller") == "/aws/lambda/totes-prod-poller"


def test_an_environment_that_is_not_there_is_said_with_how_to_list_those_that_are(account: object) -> None:
    with pytest.raises(ConfigurationError, match=r"/totes/staging/stack in eu-west-2 and found none: `aws ssm"):
        read_deployed("staging")


def test_a_name_that_could_not_be_an_environments_is_refused(account: object) -> None:
    with pytest.raises(ConfigurationError, match=r"an environment's name such as prod in --env, found '\.\./prod'"):
        read_deployed("../prod")


@pytest.mark.parametrize("part", ["buckets", "queues", "dead_letter_queues", "secrets"])
def test_a_parameter_that_describes_only_a_part_is_refused_at_once(account: dict[str, Any], part: str) -> None:
    account[part].popitem()
    describe(account)

    with pytest.raises(ConfigurationError, match=r"to describe a deployment as this version of totes does"):
        read_deployed("prod")


def test_a_parameter_that_is_no_description_is_refused(account: object) -> None:
    describe("hello")

    with pytest.raises(ConfigurationError, match=r"apply Terraform of this version"):
        read_deployed("prod")


def refusing(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def code(name: str) -> exceptions.ClientError:
    return exceptions.ClientError({"Error": {"Code": name, "Message": "User: joe\nis not"}}, "GetParameter")


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (code("AccessDeniedException"), ConfigurationError, r"\(User: joe is not\): ask for ssm:GetParameter on it"),
        (code("ExpiredTokenException"), ConfigurationError, r"credentials that are in force and found none"),
        (code("InternalServerError"), Unavailable, r"it refused \(InternalServerError: User: joe is not\)"),
        (exceptions.NoCredentialsError(), ConfigurationError, r"log in, or set AWS_PROFILE"),
        (exceptions.NoRegionError(), ConfigurationError, r"set AWS_DEFAULT_REGION"),
        (exceptions.EndpointConnectionError(endpoint_url="https://ssm"), Unavailable, r"did not answer"),
    ],
)
def test_what_aws_says_about_the_parameter_is_one_sentence_with_what_to_do(
    account: object, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception], sentence: str
) -> None:
    monkeypatch.setattr(BaseClient, "_make_api_call", refusing(error))

    with pytest.raises(kind, match=sentence) as raised:
        read_deployed("prod")

    assert "\n" not in str(raised.value)


def test_a_secret_without_a_value_is_said_when_the_database_is_needed(account: object) -> None:
    found = read_deployed("prod")

    with pytest.raises(ConfigurationError, match=r"'totes-prod/source' .* put the DSN in"):
        _ = found.source_dsn


def test_a_secret_of_bytes_is_said(account: object) -> None:
    boto3.client("secretsmanager").create_secret(Name="totes-prod/source", SecretBinary=b"postgresql://r@h/d")

    with pytest.raises(ConfigurationError, match=r"'totes-prod/source' .* found bytes"):
        _ = read_deployed("prod").source_dsn


def test_a_secret_that_holds_no_dsn_is_named_and_not_told(account: object) -> None:
    put_secret("source", "hush-hush")

    with pytest.raises(ConfigurationError, match=r"The secret 'totes-prod/source' holds no DSN") as raised:
        _ = read_deployed("prod").source_dsn

    assert "hush" not in str(raised.value)


def test_a_database_out_of_reach_is_said_without_its_password(account: object) -> None:
    put_secret("warehouse", f"postgresql://loader:hush@127.0.0.1:{free_port()}/warehouse")

    with pytest.raises(Unavailable, match=r"to reach the warehouse at 127\.0\.0\.1:.* inside a VPC") as raised:
        _ = read_deployed("prod").warehouse_dsn

    assert "hush" not in str(raised.value)


def test_status_shows_what_can_be_had_and_says_what_cannot(account: object) -> None:
    put_secret("warehouse", f"postgresql://loader:hush@127.0.0.1:{free_port()}/warehouse")

    answer = totes("--env", "prod", "status", "--json")

    told = json.loads(answer.output)
    assert answer.exit_code == UNREACHABLE
    assert told["queues"]["changes"]["visible"] == 0
    assert any("to reach the warehouse" in note for note in told["notes"])
    assert "hush" not in answer.output


def test_dead_letters_of_a_deployment_are_listed(account: Mapping[str, Any]) -> None:
    boto3.client("sqs").send_message(QueueUrl=account["dead_letter_queues"]["changes"], MessageBody="{}")

    answer = totes("--env", "prod", "dlq", "list", "--json")

    assert answer.exit_code == 0, answer.output
    assert "changes" in answer.output


@pytest.mark.parametrize("command", ["up", "down"])
def test_what_is_for_this_machine_is_refused_for_a_deployment(command: str) -> None:
    answer = totes("--env", "prod", command)

    assert answer.exit_code == USAGE
    assert f"`totes {command}` is for this machine, not for 'prod'" in " ".join(answer.output.split())


def test_a_state_folder_and_an_environment_exclude_each_other() -> None:
    answer = totes("--env", "prod", "status", "--state-dir", ".totes")

    assert answer.exit_code == USAGE
    assert "found both" in answer.output


def test_migrate_brings_the_deployments_own_warehouse_up_to_date(
    account: object, new_database: Callable[[str], str]
) -> None:
    dsn = new_database("warehouse")
    put_secret("warehouse", dsn)

    answer = totes("--env", "prod", "migrate")

    assert answer.exit_code == 0, answer.output
    with open_connection(dsn) as connection:
        assert connection.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'stars'") != [[0]]


def test_migrate_asks_which_of_two_warehouses_is_meant(account: object, new_database: Callable[[str], str]) -> None:
    other = new_database("other")

    answer = totes("--env", "prod", "migrate", "--warehouse", other)

    assert answer.exit_code == USAGE
    assert "found both" in answer.output
    with open_connection(other) as connection:
        assert connection.run(
            "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ) == [[0]]


def test_a_trace_of_a_row_that_is_nowhere_has_its_exit_code(account: object) -> None:
    put_secret("warehouse", f"postgresql://loader:hush@127.0.0.1:{free_port()}/warehouse")

    assert totes("--env", "prod", "trace", "staff", "1").exit_code in (NOT_FIT, UNREACHABLE)
