"""The whole configuration in an account of its own: applied, alive, in trouble, looked at, and taken away again.

One apply for all tests, since Terraform waits out AWS's consistency whatever it talks to; they run in their order, the
last one destroys. Metrics of queues are exported from the emulator's own GetQueueAttributes (AWS does that itself), and
its alarms ignore dimensions, so that those are looked up in the plan.
"""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from contracts.star import STAR_TABLES
from services.local.description import REGION
from services.local.topology import topology
from tests.e2e import oracle
from tests.e2e.command import TOTES, clean
from tests.e2e.deployed.account import calls
from tests.e2e.deployed.alarms import Backlog, Inbox, alarms_over
from tests.e2e.deployed.as_they_are import as_they_are, tagged_already
from tests.e2e.deployed.policies import allowed, difference
from tests.e2e.deployed.site import ENVIRONMENT, PATIENCE_SECONDS, SCHEMA, Site, deployed
from tests.e2e.deployed.terraform import account, changes, expect_terraform
from tests.packages import local
from tests.terraform.plan import unencrypted, untagged

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deployed")]
FUNCTIONS = tuple(topology().functions)
OF_THE_LOG = frozenset({"logs:CreateLogStream", "logs:PutLogEvents"})
"""Lambda itself writes a function's log, under the function's role."""
OF_THE_MAPPING = frozenset({"sqs:ReceiveMessage", "sqs:GetQueueAttributes", "sqs:DeleteMessage"})
"""Lambda's mapping receives and deletes under the function's role; in the emulator under nobody's."""
IN_TROUBLE = frozenset({"sqs:ChangeMessageVisibility", "s3:ListBucket"})
"""To hand a message back, and to be told that an object is missing and not that it may not be seen."""
ARGUED = {
    "poller": OF_THE_LOG,
    "transform": OF_THE_LOG | OF_THE_MAPPING | IN_TROUBLE,
    "loader": OF_THE_LOG | OF_THE_MAPPING | IN_TROUBLE,
    "reconciler": OF_THE_LOG,
    "compactor": OF_THE_LOG | {"s3:GetObject", "s3:PutObject"},  # today's files are compacted tomorrow
}
"""What a role may do though its function did not, or not by a call that the emulator sees."""
PREFIX = f"{topology().prefix}-{ENVIRONMENT}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    expect_terraform()
    local.built()
    with deployed(tmp_path_factory.mktemp("deployed"), local.FOLDER, print) as found:
        yield found


@pytest.fixture(scope="module")
def plan(site: Site) -> Mapping[str, Any]:
    """What a second apply would do."""
    return site.root.plan()


def test_a_second_plan_changes_nothing(site: Site, plan: Mapping[str, Any]) -> None:
    unreal = {*as_they_are(plan, site.client("cloudwatch")), *tagged_already(plan)}
    real = set(changes(plan)) - unreal

    assert {address: changes(plan)[address] for address in real} == {}


def test_every_resource_of_the_plan_is_tagged_and_encrypted(plan: Mapping[str, Any]) -> None:
    assert untagged(plan) == []
    assert unencrypted(plan) == []


def test_every_change_arrives_as_an_oracle_has_it(site: Site) -> None:
    with site.living():
        seconds = site.until("the schedule to wake the poller and every star table to be filled", lambda: _filled(site))

    print(f"every star table filled {seconds:.0f} s after the schedule was made")
    site.until("the star tables to be what the oracle says", lambda: not site.differing())


def test_a_stopped_loader_sounds_the_alarm_of_its_backlog_and_a_started_one_clears_it(
    site: Site, plan: Mapping[str, Any]
) -> None:
    backlog = Backlog(site.client("sqs"), site.client("cloudwatch"), site.stack["queues"]["loads"])
    [alarm] = alarms_over(plan, backlog.series)
    with site.living(), _inbox(site, "alarms") as every, _inbox(site, "warning") as mail:
        _switch(site, "loader", on=False)
        site.until("a load batch to wait", lambda: backlog.waiting() > 0)
        backlog.repeat(topology().alarms["backlog_grows"].threshold)
        site.until("the alarm", lambda: backlog.export() > 0 and every.states(alarm) == ["ALARM"])
        _switch(site, "loader", on=True)
        site.until("the alarm to clear", lambda: backlog.export() >= 0 and every.states(alarm)[-1] == "OK")

        # The emulator's other alarms of this metric count any queue's messages: from here on an empty one's.
        empty = Backlog(backlog.sqs, backlog.cloudwatch, site.stack["dead_letter_queues"]["loads"])
        site.until("the one mail that all is well", lambda: empty.export() >= 0 and len(mail.read()) == 2)

        print(every.letter(alarm, "ALARM")["AlarmDescription"])
        assert every.states(alarm) == ["ALARM", "OK"]
        assert mail.states(f"{PREFIX}-warning") == ["ALARM", "OK"], "one outage, one mail, and one when it is over"


def test_each_function_did_what_its_role_allows_and_may_do_no_more_than_is_argued(site: Site) -> None:
    with site.living():
        _make_trouble(site)
    functions = {name: f"{PREFIX}-{name}" for name in FUNCTIONS}

    used = calls(site.client("cloudtrail"), functions)

    found = {name: difference(allowed(site.client("iam"), _role(site, name)), used[name]) for name in FUNCTIONS}
    for name in FUNCTIONS:
        print(name, "used", dict(sorted(used[name].items())), "never used", sorted(found[name].unused))
    assert {name: sorted(each.missing) for name, each in found.items()} == {name: [] for name in FUNCTIONS}
    assert {name: sorted(each.unused - ARGUED[name]) for name, each in found.items()} == {
        name: [] for name in FUNCTIONS
    }


def test_the_command_speaks_to_the_deployment(site: Site) -> None:
    status = _totes(site, "status", "--json")
    doctor = _totes(site, "doctor")

    print(doctor.stdout)
    assert status.returncode == 0, status.stderr
    assert {"sales_order", "payment"} <= set(json.loads(status.stdout)["feeds"])
    assert doctor.returncode in (0, 1), doctor.stderr
    assert PREFIX in doctor.stdout


def test_destroy_leaves_nothing_of_the_pipeline_and_the_state_that_must_be_kept(site: Site) -> None:
    site.root.destroy()

    assert site.root.addresses() == []
    assert _left(site) == {"buckets": [site.bootstrap.outputs()["state_bucket"]]}


def _filled(site: Site) -> bool:
    """Whether every star table has rows."""
    with site.warehouse() as warehouse:
        return all(oracle.found(warehouse, SCHEMA, model.table) for model in STAR_TABLES)


def _switch(site: Site, function: str, *, on: bool) -> None:
    """Start or stop what gives the function its messages, as somebody does in the console."""
    client, name = site.client("lambda"), f"{PREFIX}-{function}"
    [mapping] = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)


@contextmanager
def _inbox(site: Site, topic: str) -> Iterator[Inbox]:
    sns = site.client("sns")
    pages = sns.get_paginator("list_topics").paginate()
    [arn] = [
        each["TopicArn"] for page in pages for each in page["Topics"] if each["TopicArn"].endswith(f":{PREFIX}-{topic}")
    ]
    inbox = Inbox(site.client("sqs"), sns, arn)
    inbox.open()
    try:
        yield inbox
    finally:
        inbox.close()


def _make_trouble(site: Site) -> None:
    """Whatever makes a function use another of its rights: rows and messages that are wrong, and an outage."""
    sqs, stack, began = site.client("sqs"), site.stack, time.time()
    for url in stack["queues"].values():
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"hello": "world"}))
    with site.source() as source:
        source.run(
            "UPDATE sales_order SET agreed_delivery_date = 'soon', last_updated = now() "
            "WHERE sales_order_id = (SELECT min(sales_order_id) FROM sales_order)"
        )
    for function in ("reconciler", "compactor"):
        site.client("lambda").invoke(FunctionName=f"{PREFIX}-{function}", InvocationType="Event", Payload=b"{}")
    site.until("both messages to be parked", lambda: all(_parked(site, name) for name in stack["queues"]))
    site.warehouse_server.stop()
    site.until("the loader to hand a message back", lambda: "handed back" in site.log())
    site.warehouse_server.start()
    site.until("reconciler and compactor to have worked", lambda: _scheduled_worked(site, began), seconds=240)


def _scheduled_worked(site: Site, since: float) -> bool:
    functions = {name: f"{PREFIX}-{name}" for name in ("reconciler", "compactor")}
    used = calls(site.client("cloudtrail"), functions, since)
    return "s3:PutObject" in used["reconciler"] and "s3:ListBucket" in used["compactor"]


def _parked(site: Site, queue: str) -> int:
    url = site.stack["dead_letter_queues"][queue]
    return Backlog(site.client("sqs"), site.client("cloudwatch"), url).waiting()


def _role(site: Site, function: str) -> str:
    found = site.client("lambda").get_function_configuration(FunctionName=f"{PREFIX}-{function}")
    return str(found["Role"].rpartition("/")[2])


def _totes(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as an operator with credentials of the account types it."""
    return subprocess.run(
        [str(TOTES), "--env", ENVIRONMENT, *words],
        cwd=site.folder,
        env={**clean(), **account(site.emulator.endpoint_url, REGION)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def _left(site: Site) -> dict[str, list[str]]:
    """What is in the account by its own lists: names of every kind of thing that the configuration makes."""
    client = site.client
    found = {
        "buckets": [each["Name"] for each in client("s3").list_buckets()["Buckets"]],
        "queues": client("sqs").list_queues().get("QueueUrls", []),
        "functions": [each["FunctionName"] for each in client("lambda").list_functions()["Functions"]],
        "layers": [each["LayerName"] for each in client("lambda").list_layers()["Layers"]],
        "mappings": [each["UUID"] for each in client("lambda").list_event_source_mappings()["EventSourceMappings"]],
        "schedules": [each["Name"] for each in client("scheduler").list_schedules()["Schedules"]],
        "alarms": [each["AlarmName"] for each in client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "dashboards": [each["DashboardName"] for each in client("cloudwatch").list_dashboards()["DashboardEntries"]],
        "topics": [each["TopicArn"] for each in client("sns").list_topics()["Topics"]],
        "log groups": [each["logGroupName"] for each in client("logs").describe_log_groups()["logGroups"]],
        "parameters": [each["Name"] for each in client("ssm").describe_parameters()["Parameters"]],
        "roles": [
            each["RoleName"] for each in client("iam").list_roles()["Roles"] if each["RoleName"].startswith(PREFIX)
        ],
    }
    return {kind: names for kind, names in found.items() if names}
