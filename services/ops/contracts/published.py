"""Every contract as JSON Schema, made from the models: what a producer may write, and what a consumer reads. Pure.

Invariant: the same models give the same documents, and only what binds somebody is in them: titles and descriptions are
the documents' (services.ops.contracts.documents), so that a better sentence is no new version.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contracts import star
from contracts.feeds import FEEDS, Feed
from contracts.messages import ChangeBatch, CloudEvent, Heartbeat, LoadBatch, named
from contracts.source import Row
from contracts.star import StarRow

Schema = Mapping[str, Any]
"""A JSON Schema document, draft 2020-12."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MESSAGES: Mapping[str, type[CloudEvent]] = {
    "change_batch": ChangeBatch,
    "load_batch": LoadBatch,
    "heartbeat": Heartbeat,
}
DATES_VERSION = 1
"""dim_date's contract: the loader makes its rows, so no feed's version is its own."""
_ANNOTATIONS = frozenset({"title", "description", "examples"})


class Kind(StrEnum):
    """What a contract is about: a message on a queue, a row of the source, a row of the warehouse."""

    MESSAGE = "message"
    SOURCE = "source"
    STAR = "star"


@dataclass(frozen=True)
class Published:
    """One contract at one version. `written` is closed, `read` is open."""

    kind: Kind
    name: str
    version: int
    written: Schema
    read: Schema

    @property
    def title(self) -> str:
        """As people say it: `source.sales_order`."""
        return f"{self.kind}.{self.name}"


def today(
    feeds: Mapping[str, Feed] = FEEDS, messages: Mapping[str, type[CloudEvent]] = MESSAGES
) -> tuple[Published, ...]:
    """All contracts as the models have them: messages, rows of the source, rows of the warehouse."""
    return (
        *(_message(name, model) for name, model in messages.items()),
        *(_source(feed) for feed in feeds.values()),
        _star(star.DimDate, DATES_VERSION),
        *(_star(feed.star, feed.contract) for feed in feeds.values() if feed.star is not None),
    )


def steps(
    title: str, feeds: Mapping[str, Feed] = FEEDS, messages: Mapping[str, type[CloudEvent]] = MESSAGES
) -> frozenset[int]:
    """The former versions that a contract's code leads on to the next, by the contract's title."""
    kind, _, name = title.partition(".")
    if kind == Kind.MESSAGE:
        return frozenset(messages[name].former)
    if kind == Kind.SOURCE:
        return frozenset(feeds[name].former)
    return frozenset()


def _message(name: str, model: type[CloudEvent]) -> Published:
    written = model.model_json_schema(mode="serialization")
    read = model.model_json_schema()
    return Published(Kind.MESSAGE, name, model.version, *_documents(named(name, model.version), written, read))


def _source(feed: Feed) -> Published:
    said = {"x-key": feed.key, "x-rules": list(feed.row.rules), "x-tables": list(feed.tables)}
    return _of_rows(Kind.SOURCE, feed.name, feed.contract, feed.row, said)


def _star(model: type[StarRow], version: int) -> Published:
    said = {"x-key": model.key, "x-record-id": model.record_id, "x-added": list(model.added)}
    return _of_rows(Kind.STAR, model.table, version, model, said)


def _of_rows(
    kind: Kind, name: str, version: int, model: type[Row] | type[StarRow], said: Mapping[str, Any]
) -> Published:
    """Rows lie in columns, whose order binds too."""
    schema = {**model.model_json_schema(), **said, "x-columns": list(model.model_fields)}
    written, ident = {**schema, "additionalProperties": False}, f"urn:totes:{kind}:{name}:{version}"
    return Published(kind, name, version, *_documents(ident, written, schema))


def _documents(ident: str, written: Schema, read: Schema) -> tuple[Schema, Schema]:
    """Both forms as documents: of a message under the name by which it says its version (`dataschema`)."""
    head = {"$schema": DIALECT, "$id": ident}
    return {**head, **_binding(written)}, {**head, **_opened(_binding(read))}


def _binding(schema: Schema) -> dict[str, Any]:
    """The schema without what binds nobody. A property may be named like a keyword: names are kept."""
    return {
        key: {name: _binding(each) for name, each in value.items()}
        if key in ("properties", "$defs")
        else _within(value)
        for key, value in schema.items()
        if key not in _ANNOTATIONS
    }


def _within(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _binding(value)
    return [_within(each) for each in value] if isinstance(value, list) else value


def _opened(schema: Any) -> Any:
    """The schema of a reader: what is unknown is ignored, in every object of it."""
    if isinstance(schema, Mapping):
        return {key: _opened(value) for key, value in schema.items() if (key, value) != ("additionalProperties", False)}
    return [_opened(each) for each in schema] if isinstance(schema, list) else schema
