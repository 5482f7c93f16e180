"""Every feed and every star table as a data contract of the Open Data Contract Standard, for whoever keeps a catalogue.

Built with the standard's own models, so that a word it does not know is refused. Pure. Invariant: what the models, the
topology and the settings say is read from them; only what the client asked for stands here.
Specification: https://bitol-io.github.io/open-data-contract-standard/v3.2.0/
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Any

from open_data_contract_standard.model import (
    DataQuality,
    Description,
    OpenDataContractStandard,
    Relationship,
    SchemaObject,
    SchemaProperty,
    Server,
    ServiceLevelAgreementProperty,
)

from contracts.feeds import Feed
from contracts.star import Kind, StarRow
from services.local.topology import Topology
from services.ops.contracts import published
from services.ops.contracts.documents.columns import Described, Models, Reference
from services.ops.contracts.documents.meanings import sentence
from services.ops.contracts.documents.text import yaml_text
from services.ops.contracts.documents.values import value
from services.transform.quarantine import DRIFT_ROWS, DRIFT_SHARE
from shared.settings import Settings

FOLDER = PurePosixPath("docs/contracts/odcs")
SPECIFICATION = "v3.2.0"
PROMISED_MINUTES = 30
"""From a change in the source to the warehouse, at most: what the client asked for."""
BUCKET = "Its name is the embedded stack's; in an account, environment, account and region are part of the name."
RESTRICTED = "restricted"
"""The classification of what never leaves the archive."""


def documents(models: Models, topology: Topology) -> Iterator[tuple[PurePosixPath, str]]:
    """Path and text of every contract: a feed's below source/, a star table's below star/."""
    for feed in models.feeds.values():
        yield path(published.Kind.SOURCE, feed.name), _text(source_contract(feed, models, topology))
    for star in models.tables:
        yield path(published.Kind.STAR, star.table), _text(star_contract(star, models, topology))


def path(kind: published.Kind, name: str) -> PurePosixPath:
    """Where a contract's document stands."""
    return FOLDER / kind / f"{name}.odcs.yaml"


def source_contract(feed: Feed, models: Models, topology: Topology) -> OpenDataContractStandard:
    """The rows of a feed, as the source must give them and the archive holds them."""
    columns = models.source_columns(feed)
    secret = [column.name for column in columns if column.secret]
    never = f" {' and '.join(secret)} never leave the archive." if secret else ""
    return OpenDataContractStandard(
        **_head(published.Kind.SOURCE, feed.name, feed.contract, topology),
        tags=["source"],
        description=Description(
            purpose=sentence(feed.row),
            usage="Read in short, read-only snapshots, and archived as the source's own text.",
            limitations="Several changes of a row between two snapshots are seen as the last one." + never,
        ),
        servers=_source_servers(feed, topology),
        schema=[_source_object(feed, columns)],
        slaProperties=[*_read_often(topology), *(_in_time(topology) if feed.star is not None else [])],
    )


def star_contract(star: type[StarRow], models: Models, topology: Topology) -> OpenDataContractStandard:
    """The rows of a star table, as analysts may rely on them."""
    feed = models.feed_of(star)
    version = published.DATES_VERSION if feed is None else feed.contract
    return OpenDataContractStandard(
        **_head(published.Kind.STAR, star.table, version, topology),
        tags=["star", str(star.kind())],
        description=Description(purpose=sentence(star), usage=_usage(star, feed), limitations=_limits(star)),
        servers=_star_servers(star, feed, topology),
        schema=[_star_object(star, feed, models)],
        slaProperties=None if feed is None else _in_time(topology),
    )


def _text(contract: OpenDataContractStandard) -> str:
    """As YAML, without what is not said; `exclude_defaults` would drop nothing more, since every default is None."""
    return yaml_text(contract.model_dump(exclude_none=True, by_alias=True))


def _head(kind: published.Kind, name: str, version: int, topology: Topology) -> Mapping[str, Any]:
    return {
        "apiVersion": SPECIFICATION,
        "kind": "DataContract",
        "id": f"urn:{topology.prefix}:{kind}:{name}",
        "name": f"{kind}.{name}",
        "version": f"{version}.0.0",
        "status": "active",
        "dataProduct": topology.prefix,
    }


def _source_servers(feed: Feed, topology: Topology) -> list[Server]:
    return [
        Server(
            server="totesys",
            type="custom",
            description="The operational Postgres. Host and login are the environment's, in its secret.",
            schema=_default("source_schema"),
        ),
        Server(
            server="archive",
            type="s3",
            description=f"{topology.buckets['archive'].purpose} {BUCKET}",
            location=f"s3://{topology.name('archive')}/{feed.name}/",
            format="tsv.gz",
            delimiter="\t",
            encoding="UTF-8",
        ),
    ]


def _star_servers(star: type[StarRow], feed: Feed | None, topology: Topology) -> list[Server]:
    warehouse = Server(
        server="warehouse",
        type="custom",
        description="The warehouse's Postgres. Host and login are the environment's, in its secret.",
        schema=_default("warehouse_schema"),
    )
    processed = Server(
        server="processed",
        type="s3",
        description=f"{topology.buckets['processed'].purpose} {BUCKET}",
        location=f"s3://{topology.name('processed')}/{star.table}/",
        format="parquet",
    )
    return [warehouse] if feed is None else [warehouse, processed]


def _source_object(feed: Feed, columns: tuple[Described, ...]) -> SchemaObject:
    return SchemaObject(
        id=feed.name,
        name=feed.name,
        physicalName=feed.name,
        physicalType="table",
        logicalType="object",
        description=sentence(feed.row),
        dataGranularityDescription="A row of the source in one snapshot.",
        properties=[_source_property(feed, column) for column in columns],
        quality=[*_rules(feed), _drift()],
    )


def _source_property(feed: Feed, column: Described) -> SchemaProperty:
    """A joined column's physical name has its own table."""
    join = feed.join
    return SchemaProperty(
        **_property(column, published.Kind.SOURCE),
        physicalName=f"{join.table}.{column.name}" if join and column.name in join.columns else column.name,
        logicalTypeOptions=_options(feed, column),
    )


def _options(feed: Feed, column: Described) -> dict[str, Any] | None:
    """What the standard can say of a value beside its type."""
    held = value(feed.row, column.name)
    if held.python is date:
        return {"format": "yyyy-MM-dd"}
    if held.python is datetime:
        return {"timezone": False}
    return {name: held.options[name] for name in ("minimum", "maximum") if name in held.options} or None


def _rules(feed: Feed) -> list[DataQuality]:
    return [
        DataQuality(
            name=f"rule_{number}",
            type="text",
            description=f"{said[0].upper()}{said[1:]}.",
            dimension="consistency",
            severity="error",
            businessImpact="A row that breaks it is quarantined.",
        )
        for number, said in enumerate(feed.row.rules, 1)
    ]


def _drift() -> DataQuality:
    return DataQuality(
        name="conforming_rows",
        type="text",
        description=(
            "A row that breaks this contract is quarantined and the others are loaded; where more than "
            f"{DRIFT_SHARE:.0%} of a batch and at least {DRIFT_ROWS} rows do, none of it is, and it is parked."
        ),
        dimension="conformity",
        severity="error",
    )


def _star_object(star: type[StarRow], feed: Feed | None, models: Models) -> SchemaObject:
    fact = star.kind() is Kind.FACT
    return SchemaObject(
        id=star.table,
        name=star.table,
        physicalName=star.table,
        physicalType="table",
        logicalType="object",
        description=sentence(star),
        dataGranularityDescription="A version of a source row." if fact else "A row for each key.",
        properties=[_star_property(column, feed) for column in models.star_columns(star)],
    )


def _star_property(column: Described, feed: Feed | None) -> SchemaProperty:
    return SchemaProperty(
        **_property(column, published.Kind.STAR), physicalName=column.name, **_transform(column, feed)
    )


def _transform(column: Described, feed: Feed | None) -> Mapping[str, Any]:
    origin = column.origin
    if origin is None or feed is None:
        return {}
    return {
        "transformSourceObjects": [f"{feed.name}.{name}" for name in origin.columns],
        "transformDescription": f"{origin.change}; 'Unknown' for NULL" if origin.unknown else str(origin.change),
    }


def _property(column: Described, kind: published.Kind) -> Mapping[str, Any]:
    """What both kinds say of a column."""
    return {
        "id": column.name,
        "name": column.name,
        "physicalType": column.type,
        "description": column.meaning,
        "primaryKey": True if column.key else None,
        "primaryKeyPosition": 1 if column.key else None,
        "logicalType": column.logical,
        "required": not column.nullable,
        "unique": True if column.key else None,
        "classification": RESTRICTED if column.secret else None,
        "relationships": None if column.reference is None else [_relationship(column.reference, kind)],
    }


def _relationship(target: Reference, kind: published.Kind) -> Relationship:
    """To another contract, in the file beside this one."""
    file = path(kind, target.table).name
    return Relationship(type="foreignKey", to=f"{file}#schema/{target.table}/properties/{target.column}")


def _read_often(topology: Topology) -> list[ServiceLevelAgreementProperty]:
    stands = topology.alarms["feed_stands"].threshold
    return [
        ServiceLevelAgreementProperty(
            property="frequency",
            value=_default("scan_interval_seconds"),
            unit="s",
            driver="operational",
            description=(
                "The least pause between two looks at all rows of a table, which find what a poll cannot; a poll for "
                f"new and touched rows comes every {_default('poll_interval_seconds'):g} s."
            ),
        ),
        ServiceLevelAgreementProperty(
            property="timeliness",
            value=stands,
            unit="s",
            driver="operational",
            description="A feed that was not read for longer than this rings a critical alarm (feed_stands).",
        ),
    ]


def _in_time(topology: Topology) -> list[ServiceLevelAgreementProperty]:
    late, broken = (topology.alarms[name].threshold for name in ("freshness_late", "freshness_broken"))
    said = (
        ("latency", PROMISED_MINUTES, "min", "A committed change of the source is in the warehouse by then, at most."),
        ("latencyAim", _default("scan_interval_seconds"), "s", "What is aimed at: seconds, at a scan's own pace."),
        ("freshness", broken, "s", "Rows that come later than this ring a critical alarm (freshness_broken)."),
        ("freshnessWarning", late, "s", "Rows that come later than this ring a warning (freshness_late)."),
    )
    return [
        ServiceLevelAgreementProperty(property=name, value=number, unit=unit, driver="operational", description=text)
        for name, number, unit, text in said
    ]


def _usage(star: type[StarRow], feed: Feed | None) -> str:
    if feed is None or star.kind() is Kind.DIMENSION:
        return "Join it to the facts by its key."
    return f"Read current_{feed.name} for the rows that live, history_{feed.name} for every version and when it held."


def _limits(star: type[StarRow]) -> str:
    if star.kind() is Kind.DIMENSION:
        return (
            "The latest state alone. A key that a fact names before its row has come is a member of its own until then."
        )
    return "Several changes of a source row between two snapshots are one version. Deletions stand in the views alone."


def _default(setting: str) -> Any:
    """A setting's default; the environment may say otherwise."""
    return Settings.model_fields[setting].default
