"""The topology as it is deployed, on the emulator."""

import io
import json
import zipfile
from collections.abc import Mapping

import pytest

from services.local.deploy import Choices, Deployment, code_zip, deploy, environment
from services.local.emulator import Emulator
from services.local.topology import Topology, topology

CHOICES = Choices(
    secrets={"source": "postgresql://reader@/totesys", "warehouse": "postgresql://loader@/warehouse"},
    every_minutes={"reconciler": 7},
    settings={"poll_interval_seconds": "0.5", "page_rows": "100", "archive_bucket": "another"},
)


@pytest.fixture(scope="module")
def deployment(emulator: Emulator) -> Deployment:
    deploy(emulator, topology(), CHOICES)
    return deploy(emulator, topology(), CHOICES)


def attributes(emulator: Emulator, url: str) -> Mapping[str, str]:
    found = emulator.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return dict(found["Attributes"])


def test_a_second_deployment_makes_nothing_twice(emulator: Emulator, deployment: Deployment):
    lambdas, expected = emulator.client("lambda"), topology()

    assert {bucket["Name"] for bucket in emulator.client("s3").list_buckets()["Buckets"]} == {
        f"totes-{name}" for name in expected.buckets
    }
    assert len(emulator.client("sqs").list_queues()["QueueUrls"]) == 2 * len(expected.queues)
    mappings = lambdas.list_event_source_mappings()["EventSourceMappings"]
    assert len(mappings) == len(expected.event_source_mappings)
    assert all(mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for mapping in mappings)
    assert sorted(mapping["ScalingConfig"]["MaximumConcurrency"] for mapping in mappings) == sorted(
        mapping.maximum_concurrency for mapping in expected.event_source_mappings.values()
    )


def test_buckets_are_versioned_and_queues_end_in_their_dead_letter_queue(emulator: Emulator, deployment: Deployment):
    for name in ("archive", "processed"):
        found = emulator.client("s3").get_bucket_versioning(Bucket=deployment.buckets[name])
        assert found["Status"] == "Enabled"
    for name, url in deployment.queues.items():
        queue = attributes(emulator, url)
        dead = attributes(emulator, deployment.dead_letter_queues[name])
        assert json.loads(queue["RedrivePolicy"])["deadLetterTargetArn"] == dead["QueueArn"]
        assert queue["VisibilityTimeout"] == f"{topology().visibility_timeout_seconds(name)}"
        assert int(dead["MessageRetentionPeriod"]) == 14 * 86_400 > int(queue["MessageRetentionPeriod"])


def test_functions_are_told_names_by_variables_and_secrets_by_name_only(emulator: Emulator, deployment: Deployment):
    told = emulator.client("lambda").get_function_configuration(FunctionName="totes-loader")["Environment"]["Variables"]

    assert told["TOTES_LOADS_QUEUE_URL"] == deployment.queues["loads"]
    assert told["TOTES_DEAD_LETTER_QUEUE_URL"] == deployment.dead_letter_queues["loads"]
    assert told["TOTES_WAREHOUSE_SECRET"] == "totes/warehouse"
    assert not any("postgresql://" in value for value in told.values())
    secret = emulator.client("secretsmanager").get_secret_value(SecretId="totes/warehouse")
    assert secret["SecretString"] == CHOICES.secrets["warehouse"]


def test_a_new_dsn_replaces_the_secret(emulator: Emulator, deployment: Deployment):
    deploy(emulator, topology(), Choices({"source": "postgresql://new@/totesys"}, {}, {}))

    secret = emulator.client("secretsmanager").get_secret_value(SecretId="totes/source")
    assert secret["SecretString"] == "postgresql://new@/totesys"


def test_the_poller_is_scheduled_every_minute(emulator: Emulator, deployment: Deployment):
    schedule = emulator.client("scheduler").get_schedule(Name="totes-poller")

    assert (schedule["ScheduleExpression"], schedule["State"]) == ("rate(1 minute)", "ENABLED")
    assert schedule["Target"]["Arn"].endswith(":function:totes-poller")


def test_the_compactor_is_scheduled_every_hour_and_told_the_processed_bucket(
    emulator: Emulator, deployment: Deployment
):
    schedule = emulator.client("scheduler").get_schedule(Name="totes-compactor")
    told = emulator.client("lambda").get_function_configuration(FunctionName="totes-compactor")["Environment"]

    assert (schedule["ScheduleExpression"], schedule["State"]) == ("rate(60 minutes)", "ENABLED")
    assert told["Variables"]["TOTES_PROCESSED_BUCKET"] == deployment.buckets["processed"]


def test_a_function_described_before_it_is_written_is_not_deployed(emulator: Emulator, deployment: Deployment):
    described = topology().model_dump(by_alias=True)
    described["functions"]["unwritten"] = {
        **described["functions"]["poller"],
        "handler": "services.unwritten.handler.handler",
    }
    described["schedules"]["unwritten"] = {"every_minutes": 1}

    deploy(emulator, Topology.model_validate(described), CHOICES)

    names = [each["FunctionName"] for each in emulator.client("lambda").list_functions()["Functions"]]
    assert "totes-unwritten" not in names


def test_what_somebody_set_reaches_every_function_but_never_replaces_a_place():
    storage = Deployment({"archive": "totes-archive"}, {"changes": "url", "loads": "url"}, {"loads": "dead"})

    told = environment(topology(), "poller", storage, CHOICES.settings)

    assert told["TOTES_PAGE_ROWS"] == "100"
    assert told["TOTES_ARCHIVE_BUCKET"] == "totes-archive"
    assert told["TOTES_POLL_LIFETIME_SECONDS"] == f"{topology().poll_lifetime_seconds('poller')}"
    assert "TOTES_DEAD_LETTER_QUEUE_URL" not in told
    assert "TOTES_ARCHIVE_BUCKET" not in environment(topology(), "loader", storage, CHOICES.settings)


def test_the_code_of_a_function_is_its_own_packages_alone_and_the_same_each_time():
    code = code_zip("transform")

    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names} == {"contracts", "shared", "services"}
    assert {"services/__init__.py", "services/transform/handler.py", "shared/settings.py"} <= names
    assert not any(name.startswith(("services/loader", "services/local", "tests")) for name in names)
    assert code == code_zip("transform")
