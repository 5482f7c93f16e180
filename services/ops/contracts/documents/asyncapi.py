"""The queues as an AsyncAPI 3 document: who sends what, who receives it, and what becomes of what cannot be handled.

Payloads are the written JSON Schemas of the messages, with what each field means; names and numbers of the queues are
those of the topology. Pure. Invariant: nothing that the models or the topology say is typed here again.
Specification: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from contracts import messages
from contracts.messages import Message
from services.local.topology import Topology, WorkQueue
from services.ops.contracts.documents.examples import EXAMPLES
from services.ops.contracts.documents.meanings import constants, meanings, sentence
from services.ops.contracts.documents.text import yaml_text
from services.ops.contracts.published import MESSAGES, Kind, Published, Schema
from shared import parking

PATH = PurePosixPath("docs/contracts/asyncapi.yaml")
SPECIFICATION = "3.0.0"
SQS_BINDING = "0.2.0"
CONTENT_TYPE = "application/cloudevents+json"
"""CloudEvents in structured mode: the whole event is the body."""
PARKED = ("REASON", "REASON_CLASS", "RECEIVES", "FIRST_FAILED_AT", "REPLAYS", "REPLAY")
"""The constants of shared.parking that name attributes of a message."""
ATTRIBUTES = "attributes"
"""The schema of a message's attributes."""
JOINED_BY = {"change_batch": "id", "load_batch": "data/change_batch", "heartbeat": "id"}
"""Where a message says the id that joins the stages in their logs, as a JSON pointer."""

Part = dict[str, Any]
"""A part of the document, whose shape is AsyncAPI's own."""


@dataclass(frozen=True)
class Operation:
    """Somebody sends to a queue or receives from it; `parked`: it is the queue's dead-letter queue."""

    who: str
    action: Literal["send", "receive"]
    queue: str
    messages: tuple[str, ...]
    does: str
    parked: bool = False

    @property
    def name(self) -> str:
        """Unique among operations."""
        return f"{self.who}_{self.action}s_{self.queue}{'_dead_letters' * self.parked}"

    @property
    def channel(self) -> str:
        """The key of its channel."""
        return _channel_key(self.queue, parked=self.parked)


CARRIES = {"changes": ("change_batch", "heartbeat"), "loads": ("load_batch", "heartbeat")}
"""Queue -> the messages that travel on it."""
SENDS = (
    Operation(
        "poller",
        "send",
        "changes",
        ("change_batch", "heartbeat"),
        "Publishes what a poll, a scan or a backfill read, once it is archived; and a heartbeat about once a minute.",
    ),
    Operation(
        "reconciler",
        "send",
        "changes",
        ("change_batch",),
        "Publishes repairs: rows that differ between source and warehouse.",
    ),
    Operation(
        "operator",
        "send",
        "changes",
        CARRIES["changes"],
        "Sends parked messages, quarantined rows or archived batches once more.",
    ),
    Operation(
        "transform",
        "send",
        "loads",
        CARRIES["loads"],
        "Publishes the star rows of each change batch, once they are stored; and passes heartbeats on.",
    ),
    Operation("operator", "send", "loads", CARRIES["loads"], "Sends parked messages once more."),
)
CONSUMES = {
    "transform": "Holds every row to its contract, quarantines those that break it, and makes star rows of the others.",
    "loader": "Loads each batch into the warehouse, in one transaction with its bookkeeping.",
}
"""Consumer of a queue -> what it does with a message."""


def asyncapi(contracts: Iterable[Published], topology: Topology) -> str:
    """The document of these message contracts on these queues."""
    written = {each.name: each for each in contracts if each.kind is Kind.MESSAGE}
    document = {
        "asyncapi": SPECIFICATION,
        "id": f"urn:{topology.prefix}",
        "info": _info(topology, max(each.version for each in written.values())),
        "servers": {"sqs": _server()},
        "defaultContentType": CONTENT_TYPE,
        "channels": dict(_channels(topology)),
        "operations": {each.name: _operation(each) for each in operations(topology)},
        "components": {
            "messages": {name: _message(each) for name, each in written.items()},
            "schemas": {**_schemas(written.values()), ATTRIBUTES: _attributes()},
        },
    }
    return yaml_text(document)


def operations(topology: Topology) -> Iterator[Operation]:
    """All of them: who sends; who consumes each queue and parks what it cannot handle; who looks at what is parked."""
    yield from SENDS
    for queue, carried in CARRIES.items():
        consumer = topology.consumer(queue)
        yield Operation(consumer, "receive", queue, carried, CONSUMES[consumer])
        yield Operation(
            consumer, "send", queue, carried, "Parks a message that can never succeed, with its reason.", parked=True
        )
        yield Operation(
            "operator",
            "receive",
            queue,
            carried,
            "Lists, examines, replays or purges what is parked (`totes dlq`).",
            parked=True,
        )


def _info(topology: Topology, version: int) -> Part:
    """Nothing of a deployment: where it stands is the environment's."""
    waits_days = max(queue.dead_letter_retention_days for queue in topology.queues.values())
    return {
        "title": f"Messages of {topology.prefix}",
        "version": f"{version}.0.0",
        "description": (
            "Change batches and load batches on two standard queues of SQS. A message names an object and carries no "
            "rows (claim check). Order and repetition do not matter: what a message says is decided by its position, "
            "and a batch that comes twice is the same batch, by its own id. Messages are CloudEvents 1.0 in JSON, "
            "closed when written and open when read: a reader ignores what it does not know. A message may wait in a "
            f"dead-letter queue for {waits_days} days, so every version that was ever written stays readable. Queues "
            "are named here as on the embedded stack; in an account the environment follows the prefix "
            f"(`{topology.prefix}-prod-changes`)."
        ),
        "license": {"name": "MIT"},
    }


def _server() -> Part:
    return {
        "host": "sqs.{region}.amazonaws.com",
        "protocol": "sqs",
        "description": "Amazon SQS of the account; the embedded stack emulates it on the machine.",
        "variables": {"region": {"description": "The account's region, such as eu-west-2."}},
    }


def _channels(topology: Topology) -> Iterator[tuple[str, Part]]:
    """Each queue, then its dead-letter queue."""
    for name, carried in CARRIES.items():
        queue = topology.queues[name]
        channel = {"address": topology.name(name), "title": name, "description": queue.purpose}
        bindings = _work_queue(topology, name, queue)
        yield _channel_key(name), {**channel, **_carrying(carried), "bindings": bindings}
        parked = topology.dead_letter_name(name)
        yield (
            _channel_key(name, parked=True),
            {
                "address": parked,
                "title": f"Dead letters of {name}",
                "description": f"What could not be handled of {name}; what SQS moved by itself has no reason.",
                **_carrying(carried),
                "bindings": _sqs({"queue": _dead_letters(topology, name, queue)}),
            },
        )


def _work_queue(topology: Topology, name: str, queue: WorkQueue) -> Part:
    described = {
        "name": topology.name(name),
        "fifoQueue": False,
        "visibilityTimeout": topology.visibility_timeout_seconds(name),
        "messageRetentionPeriod": queue.retention_seconds,
        "redrivePolicy": {
            "deadLetterQueue": {"name": topology.dead_letter_name(name)},
            "maxReceiveCount": queue.max_receive_count,
        },
    }
    return _sqs({"queue": described, "deadLetterQueue": _dead_letters(topology, name, queue)})


def _dead_letters(topology: Topology, name: str, queue: WorkQueue) -> Part:
    return {
        "name": topology.dead_letter_name(name),
        "fifoQueue": False,
        "messageRetentionPeriod": queue.dead_letter_retention_seconds,
    }


def _sqs(binding: Part) -> Part:
    return {"sqs": {**binding, "bindingVersion": SQS_BINDING}}


def _carrying(carried: Iterable[str]) -> Part:
    return {
        "servers": [{"$ref": "#/servers/sqs"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in carried},
    }


def _operation(operation: Operation) -> Part:
    channel = f"#/channels/{operation.channel}"
    return {
        "action": operation.action,
        "channel": {"$ref": channel},
        "title": operation.who,
        "summary": operation.does,
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in operation.messages],
    }


def _message(published: Published) -> Part:
    return {
        "name": published.name,
        "title": published.name.replace("_", " ").capitalize(),
        "summary": sentence(MESSAGES[published.name]),
        "contentType": CONTENT_TYPE,
        "correlationId": {
            "description": "In every line that a stage logs about it.",
            "location": f"$message.payload#/{JOINED_BY[published.name]}",
        },
        "headers": {"$ref": f"#/components/schemas/{ATTRIBUTES}"},
        "payload": {"$ref": f"#/components/schemas/{published.name}"},
        "examples": [
            {"name": name, "summary": summary, "payload": payload}
            for name, summary, payload in EXAMPLES[published.name]
        ],
    }


def _attributes() -> Part:
    """What a message carries once it was parked or replayed; a fresh one carries none."""
    said = constants(parking)
    described = {getattr(parking, name): {"type": "string", "description": said[name]} for name in PARKED}
    return {
        "description": "Attributes of a message that was parked or replayed; a fresh one has none.",
        "type": "object",
        "properties": described,
    }


def _schemas(contracts: Iterable[Published]) -> Part:
    """Each message's schema and the parts they share, all at one place, where references in the document lead."""
    whole: Part = {}
    parts: Part = {}
    for each in contracts:
        schema = {key: value for key, value in each.written.items() if key not in ("$schema", "$id", "$defs")}
        whole[each.name] = _explained(schema, MESSAGES[each.name])
        for name, part in each.written.get("$defs", {}).items():
            model = getattr(messages, name)
            parts[name] = _explained(part, model) if issubclass(model, Message) else _moved(part)
    return whole | dict(sorted(parts.items()))


def _explained(schema: Schema, model: type[Message]) -> Part:
    """A model's schema with what the model and its fields mean."""
    said = meanings(model)
    properties = {
        name: {**_moved(each), "description": said[name]} if name in said else _moved(each)
        for name, each in schema["properties"].items()
    }
    return {"description": sentence(model), **_moved(schema), "properties": properties}


def _moved(schema: Any) -> Any:
    """The schema with its references leading to the document's own components."""
    if isinstance(schema, Mapping):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _moved(value)
            for key, value in schema.items()
        }
    return [_moved(each) for each in schema] if isinstance(schema, list) else schema


def _channel_key(queue: str, *, parked: bool = False) -> str:
    return f"{queue}_dead_letters" if parked else queue
