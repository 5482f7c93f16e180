"""Makes the topology's resources in the emulated AWS, as Terraform makes them in the real one.

Invariant: a second deployment finds what is there and updates it; nothing is made twice, no object or message is lost.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError

from services.local.code import code_files, code_root, zipped
from services.local.topology import Bucket, EventSourceMapping, Function, Topology, WorkQueue, schedule_expression

ACCOUNT = "000000000000"
"""The emulator's; its roles exist in name only."""
RUNTIME = "python3.11"
QUIET = {
    "POWERTOOLS_TRACE_DISABLED": "true",
    "AWS_XRAY_SDK_ENABLED": "false",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Nothing in a function may look for the real AWS."""


class Clients(Protocol):
    """Gives a boto3 client for a service's name."""

    def client(self, service: str, /) -> Any:
        """The client."""


@dataclass(frozen=True)
class Deployment:
    """What was made, by its name in the topology: buckets' names, queues' URLs."""

    buckets: Mapping[str, str]
    queues: Mapping[str, str]
    dead_letter_queues: Mapping[str, str]


@dataclass(frozen=True)
class Choices:
    """What differs between two stacks of one topology. Settings are those of shared.settings, as text."""

    secrets: Mapping[str, str]
    """Name in the topology -> DSN."""
    every_minutes: Mapping[str, int]
    """Function -> its schedule's period, where it differs from the topology's."""
    settings: Mapping[str, str]


def deploy(aws: Clients, topology: Topology, choices: Choices) -> Deployment:
    """Make or update everything: buckets, queues, secrets, functions, event source mappings, schedules."""
    storage = Deployment(
        buckets={name: _bucket(aws, topology.name(name), bucket) for name, bucket in topology.buckets.items()},
        dead_letter_queues={name: _dead_letter_queue(aws, topology, name) for name in topology.queues},
        queues={name: _queue(aws, topology, name) for name in topology.queues},
    )
    for name, value in choices.secrets.items():
        _secret(aws, topology.secret_name(name), value)
    written = {name: function for name, function in topology.functions.items() if has_code(function)}
    for name, function in written.items():
        told = environment(topology, name, storage, choices.settings)
        _function(aws, topology.name(name), function, code=code_zip(name), variables=told)
    for name in written.keys() & topology.event_source_mappings.keys():
        _mapping(aws, topology, name, topology.event_source_mappings[name])
    for name in written.keys() & topology.schedules.keys():
        _schedule(aws, topology.name(name), choices.every_minutes.get(name, topology.schedules[name].every_minutes))
    return storage


def begin(aws: Clients, topology: Topology, function: str) -> None:
    """Start one invocation without waiting for it: of a schedule's function its work, of a queue's only its imports."""
    event: dict[str, list[str]] = {"Records": []} if function in topology.event_source_mappings else {}
    payload = json.dumps(event).encode()
    aws.client("lambda").invoke(FunctionName=topology.name(function), InvocationType="Event", Payload=payload)


def warm(aws: Clients, topology: Topology) -> None:
    """Have every worker that the queues' functions may use import its code, and wait for it: nothing is delivered."""
    mappings = topology.event_source_mappings
    names = [name for name, mapping in mappings.items() for _ in range(mapping.maximum_concurrency)]
    with ThreadPoolExecutor(len(names)) as invoking:
        list(invoking.map(lambda name: _import(aws, topology.name(name)), names))


def _import(aws: Clients, name: str) -> None:
    aws.client("lambda").invoke(FunctionName=name, Payload=b'{"Records": []}')


def environment(topology: Topology, name: str, storage: Deployment, settings: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a function: what the topology names, and the settings somebody chose."""
    known = {
        **{f"{bucket}_bucket": found for bucket, found in storage.buckets.items()},
        **{f"{queue}_queue_url": url for queue, url in storage.queues.items()},
        **{f"{secret}_secret": topology.secret_name(secret) for secret in topology.secrets},
    }
    if name in topology.event_source_mappings:
        queue = topology.event_source_mappings[name].queue
        known["dead_letter_queue_url"] = storage.dead_letter_queues[queue]
    if name in topology.schedules:
        known["poll_lifetime_seconds"] = f"{topology.poll_lifetime_seconds(name)}"
    named = {setting: known[setting] for setting in topology.functions[name].environment if setting in known}
    chosen = {setting: value for setting, value in settings.items() if setting not in known}
    return {**{f"TOTES_{setting.upper()}": value for setting, value in {**chosen, **named}.items()}, **QUIET}


def has_code(function: Function) -> bool:
    """Whether the handler's module is there; the topology may describe a function before it is written."""
    module = function.handler.rpartition(".")[0]
    return (code_root() / f"{module.replace('.', '/')}.py").exists()


def code_zip(function: str) -> bytes:
    """Our packages that a function needs; the distributions it needs are in this environment."""
    return zipped(dict(code_files(function)))


def _bucket(aws: Clients, name: str, bucket: Bucket) -> str:
    s3 = aws.client("s3")
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as exc:
        if exc.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    if bucket.versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def _dead_letter_queue(aws: Clients, topology: Topology, name: str) -> str:
    retention = topology.queues[name].dead_letter_retention_seconds
    return _sqs_queue(aws, topology.dead_letter_name(name), {"MessageRetentionPeriod": f"{retention}"})


def _queue(aws: Clients, topology: Topology, name: str) -> str:
    """The dead-letter queue must be there already."""
    queue: WorkQueue = topology.queues[name]
    target = _arn(aws, "sqs", topology.dead_letter_name(name))
    attributes = {
        "MessageRetentionPeriod": f"{queue.retention_seconds}",
        "VisibilityTimeout": f"{topology.visibility_timeout_seconds(name)}",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": queue.max_receive_count}),
    }
    return _sqs_queue(aws, topology.name(name), attributes)


def _sqs_queue(aws: Clients, name: str, attributes: Mapping[str, str]) -> str:
    sqs = aws.client("sqs")
    try:
        url = str(sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except sqs.exceptions.QueueDoesNotExist:
        return str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return url


def _secret(aws: Clients, name: str, value: str) -> None:
    secrets = aws.client("secretsmanager")
    try:
        secrets.put_secret_value(SecretId=name, SecretString=value)
    except secrets.exceptions.ResourceNotFoundException:
        secrets.create_secret(Name=name, SecretString=value)


def _function(aws: Clients, name: str, function: Function, *, code: bytes, variables: Mapping[str, str]) -> None:
    client = aws.client("lambda")
    configuration = {
        "FunctionName": name,
        "Runtime": RUNTIME,
        "Role": _role(name),
        "Handler": function.handler,
        "Timeout": function.timeout_seconds,
        "MemorySize": function.memory_mb,
        "Environment": {"Variables": dict(variables)},
    }
    try:
        client.create_function(**configuration, Code={"ZipFile": code})
    except client.exceptions.ResourceConflictException:
        client.update_function_code(FunctionName=name, ZipFile=code)
        client.update_function_configuration(**configuration)


def _mapping(aws: Clients, topology: Topology, function: str, mapping: EventSourceMapping) -> None:
    client, name = aws.client("lambda"), topology.name(function)
    source = _arn(aws, "sqs", topology.name(mapping.queue))
    settings = {
        "FunctionName": name,
        "BatchSize": mapping.batch_size,
        "ScalingConfig": {"MaximumConcurrency": mapping.maximum_concurrency},
        "FunctionResponseTypes": list(mapping.function_response_types),
    }
    found = client.list_event_source_mappings(FunctionName=name, EventSourceArn=source)["EventSourceMappings"]
    if found:
        client.update_event_source_mapping(UUID=found[0]["UUID"], **settings)
    else:
        client.create_event_source_mapping(EventSourceArn=source, **settings)


def _schedule(aws: Clients, name: str, every_minutes: int) -> None:
    scheduler = aws.client("scheduler")
    schedule = {
        "Name": name,
        "ScheduleExpression": schedule_expression(every_minutes),
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": _arn(aws, "lambda", f"function:{name}"), "RoleArn": _role(name), "Input": "{}"},
    }
    try:
        scheduler.create_schedule(**schedule)
    except scheduler.exceptions.ConflictException:
        scheduler.update_schedule(**schedule)


def _arn(aws: Clients, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{aws.client(service).meta.region_name}:{ACCOUNT}:{resource}"


def _role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"
