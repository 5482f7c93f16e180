"""Terraform's rules hold, and what it derives from the topology is what the embedded stack derives from it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.messages import QUARANTINE
from services.local.deploy import QUIET, Deployment, environment
from services.local.topology import schedule_expression, topology
from services.reconciler import progress
from shared import checkpoint, processed
from tests.terraform.conftest import Plans
from tests.terraform.plan import unencrypted

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("plans")]  # `terraform init` may fetch its provider

DEPLOYED = topology().model_copy(update={"prefix": "totes-prod"})
PLACE = "123456789012-eu-west-2"
STORAGE = Deployment(
    buckets={name: f"{DEPLOYED.name(name)}-{PLACE}" for name in DEPLOYED.buckets},
    queues={name: f"https://sqs/{name}" for name in DEPLOYED.queues},
    dead_letter_queues={name: f"https://sqs/{name}-dlq" for name in DEPLOYED.queues},
)
CHOSEN = {
    "log_level": "INFO",
    "poll_interval_seconds": "5",
    "source_schema": "public",
    "time_zone": "UTC",
    "warehouse_schema": "warehouse",
}
"""The defaults of Terraform's variables."""
DEFAULT_RUN, OTHER_RUN = "as_it_is_by_default", "in_a_vpc_with_a_key"


def made(plans: Plans, kind: str, run: str = DEFAULT_RUN) -> Iterator[dict[str, Any]]:
    for change in plans[run]["resource_changes"]:
        if change["type"] == kind and change["mode"] == "managed":
            yield change["change"]["after"]


def named(plans: Plans, kind: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in made(plans, kind)}


def functions(plans: Plans) -> dict[str, dict[str, Any]]:
    return {each["function_name"]: each for each in made(plans, "aws_lambda_function")}


def test_functions_are_those_of_the_topology(plans: Plans):
    found = functions(plans)

    assert found.keys() == {DEPLOYED.name(name) for name in DEPLOYED.functions}
    for name, described in DEPLOYED.functions.items():
        function = found[DEPLOYED.name(name)]
        assert function["handler"] == described.handler
        assert function["memory_size"] == described.memory_mb
        assert function["timeout"] == described.timeout_seconds
        assert function["runtime"] == DEPLOYED.platform.runtime
        assert function["architectures"] == [DEPLOYED.platform.architecture]
        assert len(function["layers"] or ()) == len(described.layers)


def test_each_function_is_told_what_the_embedded_stack_tells_it(plans: Plans):
    found = functions(plans)

    for name in DEPLOYED.functions:
        [told] = found[DEPLOYED.name(name)]["environment"]
        expected = environment(DEPLOYED, name, STORAGE, CHOSEN)
        assert {key: value for key, value in told["variables"].items() if key.startswith("TOTES_")} == {
            key: value for key, value in expected.items() if key not in QUIET
        }


def test_queues_hide_keep_and_redrive_as_the_topology_derives(plans: Plans):
    found = named(plans, "aws_sqs_queue")

    assert found.keys() == {
        *(DEPLOYED.name(name) for name in DEPLOYED.queues),
        *(DEPLOYED.dead_letter_name(name) for name in (*DEPLOYED.queues, "schedules")),
    }
    for name, described in DEPLOYED.queues.items():
        queue, dead_letters = found[DEPLOYED.name(name)], found[DEPLOYED.dead_letter_name(name)]
        assert queue["visibility_timeout_seconds"] == DEPLOYED.visibility_timeout_seconds(name)
        assert queue["message_retention_seconds"] == described.retention_seconds
        assert dead_letters["message_retention_seconds"] == described.dead_letter_retention_seconds
        redrive = json.loads(queue["redrive_policy"])
        assert redrive["maxReceiveCount"] == described.max_receive_count
        assert redrive["deadLetterTargetArn"].endswith(f":{DEPLOYED.dead_letter_name(name)}")


def test_schedules_fire_at_the_topologys_rate(plans: Plans):
    found = {name: each["schedule_expression"] for name, each in named(plans, "aws_scheduler_schedule").items()}

    assert found == {
        DEPLOYED.name(name): schedule_expression(schedule.every_minutes)
        for name, schedule in DEPLOYED.schedules.items()
    }


def test_secrets_and_log_groups_have_the_names_that_the_command_looks_for(plans: Plans):
    assert named(plans, "aws_secretsmanager_secret").keys() == {DEPLOYED.secret_name(name) for name in DEPLOYED.secrets}
    assert named(plans, "aws_cloudwatch_log_group").keys() == {
        f"/aws/lambda/{DEPLOYED.name(name)}" for name in DEPLOYED.functions
    }


def test_what_the_roles_and_rules_name_is_where_the_code_writes(plans: Plans):
    text = json.dumps(
        [each["policy"] for each in made(plans, "aws_iam_role_policy")]
        + [each["rule"] for each in made(plans, "aws_s3_bucket_lifecycle_configuration")]
    )

    for place in (f'"{QUARANTINE}/"', f"/{checkpoint.KEY}", f"/{progress.KEY}"):
        assert place in text
    for folder in (processed.COMPACTED, processed.MANIFEST):
        assert f"/{folder}/*" in text


@pytest.mark.parametrize("run", [DEFAULT_RUN, OTHER_RUN])
def test_everything_that_can_be_encrypted_is(plans: Plans, run: str):
    assert unencrypted(plans[run]) == []


def test_in_a_vpc_every_function_is_attached(plans: Plans):
    attached = [function["vpc_config"] for function in made(plans, "aws_lambda_function", OTHER_RUN)]

    assert len(attached) == len(DEPLOYED.functions)
    assert all(sorted(where["subnet_ids"]) == ["subnet-a", "subnet-b"] for [where] in attached)
