"""A message of any version, read by today's code, is the message that today's writer would have sent."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from contracts.messages import CloudEvent, Message, any_version_of, named

NOW = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)


class OrderV1(Message):
    units: int


class OrderV2(Message):
    units_sold: int
    channel: str


class OrderV3(Message):
    units_sold: Annotated[int, Field(ge=0)]
    channels: tuple[str, ...]


class V1(CloudEvent):
    version: ClassVar[int] = 1
    dataschema: Annotated[str, any_version_of("order")] = named("order", version)
    data: OrderV1


def _from_1(document: Any) -> Any:
    """units is units_sold; every order was sold in the shop."""
    return {**document, "data": {"units_sold": document["data"]["units"], "channel": "shop"}}


class V2(CloudEvent):
    version: ClassVar[int] = 2
    former: ClassVar[Any] = {1: _from_1}
    dataschema: Annotated[str, any_version_of("order")] = named("order", version)
    data: OrderV2


def _from_2(document: Any) -> Any:
    """An order may go through several channels; what was given back counts as nothing sold."""
    data = document["data"]
    return {**document, "data": {"units_sold": max(0, data["units_sold"]), "channels": [data["channel"]]}}


class V3(CloudEvent):
    version: ClassVar[int] = 3
    former: ClassVar[Any] = {1: _from_1, 2: _from_2}
    dataschema: Annotated[str, any_version_of("order")] = named("order", version)
    data: OrderV3


def event(model: Any, **data: Any) -> Any:
    shared = {"id": "order/1", "source": "/shop", "type": "order", "subject": "order", "time": NOW}
    return model(**shared, data=data)


def written(version: int, units: int, channel: str = "shop") -> str:
    """An order as that version's writer sends it; the first knew no channel."""
    if version == 1:
        return event(V1, units=units).body()
    if version == 2:
        return event(V2, units_sold=units, channel=channel).body()
    return event(V3, units_sold=max(0, units), channels=(channel,)).body()


def unnamed(body: str) -> str:
    """As it was sent before messages named their version."""
    return json.dumps({name: value for name, value in json.loads(body).items() if name != "dataschema"})


UNITS = st.integers(-5, 2**40)


MODELS = {1: V1, 2: V2, 3: V3}


@given(units=UNITS, channel=st.text(max_size=5), versions=st.tuples(*[st.sampled_from([1, 2, 3])] * 2).map(sorted))
def test_a_message_of_any_former_version_is_the_one_that_is_written_today(units, channel, versions):
    wrote, reads = versions
    sold = "shop" if wrote == 1 else channel

    found = MODELS[reads].model_validate_json(written(wrote, units, sold))

    assert found == MODELS[reads].model_validate_json(written(reads, units, sold))
    assert found.body() == written(reads, units, sold)


@given(units=UNITS, channel=st.text(max_size=5), chain=st.lists(st.sampled_from([1, 2, 3]), min_size=1).map(sorted))
def test_a_message_read_and_sent_on_by_any_chain_of_versions_is_the_same(units, channel, chain):
    body = written(chain[0], units, "shop" if chain[0] == 1 else channel)
    for version in (*chain, 3, 3):
        body = MODELS[version].model_validate_json(body).body()

    assert body == written(3, units, "shop" if chain[0] == 1 else channel)


@given(units=UNITS)
def test_a_message_that_names_no_version_is_of_the_first(units):
    assert V3.model_validate_json(unnamed(written(1, units))) == V3.model_validate_json(written(1, units))
    assert V1.model_validate_json(unnamed(written(1, units))) == event(V1, units=units)


def test_a_former_message_that_would_pass_as_today_s_is_upcast_all_the_same():
    both = {"units": 5, "units_sold": 7, "channel": "web", "channels": ["a"]}
    body = json.dumps(json.loads(written(2, 7)) | {"data": both})

    assert V3.model_validate_json(body).data == OrderV3(units_sold=7, channels=("web",))
    assert V3.model_validate_json(unnamed(body)).data == OrderV3(units_sold=5, channels=("shop",))


def test_a_message_newer_than_the_code_is_read_as_far_as_it_is_known_and_sent_on_as_today_s():
    newer = json.loads(written(3, 5)) | {"dataschema": named("order", 4), "priority": 1}
    newer["data"]["discount"] = "0.10"

    found = V3.model_validate_json(json.dumps(newer))

    assert found.body() == written(3, 5)


def test_a_message_newer_than_the_code_that_lacks_what_is_needed_today_is_refused_and_says_its_version():
    newer = json.loads(written(3, 5)) | {"dataschema": named("order", 4)}
    del newer["data"]["channels"]

    with pytest.raises(ValidationError, match="channels"):
        V3.model_validate_json(json.dumps(newer))
    assert V3.stated_version(json.dumps(newer)) == 4


@pytest.mark.parametrize("damage", [{}, {"units": "many"}, {"units": None}, 7, None])
def test_a_damaged_message_of_a_former_version_is_refused_like_any_other(damage):
    body = json.dumps(json.loads(written(1, 5)) | {"data": damage})

    with pytest.raises(ValidationError):
        V3.model_validate_json(body)


@pytest.mark.parametrize("body", ["", "no json", "[]", "7", '{"Records": []}', '{"dataschema": "urn:totes:order:3"}'])
def test_what_is_no_message_is_refused_by_every_version(body):
    for model in (V1, V2, V3):
        with pytest.raises(ValidationError):
            model.model_validate_json(body)


def test_a_message_says_its_version_whatever_else_is_wrong_with_it():
    said = [None, 1, "urn:totes:order:0", "urn:totes:order:x", "urn:totes:other:2", "urn:totes:order:1234567890", ""]

    assert [V3.stated_version(json.dumps({"dataschema": each})) for each in said] == [None] * len(said)
    assert [V3.stated_version(body) for body in ("", "no json", "[]", "7")] == [None] * 4
    assert V3.stated_version("{}") == 1
    assert V3.stated_version('{"dataschema": "urn:totes:order:12"}') == 12


@pytest.mark.parametrize("steps", [{}, {2: _from_2}, {1: _from_1, 2: _from_2, 3: _from_2}])
def test_a_message_that_forgets_a_former_version_fails_at_import(steps):
    with pytest.raises(ValueError, match="every version before 3"):

        class Forgetful(CloudEvent):
            version: ClassVar[int] = 3
            former: ClassVar[Any] = steps
            dataschema: Annotated[str, any_version_of("order")] = named("order", version)


def test_a_message_that_is_named_by_another_version_than_its_own_fails_at_import():
    with pytest.raises(ValueError, match="expected a dataschema of version 2"):

        class Misnamed(V1):
            version: ClassVar[int] = 2
            former: ClassVar[Any] = {1: _from_1}
