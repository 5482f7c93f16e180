"""The AsyncAPI document is whole in itself, and says of messages and queues what the code and the topology say."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic_core import to_json

from contracts.messages import CloudEvent
from services.local.topology import topology
from services.ops.contracts.documents.asyncapi import asyncapi, operations
from services.ops.contracts.published import MESSAGES, Kind, Published, today
from shared.consumer import Delivery
from shared.errors import MalformedMessage
from shared.parking import CARRIED_OVER, attributes_of

ROOT = Path(__file__).parents[3]
OURS = ("$schema", "$id", "$defs", "description")
"""Where a payload in the document differs from the schema that is published."""


def parsed(**changed: Any) -> dict[str, Any]:
    """The document of today's messages, on a topology with changed parts."""
    described = topology().model_copy(update=changed)
    return yaml.safe_load(asyncapi(today(), described))


DOCUMENT = parsed()


def found(document: dict[str, Any], reference: str) -> Any:
    """What a reference leads to. Raises KeyError where it leads nowhere."""
    assert reference.startswith("#/")
    place: Any = document
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref")
        yield from chain.from_iterable(references(value) for value in part.values())
    elif isinstance(part, list):
        yield from chain.from_iterable(references(value) for value in part)


def inlined(document: dict[str, Any], schema: Any) -> Any:
    """The schema with whatever it refers to in its place, and without what binds nobody."""
    if isinstance(schema, list):
        return [inlined(document, each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inlined(document, found(document, schema["$ref"]))
    return {
        key: {name: inlined(document, each) for name, each in value.items()}
        if key == "properties"
        else inlined(document, value)
        for key, value in schema.items()
        if key not in OURS
    }


def payload(name: str) -> dict[str, Any]:
    return inlined(DOCUMENT, DOCUMENT["components"]["messages"][name]["payload"])


def test_every_reference_leads_somewhere() -> None:
    leading = set(references(DOCUMENT))

    assert len(leading) > 20
    assert [found(DOCUMENT, reference) for reference in leading if not found(DOCUMENT, reference)] == []


@pytest.mark.parametrize(
    "contract", [each for each in today() if each.kind is Kind.MESSAGE], ids=lambda each: each.name
)
def test_a_payload_is_the_written_schema_of_its_message(contract: Published) -> None:
    assert payload(contract.name) == inlined(dict(contract.written), dict(contract.written))
    Draft202012Validator.check_schema(payload(contract.name))


@pytest.mark.parametrize("name", MESSAGES)
def test_every_example_validates_against_its_payload_and_is_read_by_its_model(name: str) -> None:
    examples = DOCUMENT["components"]["messages"][name]["examples"]

    assert examples
    for example in examples:
        Draft202012Validator(payload(name)).validate(example["payload"])
        read: CloudEvent = MESSAGES[name].model_validate_json(to_json(example["payload"]))
        assert read.model_dump(mode="json") == example["payload"]


def test_no_two_examples_are_one_batch() -> None:
    ids = [each["payload"]["id"] for name in MESSAGES for each in DOCUMENT["components"]["messages"][name]["examples"]]

    assert len(ids) == len(set(ids)) == 4


def test_every_message_travels_and_every_queue_carries_what_its_operations_say() -> None:
    carried = {name for channel in DOCUMENT["channels"].values() for name in channel["messages"]}

    assert carried == set(MESSAGES) == set(DOCUMENT["components"]["messages"])
    for operation in DOCUMENT["operations"].values():
        channel = found(DOCUMENT, operation["channel"]["$ref"])
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"])
            assert found(DOCUMENT, message["$ref"]) in channel["messages"].values()


@pytest.mark.parametrize("queue", topology().queues)
def test_a_queue_has_the_names_and_numbers_of_the_topology(queue: str) -> None:
    described = topology()

    work, parked = DOCUMENT["channels"][queue], DOCUMENT["channels"][f"{queue}_dead_letters"]

    sqs = work["bindings"]["sqs"]
    assert (work["address"], parked["address"]) == (described.name(queue), described.dead_letter_name(queue))
    assert sqs["queue"]["messageRetentionPeriod"] == described.queues[queue].retention_seconds
    assert sqs["queue"]["visibilityTimeout"] == described.visibility_timeout_seconds(queue)
    assert sqs["queue"]["redrivePolicy"] == {
        "deadLetterQueue": {"name": parked["address"]},
        "maxReceiveCount": described.queues[queue].max_receive_count,
    }
    assert sqs["deadLetterQueue"] == parked["bindings"]["sqs"]["queue"]
    assert sqs["deadLetterQueue"]["messageRetentionPeriod"] == described.queues[queue].dead_letter_retention_seconds


def test_a_number_that_changes_in_the_topology_changes_in_the_document() -> None:
    changes = topology().queues["changes"].model_copy(update={"retention_days": 3, "max_receive_count": 70})

    document = parsed(queues={**topology().queues, "changes": changes}, prefix="bags")

    queue = document["channels"]["changes"]["bindings"]["sqs"]["queue"]
    assert queue["messageRetentionPeriod"] == 3 * 24 * 3600
    assert queue["redrivePolicy"] == {"deadLetterQueue": {"name": "bags-changes-dlq"}, "maxReceiveCount": 70}
    assert "totes-" not in yaml.safe_dump({key: document[key] for key in ("info", "channels", "servers")})


def test_a_message_that_changes_changes_in_the_document() -> None:
    """A new version of one message: its schema, and the document's own version."""
    contracts = [each if each.name != "heartbeat" else longer(each) for each in today()]

    document = yaml.safe_load(asyncapi(contracts, topology()))

    assert document["info"]["version"] == "2.0.0"
    assert "mood" in document["components"]["schemas"]["heartbeat"]["properties"]


def longer(contract: Published) -> Published:
    properties = {**contract.written["properties"], "mood": {"type": "string"}}
    return replace(contract, version=2, written={**contract.written, "properties": properties})


def test_who_sends_to_a_queue_is_who_terraform_allows_it() -> None:
    """The operator's rights are his own; SendMessage is in no other statement of a function."""
    text = (ROOT / "terraform" / "permissions.tf").read_text()
    functions = re.findall(r"^    (\w+) = (?:concat\(local\.consuming\.\w+, )?\[\n(.*?)^    \]", text, re.M | re.S)
    allowed = {
        (function, queue)
        for function, statements in functions
        for queue in re.findall(r'\["sqs:SendMessage"\], resources = \[local\.queue_arns\.(\w+)\]', statements)
    }

    said = {(each.who, each.queue) for each in operations(topology()) if each.action == "send" and not each.parked}

    assert len(functions) == len(topology().functions)
    assert said - {("operator", queue) for queue in topology().queues} == allowed


def test_who_receives_from_a_queue_parks_what_it_cannot_handle() -> None:
    for queue in topology().queues:
        of_queue = [each for each in operations(topology()) if each.queue == queue]

        assert [each.who for each in of_queue if each.action == "receive" and not each.parked] == [
            topology().consumer(queue)
        ]
        assert [each.who for each in of_queue if each.action == "send" and each.parked] == [topology().consumer(queue)]
        assert [each.who for each in of_queue if each.action == "receive" and each.parked] == ["operator"]


def test_the_attributes_are_those_that_a_parked_message_carries() -> None:
    told = DOCUMENT["components"]["schemas"]["attributes"]["properties"]
    carried = dict.fromkeys(CARRIED_OVER, "1")

    parked = attributes_of(MalformedMessage("no"), Delivery("m", "r", 2, "", carried), datetime(2026, 1, 1, tzinfo=UTC))

    assert set(told) == set(parked)
    assert all(each["description"] for each in told.values())


def test_a_message_says_where_the_id_stands_that_joins_the_logs() -> None:
    for name, message in DOCUMENT["components"]["messages"].items():
        for example in message["examples"]:
            place: Any = example["payload"]
            for step in message["correlationId"]["location"].removeprefix("$message.payload#/").split("/"):
                place = place[step]
            assert place in {example["payload"]["id"], example["payload"]["data"].get("change_batch")}, name


def test_a_property_says_what_its_field_means() -> None:
    data = DOCUMENT["components"]["schemas"]["ChangeBatchData"]

    assert data["properties"]["as_of"]["description"] == "Source clock at the snapshot the rows were read from."
    assert data["description"].startswith("Rows (or keys of deleted rows)")
