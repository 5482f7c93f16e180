"""Each check is seen failing once on what it is about, and says what to do; a sound installation passes them all."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from services.local.alarms import MetricAlarm, metric_alarms, rule
from services.local.deploy import Choices, deploy
from services.local.topology import Severity, topology
from services.ops.cli import app
from services.ops.doctor import alarms, databases, running, servers
from services.ops.doctor.account import Account
from services.ops.doctor.alarms import AlarmFacts
from services.ops.doctor.examine import Databases, Stack, examine, known, of_account, open_since
from services.ops.doctor.findings import Examination, Finding, Verdict
from services.ops.doctor.looking import look_at_source, measure
from services.ops.doctor.running import Running
from services.ops.doctor.servers import Offset, OpenTransaction, Session
from services.ops.doctor.view import as_json, lines
from services.ops.running import utc_now
from shared.checkpoint import Checkpoint, CheckpointStore, FeedState, Horizon
from shared.errors import Unavailable
from shared.objects import ObjectStore
from shared.postgres import Dsn
from tests.conftest import READER, REGION, Server, Source, open_connection
from tests.ops.conftest import PASSWORD, OwnServer
from tests.reconciler.conftest import LOADER, SCHEMA

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
NOWHERE = "postgresql://reader:hush@127.0.0.1:1/totesys"


def examined(source: str | None = None, warehouse: str | None = None, schema: str = SCHEMA) -> Examination:
    return examine(Databases(known(source), known(warehouse), "public", schema), None, utc_now)


def of_check(found: Examination | Iterator[Finding] | list[Finding], check: str) -> list[Finding]:
    findings = found.findings if isinstance(found, Examination) else found
    return [finding for finding in findings if finding.check == check]


def verdicts(found: Any, check: str) -> list[Verdict]:
    return [finding.verdict for finding in of_check(found, check)]


def loader(warehouse_dsn: str) -> str:
    return warehouse_dsn.replace("postgres@", f"{LOADER}@")


# -- the databases


def test_sound_databases_fail_nothing_and_warn_of_nothing(totesys: Source, warehouse_dsn: str) -> None:
    found = examined(totesys.reader_dsn, loader(warehouse_dsn))

    worse = [finding for finding in found.findings if finding.verdict in (Verdict.WARN, Verdict.FAIL)]
    assert worse == []
    assert found.reached
    checks = {finding.check for finding in found.findings}
    assert {"source: TLS", "source: index", "clocks: both servers", "warehouse: migrations"} <= checks


def test_a_database_that_does_not_answer_is_one_finding_and_the_other_one_is_looked_at(totesys: Source) -> None:
    found = examined(totesys.reader_dsn, NOWHERE)

    [away] = of_check(found, "warehouse: login")
    assert away.verdict is Verdict.FAIL
    assert "could not reach it" in away.found
    assert "hush" not in as_json(found)
    assert verdicts(found, "source: feeds")[0] is Verdict.OK
    assert not examined(NOWHERE, NOWHERE).reached


def test_a_refused_password_is_a_failure_that_does_not_repeat_it(asking_server: OwnServer) -> None:
    found = examined(asking_server.dsn("postgres", password="hush"))

    assert verdicts(found, "source: login") == [Verdict.FAIL]
    assert "hush" not in as_json(found)
    assert PASSWORD not in as_json(examined(asking_server.dsn("postgres", password=PASSWORD)))


def test_a_table_that_may_not_be_read_fails_with_the_grant(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run(f"REVOKE SELECT ON payment FROM {READER}")

    [broken] = [one for one in of_check(examined(totesys.reader_dsn), "source: feeds") if one.verdict is Verdict.FAIL]
    assert broken.found == "The login may not read public.payment."
    assert broken.cure == "GRANT SELECT ON public.payment to it."


def test_a_login_that_may_write_in_the_source_is_warned_of_and_the_cure_ends_it(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run(f"GRANT INSERT, DELETE ON payment, design TO {READER}")

    [warning] = of_check(examined(totesys.reader_dsn), "source: read only")

    assert warning.verdict is Verdict.WARN
    assert "may change design, payment" in warning.found
    with totesys.connect() as owner:
        owner.run(warning.cure.removesuffix(" (or use another)."))
    assert verdicts(examined(totesys.reader_dsn), "source: read only") == [Verdict.OK]


def test_a_superuser_as_the_sources_login_is_warned_of(totesys: Source) -> None:
    [warning] = of_check(examined(totesys.dsn), "source: read only")

    assert (warning.verdict, "superuser" in warning.found) == (Verdict.WARN, True)


def test_a_login_that_may_create_in_the_source_is_warned_of(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run(f"GRANT CREATE ON SCHEMA public TO {READER}")

    assert "may create tables" in of_check(examined(totesys.reader_dsn), "source: read only")[0].found


def test_a_large_table_without_an_index_is_warned_of_with_the_statement_that_mends_it(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run("UPDATE pg_class SET reltuples = 5000000 WHERE oid = 'sales_order'::regclass")

    [warning] = of_check(examined(totesys.reader_dsn), "source: index")

    assert warning.verdict is Verdict.WARN
    assert "sales_order has about 5,000,000 rows" in warning.found
    with totesys.connect() as owner:
        owner.run(warning.cure.removeprefix("As its owner: ").removesuffix("."))
        owner.run("UPDATE pg_class SET reltuples = 5000000 WHERE oid = 'sales_order'::regclass")
    assert verdicts(examined(totesys.reader_dsn), "source: index") == [Verdict.OK]


def test_statistics_that_are_hidden_are_a_note_with_the_grant_and_activities_untracked_a_warning(
    totesys: Source,
) -> None:
    database = Dsn.parse(totesys.dsn).database
    [hidden] = of_check(examined(totesys.reader_dsn), "source: statistics")
    with totesys.connect() as owner:
        owner.run(f"ALTER ROLE {READER} IN DATABASE {database} SET track_activities = off")

    untracked = of_check(examined(totesys.reader_dsn), "source: statistics")

    assert (hidden.verdict, "GRANT pg_read_all_stats" in hidden.cure) == (Verdict.NOTE, True)
    assert [one.verdict for one in untracked] == [Verdict.NOTE, Verdict.WARN]
    assert "track_activities is off" in untracked[1].found


def test_an_open_transaction_is_of_unknown_age_to_a_login_without_statistics_until_the_poller_has_noted_it(
    totesys: Source,
) -> None:
    with closing(open_connection(totesys.dsn)) as writer:
        writer.run("BEGIN; SELECT count(*) FROM design")
        [[virtual]] = writer.run(
            "SELECT virtualtransaction || '@' || extract(epoch FROM pg_postmaster_start_time()) FROM pg_locks "
            "WHERE pid = pg_backend_pid() AND locktype = 'virtualxid'"
        )
        horizon = Horizon(clock=NOW, xmax=1, open={virtual: utc_now() - timedelta(minutes=25)})
        noted = open_since(Checkpoint(feeds={"design": FeedState(polled=horizon)}))
        unknown = look_at_source(totesys.reader_dsn, "public", {}, utc_now)
        known = look_at_source(totesys.reader_dsn, "public", noted, utc_now)
        seen = look_at_source(totesys.dsn, "public", {}, utc_now)

    assert servers.of_transactions(unknown.open).verdict is Verdict.NOTE
    held = servers.of_transactions(known.open)
    assert (held.verdict, "for up to 25 min" in held.found) == (Verdict.WARN, True)
    assert "idle in transaction" in [one.state for one in seen.open]
    assert servers.of_transactions(seen.open).verdict is Verdict.OK


def test_an_old_idle_transaction_is_warned_of_with_its_process_and_how_to_end_it() -> None:
    old = OpenTransaction(pid=4711, seconds=1500.0, state="idle in transaction", application="psql")
    young = OpenTransaction(pid=4712, seconds=0.2, state="active", application=None)

    held = servers.of_transactions((young, old))

    assert held.verdict is Verdict.WARN
    assert held.found.startswith("A transaction (pid 4711, psql) has been idle in transaction for 25 min")
    assert "pg_terminate_backend(4711)" in held.cure


def test_a_prepared_transaction_is_told_how_to_be_found() -> None:
    held = servers.of_transactions((OpenTransaction(None, None, None, None, at_most_seconds=120.0),))

    assert "pg_prepared_xacts" in held.cure


def test_a_source_in_recovery_fails(standby: OwnServer) -> None:
    found = of_check(examined(standby.dsn("postgres")), "source: feeds")

    assert any("in recovery" in finding.found and finding.verdict is Verdict.FAIL for finding in found)


def test_a_warehouse_in_recovery_fails(standby: OwnServer) -> None:
    [broken, *_] = of_check(examined(None, standby.dsn("postgres")), "warehouse: server")

    assert (broken.verdict, "in recovery" in broken.found) == (Verdict.FAIL, True)


def test_a_schema_that_is_not_there_fails_with_the_command_that_makes_it(new_database: Callable[[str], str]) -> None:
    [missing] = of_check(examined(None, new_database("warehouse")), "warehouse: schema")

    assert (missing.verdict, "totes migrate" in missing.cure) == (Verdict.FAIL, True)


@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (f"REVOKE INSERT ON {SCHEMA}.fact_payment FROM {LOADER}", "fact_payment"),
        (f"REVOKE USAGE ON ALL SEQUENCES IN SCHEMA {SCHEMA} FROM {LOADER}", "_seq"),
        (f"REVOKE USAGE ON SCHEMA {SCHEMA} FROM {LOADER}", "may not look into"),
    ],
)
def test_a_loader_that_may_not_load_fails_with_the_command_that_grants_it(
    warehouse_dsn: str, break_it: str, named: str
) -> None:
    with open_connection(warehouse_dsn) as owner:
        owner.run(break_it)

    [broken] = of_check(examined(None, loader(warehouse_dsn)), "warehouse: privileges")

    assert (broken.verdict, named in broken.found) == (Verdict.FAIL, True)
    assert f"totes migrate --loader-role {LOADER}" in broken.cure


@pytest.mark.parametrize(
    ("revision", "cure"), [("0001", "Run `totes migrate`."), ("9999", "Deploy that code here too")]
)
def test_a_star_schema_of_another_revision_fails(warehouse_dsn: str, revision: str, cure: str) -> None:
    with open_connection(warehouse_dsn) as owner:
        owner.run(f"UPDATE {SCHEMA}._alembic_version SET version_num = :revision", revision=revision)

    [broken] = of_check(examined(None, loader(warehouse_dsn)), "warehouse: migrations")

    assert broken.verdict is Verdict.FAIL
    assert revision in broken.found
    assert broken.cure.startswith(cure)


def test_a_heartbeat_that_stopped_is_warned_of(warehouse_dsn: str) -> None:
    none_yet = verdicts(examined(None, loader(warehouse_dsn)), "warehouse: heartbeat")
    with open_connection(warehouse_dsn) as owner:
        owner.run(
            f"INSERT INTO {SCHEMA}._heartbeat (one, id, generation, revision, as_of, loaded_at) "
            "VALUES (true, 'h', 1, 1, now(), now() - interval '10 min')"
        )

    [stopped] = of_check(examined(None, loader(warehouse_dsn)), "warehouse: heartbeat")

    assert none_yet == [Verdict.NOTE]
    assert (stopped.verdict, "10 min ago" in stopped.found) == (Verdict.WARN, True)


def session(dsn: str = "postgresql://reader@db.example:5432/totesys", **facts: Any) -> Session:
    sound: dict[str, Any] = {
        "dsn": Dsn.parse(dsn),
        "version": 180_004,
        "in_recovery": False,
        "encrypted": True,
        "connections": 10,
        "most_connections": 97,
        "sees_all": True,
        "tracks_activities": True,
        "offset": Offset(0.0, 0.001),
    }
    return Session(**{**sound, **facts})


def test_a_session_over_the_network_must_be_encrypted_and_its_certificate_checked() -> None:
    readable = servers.of_encryption("source", session(encrypted=False))
    unchecked = servers.of_encryption("source", session("postgresql://r@db.example/t?sslmode=require"))
    checked = servers.of_encryption("source", session())
    local = servers.of_encryption("source", session("postgresql://r@/t?host=/tmp", encrypted=False))

    assert [one.verdict for one in (readable, unchecked, checked, local)] == [
        Verdict.WARN,
        Verdict.WARN,
        Verdict.OK,
        Verdict.OK,
    ]
    assert "not encrypted" in readable.found


def test_a_server_almost_out_of_connections_is_warned_of() -> None:
    assert servers.of_connections("source", session(connections=93)).verdict is Verdict.WARN
    assert servers.of_connections("source", session(connections=92)).verdict is Verdict.OK


def test_clocks_more_than_a_second_apart_are_warned_of_because_freshness_is_computed_across_them() -> None:
    source, warehouse = session(), session(offset=Offset(-1.6, 0.01))

    found = list(servers.of_clocks(source, warehouse))

    assert verdicts(found, "clocks: both servers") == [Verdict.WARN]
    assert "The warehouse's clock is 1.600 s behind the source's" in found[0].found
    assert verdicts(found, "clocks: source") == [Verdict.OK]


def test_an_offset_is_no_more_than_the_round_trip_allows() -> None:
    slow = session(offset=Offset(1.5, 2.0))

    assert [finding.verdict for finding in servers.of_clocks(slow, None)] == [Verdict.OK]


def test_the_offset_is_that_of_the_shortest_round_trip_measured_in_its_middle() -> None:
    trips = iter([0.9, 0.002, 0.5, 0.7, 0.4])
    ours = NOW

    def clock() -> datetime:
        return ours

    def theirs() -> datetime:
        nonlocal ours
        trip = timedelta(seconds=next(trips))
        ours += trip
        return ours - trip / 2 + timedelta(seconds=3)

    found = measure(theirs, clock)

    assert (round(found.seconds, 6), found.round_trip_seconds) == (3.0, 0.002)


def test_this_machines_clock_is_held_against_the_servers(totesys: Source) -> None:
    named = Databases(known(totesys.reader_dsn), None, "public", SCHEMA)

    found = examine(named, None, lambda: utc_now() - timedelta(seconds=5))

    [wrong] = of_check(found, "clocks: source")
    assert (wrong.verdict, "ahead of this machine's" in wrong.found) == (Verdict.WARN, True)


# -- the account


class Clients:
    """Clients of the account that the project's deployment names its roles and queues in, by moto."""

    def __init__(self) -> None:
        self._hooks: dict[str, Callable[[Any], None]] = {"cloudwatch": self._answer_with_composites}
        self.composites: dict[str, dict[str, Any]] = {}
        """By name; moto has no composite alarms."""
        role = boto3.client("sts", region_name=REGION).assume_role(
            RoleArn="arn:aws:iam::000000000000:role/doctor", RoleSessionName="doctor"
        )
        self._key = role["Credentials"]

    def client(self, service: str) -> Any:
        made = boto3.client(
            service,
            region_name=REGION,
            aws_access_key_id=self._key["AccessKeyId"],
            aws_secret_access_key=self._key["SecretAccessKey"],
            aws_session_token=self._key["SessionToken"],
        )
        self._hooks.get(service, lambda client: None)(made)
        return made

    def leave_subscriptions_unconfirmed(self, topic: str) -> None:
        """What AWS answers before the mail's link was followed, which moto follows by itself."""

        def unconfirmed(parsed: dict[str, Any], **_: Any) -> None:
            for each in parsed["Subscriptions"]:
                if each["TopicArn"].endswith(f":{topic}"):
                    each["SubscriptionArn"] = "PendingConfirmation"

        self._hooks["sns"] = lambda client: client.meta.events.register(
            "after-call.sns.ListSubscriptionsByTopic", unconfirmed
        )

    def _answer_with_composites(self, cloudwatch: Any) -> None:
        """As AWS does: to whoever asks for their type, which nobody gets unasked."""
        asked: list[str] = []
        cloudwatch.meta.events.register(
            "provide-client-params.cloudwatch.DescribeAlarms",
            lambda params, **_: asked.extend(params.get("AlarmTypes", [])),
        )
        cloudwatch.meta.events.register(
            "after-call.cloudwatch.DescribeAlarms",
            lambda parsed, **_: parsed.update(
                CompositeAlarms=list(self.composites.values()) if "CompositeAlarm" in asked else []
            ),
        )

    def measure_nothing(self) -> None:
        """What AWS answers where no function has emitted anything of late, which moto does not forget."""

        def without_metrics(cloudwatch: Any) -> None:
            self._answer_with_composites(cloudwatch)
            cloudwatch.meta.events.register(
                "after-call.cloudwatch.ListMetrics", lambda parsed, **_: parsed.update(Metrics=[])
            )

        self._hooks["cloudwatch"] = without_metrics


@dataclass
class Deployed:
    """A whole installation, in order as deployed."""

    clients: Clients
    account: Account

    def findings(self) -> list[Finding]:
        return list(of_account(self.account))

    def queue(self, **attributes: str) -> None:
        url = self.account.queues["loads"]
        self.clients.client("sqs").set_queue_attributes(QueueUrl=url, Attributes=attributes)


PROD = topology().model_copy(update={"prefix": "totes-prod"})
"""As Terraform names it in the environment prod."""


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws(config={"lambda": {"use_docker": False}}):
        clients = Clients()
        for function in PROD.functions:
            clients.client("iam").create_role(RoleName=PROD.name(function), AssumeRolePolicyDocument="{}")
        made = deploy(clients, PROD, Choices({"source": "x", "warehouse": "y"}, {}, {}))
        for bucket in made.buckets.values():
            shut(clients.client("s3"), bucket)
        for function in PROD.functions:
            clients.client("lambda").update_function_configuration(
                FunctionName=PROD.name(function), Runtime=PROD.platform.runtime
            )
        clients.client("sqs").create_queue(QueueName="totes-prod-schedules-dlq")
        alarm(clients)
        measure_always(clients)
        account = Account(clients, PROD, made.buckets, made.queues, made.dead_letter_queues, embedded=False)
        yield Deployed(clients, account)


def shut(s3: Any, bucket: str) -> None:
    rules = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(rules, True))
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )


def alarm(clients: Clients) -> None:
    """The topology's alarms and a composite of each severity, with a reader each of what is critical and what warns."""
    cloudwatch, sns, leaves = clients.client("cloudwatch"), clients.client("sns"), list(metric_alarms(PROD, ""))
    topics = {
        name: sns.create_topic(Name=f"totes-prod-{name}")["TopicArn"] for name in ("alarms", "critical", "warning")
    }
    for leaf in leaves:
        cloudwatch.put_metric_alarm(
            AlarmName=leaf.name,
            MetricName=leaf.metric,
            Namespace=leaf.namespace,
            Statistic=leaf.statistic,
            ComparisonOperator=leaf.comparison,
            Threshold=leaf.threshold,
            Period=leaf.period_seconds,
            EvaluationPeriods=leaf.periods,
            AlarmActions=[topics["alarms"]],
        )
    for severity in ("critical", "warning"):
        sns.subscribe(TopicArn=topics[severity], Protocol="email", Endpoint="operator@example.com")
        combine(clients, severity, leaves, topics[severity])


def combine(clients: Clients, severity: Severity, leaves: list[MetricAlarm], topic: str) -> None:
    name = f"totes-prod-{severity}"
    told = {"AlarmRule": rule(leaves, severity), "AlarmActions": [topic], "ActionsEnabled": True, "StateValue": "OK"}
    clients.composites[name] = {"AlarmName": name, **told}


def measure_always(clients: Clients) -> None:
    for metric in ("as_of_age_seconds", "heartbeat_age_seconds"):
        clients.client("cloudwatch").put_metric_data(
            Namespace="totes-prod", MetricData=[{"MetricName": metric, "Value": 1.0}]
        )


def test_an_installation_as_deployed_passes_every_check(deployed: Deployed) -> None:
    assert [finding for finding in deployed.findings() if finding.verdict is not Verdict.OK] == []


def delete_bucket(deployed: Deployed) -> None:
    deployed.clients.client("s3").delete_bucket(Bucket=deployed.account.buckets["control"])


def stop_versioning(deployed: Deployed) -> None:
    deployed.clients.client("s3").put_bucket_versioning(
        Bucket=deployed.account.buckets["archive"], VersioningConfiguration={"Status": "Suspended"}
    )


def open_to_the_public(deployed: Deployed) -> None:
    deployed.clients.client("s3").delete_public_access_block(Bucket=deployed.account.buckets["archive"])


def delete_queue(deployed: Deployed) -> None:
    deployed.clients.client("sqs").delete_queue(QueueUrl=deployed.account.queues["loads"])


def delete_dead_letter_queue(deployed: Deployed) -> None:
    deployed.clients.client("sqs").delete_queue(QueueUrl=deployed.account.dead_letter_queues["loads"])


def redrive_elsewhere(deployed: Deployed) -> None:
    sqs = deployed.clients.client("sqs")
    wrong = deployed.account.dead_letter_queues["changes"]
    arn = sqs.get_queue_attributes(QueueUrl=wrong, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    deployed.queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 64}))


def redrive_early(deployed: Deployed) -> None:
    sqs, own = deployed.clients.client("sqs"), deployed.account.dead_letter_queues["loads"]
    arn = sqs.get_queue_attributes(QueueUrl=own, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    deployed.queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5}))


def forget_parked_early(deployed: Deployed) -> None:
    deployed.clients.client("sqs").set_queue_attributes(
        QueueUrl=deployed.account.dead_letter_queues["loads"], Attributes={"MessageRetentionPeriod": "86400"}
    )


def delete_function(deployed: Deployed) -> None:
    deployed.clients.client("lambda").delete_function(FunctionName="totes-prod-loader")


def shorten_timeout(deployed: Deployed) -> None:
    deployed.clients.client("lambda").update_function_configuration(FunctionName="totes-prod-loader", Timeout=3)


def mapping(deployed: Deployed, **settings: Any) -> None:
    client = deployed.clients.client("lambda")
    [found] = client.list_event_source_mappings(FunctionName="totes-prod-loader")["EventSourceMappings"]
    client.update_event_source_mapping(UUID=found["UUID"], **settings)


def delete_mapping(deployed: Deployed) -> None:
    client = deployed.clients.client("lambda")
    [found] = client.list_event_source_mappings(FunctionName="totes-prod-loader")["EventSourceMappings"]
    client.delete_event_source_mapping(UUID=found["UUID"])


def disable_schedule(deployed: Deployed) -> None:
    scheduler = deployed.clients.client("scheduler")
    found = scheduler.get_schedule(Name="totes-prod-poller")
    kept = {name: found[name] for name in ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(**kept, State="DISABLED")


def delete_alarm(deployed: Deployed) -> None:
    deployed.clients.client("cloudwatch").delete_alarms(AlarmNames=["totes-prod-messages_parked-loads"])


def silence_alarm(deployed: Deployed) -> None:
    deployed.clients.client("cloudwatch").disable_alarm_actions(AlarmNames=["totes-prod-messages_parked-loads"])


def ring(deployed: Deployed) -> None:
    deployed.clients.client("cloudwatch").set_alarm_state(
        AlarmName="totes-prod-messages_parked-loads", StateValue="ALARM", StateReason="test"
    )


def unsubscribe(deployed: Deployed) -> None:
    sns = deployed.clients.client("sns")
    for each in sns.list_subscriptions()["Subscriptions"]:
        if each["TopicArn"].endswith(":totes-prod-critical"):
            sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


def delete_composite(deployed: Deployed) -> None:
    del deployed.clients.composites["totes-prod-critical"]


def forget_a_leaf(deployed: Deployed) -> None:
    """Its composite rings for all others."""
    others = [leaf for leaf in metric_alarms(PROD, "") if leaf.name != "totes-prod-messages_parked-loads"]
    combine(deployed.clients, "critical", others, f"arn:aws:sns:{REGION}:000000000000:totes-prod-critical")


def leave_unconfirmed(deployed: Deployed) -> None:
    deployed.clients.leave_subscriptions_unconfirmed("totes-prod-critical")


def delete_topic(deployed: Deployed) -> None:
    sns = deployed.clients.client("sns")
    for each in sns.list_topics()["Topics"]:
        if each["TopicArn"].endswith(":totes-prod-critical"):
            sns.delete_topic(TopicArn=each["TopicArn"])


def stop_encrypting(deployed: Deployed) -> None:
    deployed.clients.client("s3").delete_bucket_encryption(Bucket=deployed.account.buckets["archive"])


def downgrade(deployed: Deployed) -> None:
    deployed.clients.client("lambda").update_function_configuration(
        FunctionName="totes-prod-loader", Runtime="python3.9"
    )


def make_secret_anew(deployed: Deployed) -> None:
    """As Terraform makes it, without a value."""
    secrets = deployed.clients.client("secretsmanager")
    secrets.delete_secret(SecretId="totes-prod/source", ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name="totes-prod/source")


def delete_secret(deployed: Deployed) -> None:
    secrets = deployed.clients.client("secretsmanager")
    secrets.delete_secret(SecretId="totes-prod/source", ForceDeleteWithoutRecovery=True)


def fail_an_invocation(deployed: Deployed) -> None:
    sqs = deployed.clients.client("sqs")
    url = sqs.get_queue_url(QueueName="totes-prod-schedules-dlq")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")


def delete_schedules_queue(deployed: Deployed) -> None:
    sqs = deployed.clients.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="totes-prod-schedules-dlq")["QueueUrl"])


def measure_elsewhere(deployed: Deployed) -> None:
    deployed.clients.measure_nothing()


FAIL, WARN = Verdict.FAIL, Verdict.WARN
BREAKS: list[tuple[Callable[[Deployed], None], str, Verdict, str]] = [
    (delete_bucket, "bucket: control", FAIL, "is not there"),
    (stop_versioning, "bucket: archive", FAIL, "is not versioned"),
    (open_to_the_public, "bucket: archive", WARN, "does not block public access"),
    (delete_queue, "queue: loads", FAIL, "is not there"),
    (delete_dead_letter_queue, "queue: loads", FAIL, "has no dead-letter queue"),
    (lambda deployed: deployed.queue(VisibilityTimeout="30"), "queue: loads", FAIL, "hides a received message for 30"),
    (lambda deployed: deployed.queue(MessageRetentionPeriod="60"), "queue: loads", FAIL, "keeps a message for 60 s"),
    (redrive_elsewhere, "queue: loads", FAIL, "does not redrive to its dead-letter queue"),
    (redrive_early, "queue: loads", FAIL, "gives up after 5 receives"),
    (forget_parked_early, "queue: loads", FAIL, "deleted early"),
    (delete_function, "function: loader", FAIL, "is not deployed"),
    (shorten_timeout, "function: loader", FAIL, "may run for 3 s"),
    (lambda deployed: mapping(deployed, Enabled=False), "function: loader", FAIL, "Disabled"),
    (lambda deployed: mapping(deployed, BatchSize=3), "function: loader", FAIL, "takes 3 messages"),
    (lambda deployed: mapping(deployed, FunctionResponseTypes=[]), "function: loader", FAIL, "ReportBatchItemFailures"),
    (delete_mapping, "function: loader", FAIL, "is missing"),
    (disable_schedule, "function: poller", FAIL, "is disabled: nothing starts it"),
    (delete_alarm, "alarms", FAIL, "messages_parked"),
    (silence_alarm, "alarms", WARN, "Nobody is told by totes-prod-messages_parked-loads"),
    (ring, "alarms", WARN, "Ringing now: totes-prod-messages_parked-loads"),
    (delete_composite, "alarms", FAIL, "Alarms are missing: totes-prod-critical."),
    (forget_a_leaf, "alarms", FAIL, "totes-prod-critical does not ring for totes-prod-messages_parked-loads"),
    (unsubscribe, "alarms: e-mail", WARN, "Nobody listens to totes-prod-critical"),
    (delete_topic, "alarms: e-mail", WARN, "Nobody listens to totes-prod-critical"),
    (leave_unconfirmed, "alarms: e-mail", WARN, "1 subscriptions of totes-prod-critical wait to be confirmed"),
    (stop_encrypting, "bucket: archive", WARN, "does not encrypt"),
    (downgrade, "function: loader", FAIL, "runs on python3.9 where the topology says python3.13"),
    (make_secret_anew, "secret: source", FAIL, "The secret totes-prod/source has no value yet"),
    (delete_secret, "secret: source", FAIL, "is not there"),
    (fail_an_invocation, "schedules", WARN, "could not make 1 invocations, which totes-prod-schedules-dlq keeps"),
    (delete_schedules_queue, "schedules", FAIL, "totes-prod-schedules-dlq is not there"),
    (measure_elsewhere, "metrics", WARN, "heartbeat_age_seconds has come in for three hours in the namespace"),
]


@pytest.mark.parametrize(("break_it", "check", "verdict", "told"), BREAKS)
def test_whatever_is_wrong_in_the_account_is_told_alone_and_with_a_cure(
    deployed: Deployed, break_it: Callable[[Deployed], None], check: str, verdict: Verdict, told: str
) -> None:
    break_it(deployed)

    [worse] = [finding for finding in deployed.findings() if finding.verdict is not Verdict.OK]

    assert (worse.check, worse.verdict) == (check, verdict)
    assert told in worse.found
    assert worse.cure
    assert "operator@example.com" not in str(worse)


def test_the_embedded_stack_has_no_alarms_and_that_is_no_fault(deployed: Deployed) -> None:
    open_to_the_public(deployed)
    deployed.account = replace(deployed.account, embedded=True)

    found = deployed.findings()

    assert verdicts(found, "alarms") == [Verdict.NOTE]
    assert {finding.verdict for finding in found} == {Verdict.OK, Verdict.NOTE}


def test_a_stack_whose_aws_does_not_answer_is_a_failure_and_its_disk_is_told_all_the_same(tmp_path: Path) -> None:
    class Silent:
        def client(self, service: str) -> Any:
            raise Unavailable("AWS did not answer: it is away.")

    class NoCheckpoint(CheckpointStore):
        def load_with_age(self) -> tuple[Checkpoint, float]:
            raise Unavailable("S3 failed to read the checkpoint.")

    account = Account(Silent(), topology(), {"archive": "a"}, {}, {}, embedded=True)
    stack = Stack(account, NoCheckpoint(ObjectStore(None), "control"), "the log", tmp_path)

    found = examine(Databases(None, None, "public", SCHEMA), stack, utc_now)

    assert (verdicts(found, "account"), verdicts(found, "poller")) == ([FAIL], [FAIL])
    assert verdicts(found, "disk") != []
    assert not found.reached


# -- what runs


def going(**changes: Any) -> Running:
    checkpoint = Checkpoint(owner="a", feeds={"design": FeedState()})
    return replace(Running(checkpoint, silent_seconds=1.0, log="/aws/lambda/totes-prod-poller"), **changes)


def test_a_poller_that_gives_signs_of_life_is_in_order() -> None:
    assert running.of_poller(going()).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("facts", "verdict", "told"),
    [
        (going(silent_seconds=600.0), FAIL, "last sign of life 600 s ago"),
        (going(checkpoint=Checkpoint(owner="a", paused=True)), WARN, "paused by an operator"),
        (going(checkpoint=Checkpoint()), WARN, "No poller has begun yet"),
    ],
)
def test_a_poller_that_does_not_poll_is_told_with_the_reason(facts: Running, verdict: Verdict, told: str) -> None:
    found = running.of_poller(facts)

    assert (found.verdict, told in found.found) == (verdict, True)
    assert found.cure


def test_a_stopped_feed_is_told_with_its_own_reason() -> None:
    stopped = Checkpoint(feeds={"design": FeedState(stopped="The column x is missing: restore it.")})

    [found] = running.of_feeds(stopped)

    assert (found.verdict, "The column x is missing" in found.found) == (FAIL, True)


def test_a_feed_that_an_operator_paused_is_a_warning_with_the_command_that_lets_it_go_on() -> None:
    [found] = running.of_feeds(Checkpoint(feeds={"design": FeedState(paused=True), "staff": FeedState()}))

    assert (found.verdict, "totes resume design" in found.cure) == (WARN, True)


@pytest.mark.parametrize(("free", "verdict"), [(100 * 2**20, FAIL), (500 * 2**20, WARN), (2**40, Verdict.OK)])
def test_a_disk_that_fills_is_told_before_it_is_full(free: int, verdict: Verdict) -> None:
    assert running.of_disk(free, "/var/totes").verdict is verdict


# -- the command


def totes(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="totes")


@pytest.fixture
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_empty_folder")
def test_the_exit_code_tells_sound_from_failed_from_unreachable(totesys: Source, warehouse_dsn: str) -> None:
    sound = totes("doctor", "--source", totesys.reader_dsn, "--warehouse", loader(warehouse_dsn), "--json")
    with totesys.connect() as owner:
        owner.run(f"REVOKE SELECT ON payment FROM {READER}")
    failed = totes("doctor", "--source", totesys.reader_dsn)
    unreachable = totes("doctor", "--source", NOWHERE)
    nothing_runs = totes("doctor", "--state-dir", "nowhere")

    assert [each.exit_code for each in (sound, failed, unreachable, nothing_runs)] == [0, 1, 3, 3]
    assert {"check", "verdict", "found", "cure"} == set(json.loads(sound.stdout)["findings"][0])
    assert "GRANT SELECT ON public.payment" in failed.stdout


def test_every_line_fits_its_terminal_and_the_worst_comes_last(totesys: Source, server: Server) -> None:
    found = examined(totesys.dsn, NOWHERE)

    for width in (60, 80, 160):
        told = list(lines(found, width))
        assert max(map(len, told)) <= width
    order = [list(Verdict).index(Verdict(line.split()[0])) for line in told if line[:1].strip() and line[5] == " "]
    assert order == sorted(order)
    assert told[-1].startswith("1 of ")


def test_what_may_be_run_as_it_stands_is_quoted() -> None:
    odd = databases.Indexed('odd"table', 10**6, index=False)

    [warning] = databases.of_indexes((odd,), "Sales")

    assert 'CREATE INDEX CONCURRENTLY ON "Sales"."odd""table" (last_updated)' in warning.cure


def test_a_neighbour_whose_prefix_begins_alike_is_no_part_of_a_deployment() -> None:
    arn = "arn:aws:sns:eu-west-2:1:totes-prod-eu-critical"
    neighbours = {"totes-prod-eu-critical": AlarmFacts("totes-prod-eu-critical", "ALARM", (arn,))}

    [missing] = alarms.of_alarms(PROD, neighbours)

    assert "totes-prod-eu" not in missing.found
    assert alarms.topics_of(neighbours, PROD) == []
