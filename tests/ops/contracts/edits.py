"""Edits of the real models, and what must be said of each: `python -m tests.ops.contracts.edits` judges them all.

An edit is judged as a contributor makes it: the models change, and what was released is what they were before.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field, create_model

from contracts import fields, source, star
from contracts.feeds import FEEDS, Feed, Former
from contracts.messages import (
    ChangeBatchData,
    CloudEvent,
    LoadBatch,
    LoadBatchData,
    Message,
    ObjectRef,
    Origin,
    Position,
    any_version_of,
    named,
)
from contracts.source import Row
from contracts.star import StarRow
from services.ops.contracts.published import MESSAGES, Kind, Published, steps, today
from services.ops.contracts.verdicts import Direction, Severity, Verdict, judge

BACKWARD, FORWARD = Direction
BREAKING, BRIDGED, HARMLESS = Severity


@dataclass(frozen=True)
class Models:
    """The models of a moment: what `today` makes the contracts of."""

    feeds: Mapping[str, Feed]
    messages: Mapping[str, type[CloudEvent]]

    def published(self, title: str) -> Published:
        """One contract, from the models it is made of alone: making all of them takes a while."""
        kind, _, name = title.partition(".")
        feeds = {
            feed.name: feed
            for feed in self.feeds.values()
            if name == (feed.name if kind == Kind.SOURCE or feed.star is None else feed.star.table)
        }
        messages = {name: self.messages[name]} if kind == Kind.MESSAGE else {}
        return next(each for each in today(feeds, messages) if each.title == title)

    def steps(self, title: str) -> frozenset[int]:
        return steps(title, self.feeds, self.messages)


REAL = Models(FEEDS, MESSAGES)
Change = Callable[[Models], Models]


def same(models: Models) -> Models:
    """No edit."""
    return models


@dataclass(frozen=True)
class Edit:
    """One edit of one contract, the worst that must be said of it, in which direction, and words that say so."""

    name: str
    contract: str
    change: Change
    severity: Severity
    words: str = ""
    direction: Direction = BACKWARD
    before: Change = same
    """What was released, where it is not what the models are."""


@dataclass(frozen=True)
class Judged:
    """What was said of an edit, and whether that is right."""

    edit: Edit
    verdicts: tuple[Verdict, ...]

    @property
    def severity(self) -> Severity:
        """The worst verdict; no verdict at all is harmless."""
        found = {each.severity for each in self.verdicts}
        return next((each for each in Severity if each in found), HARMLESS)

    @property
    def sentence(self) -> str:
        worst = [each for each in self.verdicts if each.severity is self.severity]
        asked = [each for each in worst if each.direction is self.edit.direction]
        return next((each.sentence for each in asked or worst), "nothing that binds anybody changed")

    @property
    def right(self) -> bool:
        return self.severity is self.edit.severity and self.edit.words in self.sentence


def judged(edit: Edit) -> Judged:
    released, edited = edit.before(REAL), edit.change(edit.before(REAL))
    former, now = released.published(edit.contract), edited.published(edit.contract)
    return Judged(edit, judge({former.version: former}, now, edited.steps(edit.contract)))


def _definitions(model: type[BaseModel]) -> dict[str, Any]:
    """A model's fields as `create_model` takes them."""
    return {
        name: (
            Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation,
            ... if field.is_required() else field.default,
        )
        for name, field in model.model_fields.items()
    }


def _edited(model: type[BaseModel], base: type[Any], *, without: Sequence[str] = (), **types: Any) -> type[Any]:
    """The model with other fields: a type alone is a required field, a pair has its default."""
    made = {name: each if isinstance(each, tuple) else (each, ...) for name, each in types.items()}
    found = {name: each for name, each in (_definitions(model) | made).items() if name not in without}
    return create_model(model.__name__, __base__=base, **found)


def row(feed: str, *, without: Sequence[str] = (), rules: Mapping[str, Any] | None = None, **types: Any) -> Change:
    """Another row contract."""

    def change(models: Models) -> Models:
        model = models.feeds[feed].row
        base = type(model.__name__, (Row,), {"rules": model.rules if rules is None else rules})
        return _with_feed(models, replace(models.feeds[feed], row=_edited(model, base, without=without, **types)))

    return change


def table(feed: str, *, without: Sequence[str] = (), record_id: str | None = None, **types: Any) -> Change:
    """Another star table."""

    def change(models: Models) -> Models:
        model = models.feeds[feed].star
        assert model is not None
        said = {"table": model.table, "key": model.key, "record_id": record_id or model.record_id, "added": model.added}
        base = type(model.__name__, (StarRow,), said)
        return _with_feed(models, replace(models.feeds[feed], star=_edited(model, base, without=without, **types)))

    return change


def in_order(change: Callable[..., Change], feed: str, model: type[BaseModel], first: str) -> Change:
    """A row or a table whose columns begin with one that stood elsewhere."""
    definitions = _definitions(model)
    rest = [name for name in definitions if name != first]

    def reorder(models: Models) -> Models:
        emptied = change(feed, without=tuple(definitions))(models)
        return change(feed, **{name: definitions[name] for name in (first, *rest)})(emptied)

    return reorder


def of_feed(feed: str, **said: Any) -> Change:
    """Another line in the table of feeds."""
    return lambda models: _with_feed(models, replace(models.feeds[feed], **said))


def next_version(feed: str, change: Change) -> Change:
    """The edit as it ought to be made: under a new version, with a step from the former one."""

    def raised(models: Models) -> Models:
        former = models.feeds[feed]
        edited = change(models).feeds[feed]
        step = Former(former.columns, former.key, lambda columns: columns)
        return _with_feed(models, replace(edited, contract=2, former={1: step}))

    return raised


def _with_feed(models: Models, feed: Feed) -> Models:
    return replace(models, feeds={**models.feeds, feed.name: feed})


def message(name: str, *, without: Sequence[str] = (), base: type[CloudEvent] | None = None, **types: Any) -> Change:
    """A message with other data."""

    def change(models: Models) -> Models:
        event = models.messages[name]
        data = _edited(_data_of(event), Message, without=without, **types)
        made = create_model(event.__name__, __base__=base or event, data=(data, ...))
        return replace(models, messages={**models.messages, name: made})

    return change


def envelope(name: str, **types: Any) -> Change:
    """A message with another envelope."""

    def change(models: Models) -> Models:
        made: Any = create_model(models.messages[name].__name__, __base__=models.messages[name], **types)
        return replace(models, messages={**models.messages, name: made})

    return change


def _data_of(event: type[CloudEvent]) -> type[BaseModel]:
    found = event.model_fields["data"].annotation
    assert isinstance(found, type)
    return found


class ChangedOnly(StrEnum):
    """Operation without deletions."""

    CHANGED = "changed"


Sources = StrEnum("Sources", {**{each.name: each.value for each in Origin}, "WEBHOOK": "webhook"})  # type: ignore[misc]
Reordered = StrEnum("Reordered", {each.name: each.value for each in reversed(Origin)})  # type: ignore[misc]
"""Origin's values in another order."""
ShortDigest = _edited(ObjectRef, Message, sha256=Annotated[str, Field(pattern="^[0-9a-f]{32}$")])
WithEncoding = _edited(ObjectRef, Message, encoding=(str | None, None))
StoredObject = create_model("StoredObject", __base__=Message, **_definitions(ObjectRef))
Later = _edited(Position, Message, generation=Annotated[int, Field(ge=2)])


class LoadBatchOf2(LoadBatch):
    """The next version of a load batch, with the step from the former one."""

    version: ClassVar[int] = 2
    former: ClassVar[Mapping[int, Any]] = {1: lambda document: document}
    dataschema: Annotated[str, any_version_of("load_batch")] = named("load_batch", version)


def _money(digits: int, places: int) -> Any:
    return Annotated[Decimal, Field(max_digits=digits, decimal_places=places), fields._MONEY]


Letters = Annotated[str, fields.AsText(fields.Family.TEXT, "^[A-Z]{3}$")]
Described = Annotated[fields.Int, Field(description="How many bags, whatever their size.")]
DescribedColumn = Annotated[star.Int, Field(description="How many bags, whatever their size.")]
SomeRule = {"a price must not be negative": lambda columns: [price >= 0 for price in columns["unit_price"]]}
DISCOUNT = Annotated[Decimal | None, star.Sql("numeric(10, 2)")]

SOURCE_EDITS = (
    Edit(
        "units_sold becomes a text",
        "source.sales_order",
        row("sales_order", units_sold=fields.Text),
        BREAKING,
        "field units_sold changed from integer to text: rows archived under v1 could not be rebuilt",
    ),
    Edit(
        "item_code goes",
        "source.purchase_order",
        row("purchase_order", without=["item_code"]),
        BREAKING,
        "field item_code was removed: rows archived under v1 could not be rebuilt",
    ),
    Edit(
        "item_code is renamed",
        "source.purchase_order",
        row("purchase_order", without=["item_code"], item_sku=fields.Text),
        BREAKING,
        "field item_code was removed (was it renamed to item_sku?)",
    ),
    Edit(
        "a discount comes",
        "source.sales_order",
        row("sales_order", discount=fields.Price),
        BREAKING,
        "field discount was added and is required: rows archived under v1 could not be rebuilt",
    ),
    Edit(
        "a discount comes that may be NULL",
        "source.sales_order",
        row("sales_order", discount=fields.Price | None),
        BREAKING,
        "field discount was added and is required, though it may be null: rows archived under v1 could not be rebuilt",
    ),
    Edit(
        "a discount comes under a new version",
        "source.sales_order",
        next_version("sales_order", row("sales_order", discount=fields.Price)),
        BRIDGED,
        "rows archived under v1 are brought up to it by their step",
    ),
    Edit(
        "a discount comes under a new version, seen by the former transform",
        "source.sales_order",
        next_version("sales_order", row("sales_order", discount=fields.Price)),
        BRIDGED,
        "a transform of v1 hands new batches back until its code is deployed",
        FORWARD,
    ),
    Edit(
        "units_sold may be NULL",
        "source.sales_order",
        row("sales_order", units_sold=fields.Int | None),
        BREAKING,
        "field units_sold may be null now: a transform that still runs takes new batches for v1 and would refuse them",
        FORWARD,
    ),
    Edit(
        "units_sold may be NULL under a new version",
        "source.sales_order",
        next_version("sales_order", row("sales_order", units_sold=fields.Int | None)),
        BRIDGED,
        "field units_sold may be null now: a transform of v1 hands new batches back",
        FORWARD,
    ),
    Edit(
        "staff's location may be NULL no longer",
        "source.staff",
        row("staff", location=fields.Text),
        BREAKING,
        "field location may be null no longer: rows archived under v1 could not be rebuilt",
    ),
    Edit(
        "unit_price takes one decimal",
        "source.sales_order",
        row("sales_order", unit_price=_money(9, 1)),
        BREAKING,
        "field unit_price takes fewer digits after the point",
    ),
    Edit(
        "unit_price takes four decimals and no more digits",
        "source.sales_order",
        row("sales_order", unit_price=_money(10, 4)),
        BREAKING,
        "field unit_price takes more digits after the point and fewer digits before the point: rows archived",
    ),
    Edit(
        "currency_code must be three letters",
        "source.currency",
        row("currency", currency_code=Letters),
        BREAKING,
        "field currency_code has the pattern ^[A-Z]{3}$, it had none: rows archived under v1 could not be rebuilt",
    ),
    Edit(
        "an account number is secret no longer",
        "source.payment",
        row("payment", company_ac_number=fields.Int),
        BREAKING,
        "field company_ac_number is secret no longer: values archived under v1, which never left the archive, would",
    ),
    Edit(
        "an account number is secret no longer, under a new version",
        "source.payment",
        next_version("payment", row("payment", company_ac_number=fields.Int)),
        BREAKING,
        "which never left the archive, would",
    ),
    Edit(
        "counterparty_id becomes secret, under a new version",
        "source.payment",
        next_version("payment", row("payment", counterparty_id=fields.SecretInt)),
        BRIDGED,
        "field counterparty_id became secret: a transform of v1 hands new batches back until its code is deployed",
        FORWARD,
    ),
    Edit(
        "a rule comes",
        "source.sales_order",
        row("sales_order", rules=SomeRule),
        BREAKING,
        "rule 'a price must not be negative' was added: rows archived under v1 may break it and would be quarantined",
    ),
    Edit(
        "a rule goes, under a new version",
        "source.transaction",
        next_version("transaction", row("transaction", rules={})),
        BRIDGED,
        "was removed: a transform of v1 hands new batches back until its code is deployed",
        FORWARD,
    ),
    Edit(
        "a column changes its place",
        "source.design",
        in_order(row, "design", source.DesignRow, "file_name"),
        BREAKING,
        "field file_name took another's place in their order: rows archived under v1, told by their place,",
    ),
    Edit(
        "another column is the key",
        "source.department",
        of_feed("department", key="department_name"),
        BREAKING,
        "the key department_name instead of department_id: rows archived under v1 could not be rebuilt",
    ),
    Edit(
        "a field is described better",
        "source.sales_order",
        row("sales_order", units_sold=Described),
        HARMLESS,
        "nothing",
    ),
    Edit(
        "a rule is computed in another way",
        "source.transaction",
        row("transaction", rules=dict.fromkeys(source.TransactionRow.rules, lambda columns: [True])),
        HARMLESS,
        "nothing",
    ),
    Edit("a new version for a new transform", "source.staff", next_version("staff", same), HARMLESS, "nothing"),
)

MESSAGE_EDITS = (
    Edit(
        "a load batch loses its page",
        "message.load_batch",
        message("load_batch", without=["page"]),
        BREAKING,
        "field page was removed: a loader of v1, still running during a rollout, could not read it",
        FORWARD,
    ),
    Edit(
        "no batch says deleted",
        "message.change_batch",
        message("change_batch", operation=ChangedOnly),
        BREAKING,
        "field operation takes deleted no longer: messages of v1 in the dead-letter queue could not be replayed",
    ),
    Edit(
        "there is one more origin",
        "message.change_batch",
        message("change_batch", origin=Sources),
        BREAKING,
        "field origin takes webhook too: a transform of v1, still running during a rollout, could not read it",
        FORWARD,
    ),
    Edit(
        "digests are shorter",
        "message.change_batch",
        message("change_batch", object=ShortDigest),
        BREAKING,
        "field sha256 of object has the pattern ^[0-9a-f]{32}$, it had ^[0-9a-f]{64}$: messages of v1",
    ),
    Edit(
        "a change batch must say its shard",
        "message.change_batch",
        message("change_batch", shard=int),
        BREAKING,
        "field shard was added and is required: messages of v1 in the dead-letter queue could not be replayed",
    ),
    Edit(
        "a load batch must say its shard, under a new version",
        "message.load_batch",
        message("load_batch", base=LoadBatchOf2, shard=int),
        BRIDGED,
        "field shard was added and is required: messages of v1 are brought up to it by their step",
    ),
    Edit(
        "a load batch loses its page, under a new version",
        "message.load_batch",
        message("load_batch", base=LoadBatchOf2, without=["page"]),
        BREAKING,
        "field page was removed: a loader of v1, still running during a rollout, could not read it",
        FORWARD,
    ),
    Edit(
        "generations begin at 2",
        "message.load_batch",
        message("load_batch", position=Later),
        BREAKING,
        "field generation of position has the least value 2, it had 1: messages of v1 in the dead-letter queue",
    ),
    Edit(
        "since is always known",
        "message.load_batch",
        message("load_batch", since=LoadBatchData.model_fields["as_of"].annotation),
        BREAKING,
        "field since may be null no longer: messages of v1 in the dead-letter queue could not be replayed",
    ),
    Edit(
        "as_of may be unknown",
        "message.change_batch",
        message("change_batch", as_of=ChangeBatchData.model_fields["since"].annotation),
        BREAKING,
        "field as_of may be null now: a transform of v1, still running during a rollout, could not read it",
        FORWARD,
    ),
    Edit(
        "columns are told by number",
        "message.change_batch",
        message("change_batch", columns=tuple[int, ...]),
        BREAKING,
        "each of columns changed from text to integer: messages of v1 in the dead-letter queue could not be replayed",
    ),
    Edit(
        "time_zone may be left out",
        "message.change_batch",
        message("change_batch", time_zone=(str, "UTC")),
        BREAKING,
        "field time_zone became optional: a transform of v1, still running during a rollout, could not read it",
        FORWARD,
    ),
    Edit(
        "time is any text",
        "message.heartbeat",
        envelope("heartbeat", time=(str, ...)),
        BREAKING,
        "field time has no format any more, it had date-time: a transform or loader of v1, still running",
        FORWARD,
    ),
    Edit(
        "a heartbeat has an optional note",
        "message.heartbeat",
        message("heartbeat", note=(str, "")),
        HARMLESS,
        "field note was added with a default: messages of v1 are read as before",
    ),
    Edit(
        "an optional note goes again",
        "message.heartbeat",
        message("heartbeat", without=["note"]),
        HARMLESS,
        "field note was removed: a transform or loader of v1 reads it as before",
        FORWARD,
        before=message("heartbeat", note=(str, "")),
    ),
    Edit(
        "an optional note has another default",
        "message.heartbeat",
        message("heartbeat", note=(str, "none")),
        HARMLESS,
        'field note has the default "none", it had the default "": messages of v1 are read as before',
        before=message("heartbeat", note=(str, "")),
    ),
    Edit(
        "an object may say its encoding",
        "message.load_batch",
        message("load_batch", object=WithEncoding),
        HARMLESS,
        "field encoding of object was added with a default: a loader of v1 reads it as before",
        FORWARD,
    ),
    Edit(
        "a load batch may have a note, under a new version",
        "message.load_batch",
        message("load_batch", base=LoadBatchOf2, note=(str, "")),
        HARMLESS,
        "field note was added with a default: messages of v1 are read as before",
    ),
    Edit(
        "a part has another class",
        "message.load_batch",
        message("load_batch", object=StoredObject),
        HARMLESS,
        "nothing",
    ),
    Edit(
        "origins stand in another order",
        "message.change_batch",
        message("change_batch", origin=Reordered),
        HARMLESS,
        "nothing",
    ),
    Edit(
        "a field of a message is described",
        "message.change_batch",
        message("change_batch", feed=Annotated[str, Field(description="One source table.")]),
        HARMLESS,
        "nothing",
    ),
)

STAR_EDITS = (
    Edit(
        "paid goes",
        "star.fact_payment",
        table("payment", without=["paid"]),
        BREAKING,
        "column paid was removed: analysts who select it, and the views current_payment and history_payment, would",
        FORWARD,
    ),
    Edit(
        "a dimension's column goes",
        "star.dim_staff",
        table("staff", without=["email_address"]),
        BREAKING,
        "column email_address was removed: analysts who select it would fail",
        FORWARD,
    ),
    Edit(
        "unit_price is renamed",
        "star.fact_sales_order",
        table("sales_order", without=["unit_price"], price=star.Price),
        BREAKING,
        "column unit_price was removed (was it renamed to price?): analysts who select it",
        FORWARD,
    ),
    Edit(
        "payment_amount becomes an int",
        "star.fact_payment",
        table("payment", payment_amount=star.Int),
        BREAKING,
        "column payment_amount changed from numeric to int: load batches of v1, waiting or in the dead-letter queue,",
    ),
    Edit(
        "units_sold becomes a bigint",
        "star.fact_sales_order",
        table("sales_order", units_sold=Annotated[int, star.Sql("bigint")]),
        BREAKING,
        "column units_sold changed from int to bigint: analysts, views and dashboards that read it by its type",
        FORWARD,
    ),
    Edit(
        "district may be NULL no longer",
        "star.dim_location",
        table("address", district=star.Text),
        BREAKING,
        "column district may be null no longer: load batches of v1, waiting or in the dead-letter queue, could not be",
    ),
    Edit(
        "location may be NULL",
        "star.dim_staff",
        table("staff", location=star.Text | None),
        BREAKING,
        "column location may be null now: analysts who count on a value there would miss rows",
        FORWARD,
    ),
    Edit(
        "a column changes its place",
        "star.dim_design",
        in_order(table, "design", star.DimDesign, "file_name"),
        BREAKING,
        "column file_name took another's place in their order: whoever copies the table by position would take one",
        FORWARD,
    ),
    Edit(
        "the staff's key refers to counterparties",
        "star.fact_sales_order",
        table("sales_order", sales_staff_id=star.CounterpartyKey),
        BREAKING,
        "column sales_staff_id refers to dim_counterparty instead of dim_staff: analysts who join over it would miss",
        FORWARD,
    ),
    Edit(
        "a key refers to no dimension any more",
        "star.fact_payment",
        table("payment", currency_id=star.Int),
        BREAKING,
        "column currency_id refers to no table instead of dim_currency: analysts who join over it would miss rows",
        FORWARD,
    ),
    Edit(
        "a column comes that is never NULL",
        "star.fact_sales_order",
        table("sales_order", discount=star.Price),
        BREAKING,
        "column discount was added and is required: load batches of v1, waiting or in the dead-letter queue, could not",
    ),
    Edit(
        "a fact's own key is renamed",
        "star.fact_payment",
        table("payment", record_id="payment_version_id"),
        BREAKING,
        "the record id payment_version_id instead of payment_record_id: analysts, views and dashboards",
        FORWARD,
    ),
    Edit(
        "a fact gains a column that may be NULL",
        "star.fact_sales_order",
        table("sales_order", discount=DISCOUNT),
        HARMLESS,
        "column discount was added and is required, though it may be null: the loader fills it with NULL",
    ),
    Edit(
        "a dimension gains a column that may be NULL",
        "star.dim_currency",
        table("currency", symbol=star.Text | None),
        HARMLESS,
        "column symbol was added and is required, though it may be null: what analysts select is as before",
        FORWARD,
    ),
    Edit(
        "it gains one under a new version",
        "star.dim_staff",
        next_version("staff", table("staff", grade=star.Text | None)),
        HARMLESS,
        "column grade was added and is required, though it may be null: what analysts select is as before",
        FORWARD,
    ),
    Edit(
        "a column is described better",
        "star.fact_sales_order",
        table("sales_order", units_sold=DescribedColumn),
        HARMLESS,
        "nothing",
    ),
    Edit("a new version for a new transform", "star.dim_staff", next_version("staff", same), HARMLESS, "nothing"),
)

EDITS = (*SOURCE_EDITS, *MESSAGE_EDITS, *STAR_EDITS)


def main(edits: Sequence[Edit] = EDITS) -> int:
    """Print what is said of each edit; 1 where something else ought to be."""
    found = [judged(edit) for edit in edits]
    widths = [max(len(text) for text in column) for column in zip(*map(_cells, found), strict=True)]
    for each in found:
        name, contract, verdict, sentence = _cells(each)
        print(f"{name:{widths[0]}} | {contract:{widths[1]}} | {verdict:{widths[2]}} | {sentence}")
    print(_total(found))
    return 0 if all(each.right for each in found) else 1


def _cells(found: Judged) -> tuple[str, str, str, str]:
    sentence = found.sentence.removeprefix(f"{found.edit.contract}: ")
    return found.edit.name, found.edit.contract, found.severity.value, sentence


def _total(found: Sequence[Judged]) -> str:
    kinds = ", ".join(f"{sum(each.edit.severity is kind for each in found)} {kind}" for kind in Severity)
    wrong = [each.edit.name for each in found if not each.right]
    return f"{len(found)} edits: {kinds}, {f'judged wrong: {wrong}' if wrong else 'all judged right'}"


if __name__ == "__main__":
    sys.exit(main())
