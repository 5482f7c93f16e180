"""What was released never changes, and what is published binds somebody."""

import json
from pathlib import Path

import jsonschema
import pytest

from contracts.feeds import FEEDS
from contracts.source import SalesOrderRow
from services.ops.contracts.published import Kind, Published, today
from services.ops.contracts.registry import RELEASED, Registry, lines, render
from shared.errors import ConfigurationError

CONTRACTS = {each.title: each for each in today()}


def objects(schema: object) -> list[dict[str, object]]:
    """Every object schema in a document."""
    if isinstance(schema, list):
        return [found for each in schema for found in objects(each)]
    if not isinstance(schema, dict):
        return []
    return [
        *([schema] if "properties" in schema else []),
        *(found for each in schema.values() for found in objects(each)),
    ]


def test_every_message_feed_and_star_table_has_a_contract():
    assert len(CONTRACTS) == 3 + len(FEEDS) + 11
    assert {each.kind for each in CONTRACTS.values()} == set(Kind)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_what_is_written_is_closed_and_what_is_read_is_open(contract: Published):
    written, read = objects(contract.written), objects(contract.read)

    for schema in (contract.written, contract.read):
        jsonschema.Draft202012Validator.check_schema(schema)
    assert written
    assert all(each["additionalProperties"] is False for each in written)
    assert not any("additionalProperties" in each for each in read)


def test_a_better_sentence_is_no_new_version():
    class Reworded(SalesOrderRow):
        """Another sentence altogether."""

    feeds = {"sales_order": FEEDS["sales_order"]}
    reworded = {"sales_order": type(FEEDS["sales_order"])("sales_order", "sales_order_id", Reworded, None)}

    [before] = [each for each in today(feeds, {}) if each.kind is Kind.SOURCE]
    [after] = [each for each in today(reworded, {}) if each.kind is Kind.SOURCE]

    assert before == after


def test_what_was_added_is_found_again_and_adding_it_twice_is_like_once(tmp_path: Path):
    written = Registry(tmp_path).add(CONTRACTS["source.payment"])

    again = Registry(tmp_path).add(CONTRACTS["source.payment"])

    assert (len(written), again) == (2, ())
    assert Registry(tmp_path).versions("source.payment") == {1: CONTRACTS["source.payment"]}
    assert Registry(tmp_path).titles() == ("source.payment",)
    assert Registry(tmp_path).newest("source.payment") == 1


def test_versions_are_told_apart_by_number(tmp_path: Path):
    registry, one = Registry(tmp_path), CONTRACTS["star.dim_date"]
    for version in (1, 2, 10):
        registry.add(Published(one.kind, one.name, version, one.written, one.read))

    assert list(Registry(tmp_path).versions("star.dim_date")) == [1, 2, 10]


def test_another_content_under_a_released_version_is_refused(tmp_path: Path):
    one = CONTRACTS["source.payment"]
    Registry(tmp_path).add(one)
    other = Published(one.kind, one.name, one.version, {**one.written, "required": []}, one.read)

    with pytest.raises(ConfigurationError, match=r"Expected a new version of source[.]payment"):
        Registry(tmp_path).add(other)


@pytest.mark.parametrize("edit", ["other bytes", "none"])
def test_a_released_file_that_was_edited_or_lost_is_named(tmp_path: Path, edit: str):
    Registry(tmp_path).add(CONTRACTS["source.payment"])
    path = tmp_path / "source" / "payment" / "v1.read.json"
    if edit == "none":
        path.unlink()
    else:
        path.write_text(path.read_text().replace("payment_id", "payment_ident"))

    with pytest.raises(ConfigurationError, match=rf"v1.read.json as it was released, found {edit}") as caught:
        Registry(tmp_path).versions("source.payment")

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_list_of_digests_that_is_none_is_named(tmp_path: Path, text: str):
    (tmp_path / RELEASED).write_text(text)

    with pytest.raises(ConfigurationError, match="restore it from git"):
        Registry(tmp_path).titles()


def test_a_schema_is_told_in_lines():
    assert lines({"properties": {"a": {"type": "string"}}, "required": []}) == [
        'properties.a.type: "string"',
        "required: []",
    ]
    assert json.loads(render({"b": 1, "a": "é"})) == {"a": "é", "b": 1}
