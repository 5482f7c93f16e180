"""The data contracts are valid under their standard, and say of each column what the published contract says."""

import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for
from open_data_contract_standard.model import OpenDataContractStandard

from contracts.feeds import FEEDS, Former
from services.local.topology import topology
from services.ops.contracts.documents import odcs
from services.ops.contracts.documents.columns import TODAY, Models
from services.ops.contracts.published import Kind, Published, today
from services.transform.quarantine import DRIFT_ROWS
from shared.settings import Settings

ROOT = Path(__file__).parents[3]
OFFICIAL = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())
"""As the standard's package carries it; its own function to read it warns."""
TEXTS = dict(odcs.documents(TODAY, topology()))
DOCUMENTS: dict[Path, dict[str, Any]] = {path: yaml.safe_load(text) for path, text in TEXTS.items()}
CONTRACTS = [each for each in today() if each.kind is not Kind.MESSAGE]


def document(contract: Published) -> dict[str, Any]:
    return DOCUMENTS[odcs.path(contract.kind, contract.name)]


def table(contract: Published) -> dict[str, Any]:
    [only] = document(contract)["schema"]
    return only


def columns(contract: Published) -> dict[str, dict[str, Any]]:
    """Without a fact's record id, which stands in no model."""
    made = {"x-record-id": contract.written.get("x-record-id")}.values()
    return {each["name"]: each for each in table(contract)["properties"] if each["name"] not in made}


def schemas(contract: Published) -> dict[str, dict[str, Any]]:
    """Each column's published schema, with NULL set aside and marks brought to the top."""
    found = {}
    for name, schema in contract.written["properties"].items():
        options = [each for each in schema.get("anyOf", [schema]) if each != {"type": "null"}]
        found[name] = {**schema, **options[0], "nullable": {"type": "null"} in schema.get("anyOf", [])}
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_contract_is_valid_under_the_official_schema_and_the_standard_s_models(path: Path) -> None:
    validator = validator_for(OFFICIAL)(OFFICIAL)

    assert [error.message for error in validator.iter_errors(DOCUMENTS[path])] == []
    read = OpenDataContractStandard.from_string(TEXTS[path])
    assert read.model_dump(exclude_none=True, by_alias=True) == DOCUMENTS[path]


@pytest.mark.parametrize("spoilt", [{"status": 1}, {"schemas": []}, {"apiVersion": "v9.0.0"}])
def test_the_official_schema_refuses_what_is_no_contract(spoilt: dict[str, Any]) -> None:
    """Or the test above would promise nothing."""
    whole = next(iter(DOCUMENTS.values()))

    assert not validator_for(OFFICIAL)(OFFICIAL).is_valid({**whole, **spoilt})


def test_every_feed_and_every_star_table_has_its_contract() -> None:
    assert list(DOCUMENTS) == [odcs.path(each.kind, each.name) for each in sorted(CONTRACTS, key=_place)]
    assert len(DOCUMENTS) == 22


def _place(contract: Published) -> tuple[str, int]:
    order = [*FEEDS] if contract.kind is Kind.SOURCE else [each.table for each in TODAY.tables]
    return contract.kind, order.index(contract.name)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.title)
def test_a_contract_says_what_the_published_one_says(contract: Published) -> None:
    said, published = columns(contract), schemas(contract)

    assert document(contract)["name"] == contract.title
    assert document(contract)["version"] == f"{contract.version}.0.0"
    assert list(said) == contract.written["x-columns"]
    assert {name for name, each in said.items() if not each["required"]} == {
        name for name, each in published.items() if each["nullable"]
    }
    assert {name for name, each in said.items() if each.get("classification") == "restricted"} == {
        name for name, each in published.items() if each.get("x-secret")
    }
    assert all(each["description"] for each in said.values())


@pytest.mark.parametrize(
    "contract", [each for each in CONTRACTS if each.kind is Kind.STAR], ids=lambda each: each.title
)
def test_a_star_column_has_its_sql_type_its_reference_and_the_key(contract: Published) -> None:
    said, published = columns(contract), schemas(contract)

    assert {name: each["physicalType"] for name, each in said.items()} == {
        name: each["x-sql"] for name, each in published.items()
    }
    assert {
        name: each["relationships"][0]["to"].partition(".")[0] for name, each in said.items() if "relationships" in each
    } == {name: each["x-references"] for name, each in published.items() if "x-references" in each}
    key = contract.written["x-record-id"] or contract.written["x-key"]
    assert [each["name"] for each in table(contract)["properties"] if each.get("primaryKey")] == [key]


@pytest.mark.parametrize(
    "contract", [each for each in CONTRACTS if each.kind is Kind.SOURCE], ids=lambda each: each.title
)
def test_a_source_column_has_its_family_its_key_and_its_table_s_rules(contract: Published) -> None:
    said, published = columns(contract), schemas(contract)

    families = {name: re.split(r"[(,]", each["physicalType"])[0] for name, each in said.items()}
    assert families == {name: each["x-family"] for name, each in published.items()}
    assert [name for name, each in said.items() if each.get("primaryKey")] == [contract.written["x-key"]]
    told = [each["description"] for each in table(contract)["quality"]]
    assert [each.lower() for each in told[:-1]] == [f"{rule}.".lower() for rule in contract.written["x-rules"]]
    assert f"at least {DRIFT_ROWS} rows" in told[-1]


def test_account_numbers_are_restricted_and_have_no_place_in_the_star() -> None:
    payment = DOCUMENTS[odcs.path(Kind.SOURCE, "payment")]
    restricted = [each["name"] for each in payment["schema"][0]["properties"] if "classification" in each]

    assert restricted == ["company_ac_number", "counterparty_ac_number"]
    assert "never leave the archive" in payment["description"]["limitations"]
    star = "".join(text for path, text in TEXTS.items() if path.parent.name == "star")
    assert [name for name in restricted if name in star] == []


def test_every_relationship_leads_to_a_column_of_a_contract_beside_it() -> None:
    leading = [
        (path, each["to"])
        for path, found in DOCUMENTS.items()
        for column in found["schema"][0]["properties"]
        for each in column.get("relationships", [])
    ]

    assert len(leading) == 17 + 24
    for path, to in leading:
        file, _, place = to.partition("#")
        [target] = DOCUMENTS[path.with_name(file)]["schema"]
        schema, name, _, column = place.split("/")
        assert (schema, name) == ("schema", target["id"])
        assert [each["primaryKey"] for each in target["properties"] if each["id"] == column] == [True]


def test_the_relationships_of_the_source_are_the_foreign_keys_of_totesys() -> None:
    """The contracts say none of them: they follow from joins, star references and names."""
    sql = (ROOT / "services" / "local" / "totesys.sql").read_text()
    keys = {
        (table, column, target)
        for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", sql, re.S)
        for column, target in re.findall(r"^    (\w+) .*REFERENCES (\w+)", body, re.M)
    }

    said = {
        (feed.name, column.name, column.reference.table)
        for feed in FEEDS.values()
        for column in TODAY.source_columns(feed)
        if column.reference is not None
    }

    assert said == keys


def test_a_joined_column_has_the_physical_name_of_its_own_table() -> None:
    staff = {each["name"]: each for each in DOCUMENTS[odcs.path(Kind.SOURCE, "staff")]["schema"][0]["properties"]}

    assert staff["location"]["physicalName"] == "department.location"
    assert staff["staff_id"]["physicalName"] == "staff_id"


def test_what_is_promised_follows_from_topology_and_settings() -> None:
    alarms = topology().alarms

    said = {each["property"]: (each["value"], each["unit"]) for each in star_levels("fact_payment")}

    assert said == {
        "latency": (30, "min"),
        "latencyAim": (Settings.model_fields["scan_interval_seconds"].default, "s"),
        "freshness": (alarms["freshness_broken"].threshold, "s"),
        "freshnessWarning": (alarms["freshness_late"].threshold, "s"),
    }
    assert alarms["freshness_late"].threshold < alarms["freshness_broken"].threshold < odcs.PROMISED_MINUTES * 60


def star_levels(name: str) -> list[dict[str, Any]]:
    return DOCUMENTS[odcs.path(Kind.STAR, name)]["slaProperties"]


def test_what_no_feed_fills_promises_no_time() -> None:
    assert "slaProperties" not in DOCUMENTS[odcs.path(Kind.STAR, "dim_date")]
    archived = DOCUMENTS[odcs.path(Kind.SOURCE, "department")]["slaProperties"]
    assert [each["property"] for each in archived] == ["frequency", "timeliness"]


def test_no_server_has_a_host_a_login_or_an_account() -> None:
    servers = [server for found in DOCUMENTS.values() for server in found["servers"]]

    assert {key for server in servers for key in server} == {
        "server",
        "type",
        "description",
        "schema",
        "location",
        "format",
        "delimiter",
        "encoding",
    }


def test_a_feed_s_next_version_is_the_next_version_of_both_its_contracts() -> None:
    """Its star rows are made by the same transform."""
    currency = FEEDS["currency"]
    former = {1: Former(currency.columns, currency.key, lambda columns: columns)}
    models = Models({**FEEDS, "currency": replace(currency, contract=2, former=former)}, TODAY.tables)

    versions = {path.stem: yaml.safe_load(text)["version"] for path, text in odcs.documents(models, topology())}

    raised = {name for name, version in versions.items() if version != "1.0.0"}
    assert raised == {"currency.odcs", "dim_currency.odcs"}
