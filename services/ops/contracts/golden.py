"""Golden messages and rows: what each released version wrote, kept as files, and what must become of it for ever. Pure.

    message/<name>/v1/*.json                   messages as they are sent
    source/<feed>/v1/changed.json, .tsv.gz     a change batch and its archive object; its star rows in rows.jsonl, the
                                               rows that break the contract in quarantined.jsonl
    source/<feed>/v1/deleted.json, .tsv.gz     a change batch of deletions and its object; the keys in deleted.jsonl
    star/<table>/v1/changed.json, .parquet     the load batch of those star rows and its object; likewise `deleted`

Invariant: what is made for a contract follows from the contract. It is made once, when its version is released; from
then on today's code makes the same rows of it: to the letter under the same version, and under a later one in every
column that there still is. What was refused may pass later, never the other way round.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from contracts.feeds import FEEDS, Feed
from contracts.messages import (
    ROW_HASH,
    ChangeBatch,
    CloudEvent,
    FeedBeat,
    Heartbeat,
    HeartbeatData,
    ObjectRef,
    Operation,
    Origin,
)
from services.loader.handler import read_message as read_load_batch
from services.ops.contracts import examples, plain
from services.ops.contracts.plain import PlainRow
from services.ops.contracts.published import MESSAGES, Kind, Published, today
from services.transform.incoming import feed_of
from services.transform.incoming import read_message as read_change_batch
from services.transform.star import BUILDERS, Builder
from services.transform.transform import Outcome, load_batch_of, transform
from shared import parquet
from shared.archive import Circumstances, Page, describe
from shared.consumer import Delivery
from shared.errors import ConfigurationError, PipelineError
from shared.objects import sha256

Files = Mapping[str, bytes]
"""The files of one version by their names."""
ARCHIVE, PROCESSED = "archive", "processed"
SNAPSHOT = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
SINCE = SNAPSHOT - timedelta(seconds=1)
HASHES = (1, 2**63 - 1, -(2**63), 0, 5, 6)
"""Row hashes of the golden rows: by them a row is known again."""
_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS
_KEPT = ("id", "subject", "time")
"""Attributes of a former message that no step may change."""


@dataclass(frozen=True)
class Code:
    """Today's: what the golden files are made by, and held to."""

    feeds: Mapping[str, Feed]
    builders: Mapping[str, Builder]


def make(
    contract: Published, feeds: Mapping[str, Feed] = FEEDS, builders: Mapping[str, Builder] = BUILDERS
) -> Mapping[Path, bytes]:
    """The golden files of a contract's version of today, by their paths in the golden folder; the same every time.

    Raises ConfigurationError where the rows made for it do not obey and break it as they should.
    """
    made = _MAKERS[contract.kind](contract.name, Code(feeds, builders))
    folder = Path(contract.kind, contract.name, f"v{contract.version}")
    return {folder / name: body for name, body in made.items()}


def check(
    folder: Path, feeds: Mapping[str, Feed] = FEEDS, builders: Mapping[str, Builder] = BUILDERS
) -> tuple[str, ...]:
    """What of the golden files in a folder no longer comes out the same, and what of today's contracts has none."""
    code, contracts = Code(feeds, builders), today(feeds)
    missing = [each for contract in contracts for each in _missing(folder, contract, code)]
    found = sorted(folder.glob("*/*/v*"), key=lambda path: (path.parent, int(path.name[1:])))
    return (*missing, *(sentence for version in found for sentence in _checked(version, contracts, code)))


def _missing(folder: Path, contract: Published, code: Code) -> Iterator[str]:
    """Every version from the first to today's has its files; dim_date has none, for the loader makes its rows."""
    if contract.kind is Kind.STAR and _feed_of_table(contract.name, code.feeds) is None:
        return
    for version in range(1, contract.version + 1):
        path = folder / contract.kind / contract.name / f"v{version}"
        if not path.is_dir():
            mend = "run `totes contracts release`" if version == contract.version else "restore them from git"
            yield f"Expected golden files of {contract.title} v{version} in {path}, found none: {mend}."


def _checked(path: Path, contracts: Sequence[Published], code: Code) -> Iterator[str]:
    """The sentences of one version; whatever fails inside is one."""
    kind, name, version = path.parts[-3:]
    title = f"{kind}.{name} {version}"
    current = next((each for each in contracts if each.title == f"{kind}.{name}"), None)
    if current is None:
        yield f"Expected a contract {kind}.{name}, of which golden {version} is kept, found none: nobody could read it."
        return
    try:
        files = {each.name: each.read_bytes() for each in path.iterdir()}
        found = list(_CHECKERS[current.kind](name, files, code, own=version == f"v{current.version}"))
    except Exception as exc:  # noqa: BLE001 - code that cannot read what was written fails in any way
        why = str(exc) if isinstance(exc, PipelineError) else repr(exc)
        found = [f"found that today's code cannot read it: {why}"]
    yield from (f"Expected golden {title} to come out as it did, {each.removesuffix('.')}." for each in found)


def _checked_messages(name: str, files: Files, _code: Code, *, own: bool) -> Iterator[str]:
    if not files:
        yield "found none of its messages"
    for file, body in sorted(files.items()):
        was, now = from_json(body), from_json(MESSAGES[name].model_validate_json(body).body())
        for attribute in sorted(was.keys() | now.keys()) if own else _KEPT:
            yield from _differs(f"{attribute} of {file}", was.get(attribute), now.get(attribute))


def _checked_source(_name: str, files: Files, code: Code, *, own: bool) -> Iterator[str]:
    batch, deleted = (read_change_batch(files[f"{operation}.json"].decode()) for operation in Operation)
    feed = feed_of(batch, code.feeds)
    outcome = transform(batch, feed, _object(batch.data.object, files, "changed.tsv.gz"), code.builders)
    keys = transform(deleted, feed_of(deleted, code.feeds), _object(deleted.data.object, files, "deleted.tsv.gz"))
    refused = plain.read(b"" if outcome.quarantine is None else outcome.quarantine.body)
    if own:
        yield from _differs("the quarantined rows", *map(_without_prose, (_read(files, "quarantined"), refused)))
    if feed.star is not None:
        yield from _same_rows(_read(files, "rows"), _star_rows(feed, outcome), own=own)
        yield from _differs("the deleted keys", _keys(_read(files, "deleted")), _keys(_deleted(feed, keys)))


def _checked_star(_name: str, files: Files, code: Code, *, own: bool) -> Iterator[str]:
    changed, deleted = (
        read_load_batch(Delivery("golden", "", 1, files[f"{operation}.json"].decode()), code.feeds)
        for operation in Operation
    )
    rows = parquet.read(changed.table, _object(changed.batch.data.object, files, "changed.parquet"))
    keys = parquet.read_keys(deleted.table, _object(deleted.batch.data.object, files, "deleted.parquet"))
    yield from _same_rows(_read(files, "rows"), plain.star_rows(changed.table, rows), own=own)
    yield from _differs("the deleted keys", _keys(_read(files, "deleted")), _keys(plain.keys(deleted.table, keys)))


def _same_rows(was: Sequence[PlainRow], now: Sequence[PlainRow], *, own: bool) -> Iterator[str]:
    """Under its own contract to the letter, under a later one in the columns that are left."""
    if own:
        yield from _differs("the columns", [*was[0]] if was else [], [*now[0]] if now else [])
        yield from _differs("the rows", _hashes(was), _hashes(now))
    found = {row[ROW_HASH]: row for row in now}
    for number, row in enumerate(was, 1):
        again = found.get(row[ROW_HASH])
        if again is None:
            yield f"found row {number} refused, which was loaded"
            continue
        for name in (name for name in row if name in again):
            yield from _differs(f"{name} of row {number}", row[name], again[name])


def _differs(what: str, was: Any, now: Any) -> Iterator[str]:
    if was != now:
        yield f"found {what} as {now!r} and not {was!r}"


def _object(ref: ObjectRef, files: Files, name: str) -> bytes:
    """The object that a golden batch names. Raises ConfigurationError for another."""
    if sha256(files[name]) != ref.sha256:
        raise ConfigurationError(f"Expected {name} as its batch names it, found other bytes: restore it from git.")
    return files[name]


def _read(files: Files, name: str) -> list[PlainRow]:
    return plain.read(files[f"{name}.jsonl"])


def _without_prose(rows: Sequence[PlainRow]) -> list[PlainRow]:
    """The reason's words may become better ones; its class may not change."""
    return [{name: value for name, value in row.items() if name != "reason"} for row in rows]


def _hashes(rows: Sequence[PlainRow]) -> list[int]:
    return [row[ROW_HASH] for row in rows]


def _keys(rows: Sequence[PlainRow]) -> list[list[int]]:
    """Under whatever name the key had."""
    return [[*row.values()] for row in rows]


_CHECKERS: Mapping[Kind, Callable[..., Iterator[str]]] = {
    Kind.MESSAGE: _checked_messages,
    Kind.SOURCE: _checked_source,
    Kind.STAR: _checked_star,
}


def _make_messages(name: str, code: Code) -> Files:
    """As today's writer sends them: of the first feed with a star table; in a heartbeat, of all."""
    if name == "heartbeat":
        beats = tuple(FeedBeat(feed=feed, as_of=SINCE, page=page) for page, feed in enumerate(code.feeds))
        data = HeartbeatData(generation=1, revision=1000, as_of=SNAPSHOT, feeds=beats)
        return {"heartbeat.json": _sent(Heartbeat.of(data))}
    first = next(feed for feed in code.feeds.values() if feed.star is not None)
    made = _make_source(first.name, code) if name == "change_batch" else _make_load_batches(first, code)
    return {name: made[name] for name in (f"{operation}.json" for operation in Operation)}


def _make_source(name: str, code: Code) -> Files:
    feed = code.feeds[name]
    (batch, changed), (deletion, deleted) = _batches(feed, code)
    outcome = transform(batch, feed, changed, code.builders)
    quarantined = b"" if outcome.quarantine is None else outcome.quarantine.body
    _expect_good_and_bad(feed, batch.data.object.rows, plain.read(quarantined))
    return {
        "changed.json": _sent(batch),
        "changed.tsv.gz": changed,
        "rows.jsonl": plain.written(_star_rows(feed, outcome)),
        "quarantined.jsonl": quarantined,
        "deleted.json": _sent(deletion),
        "deleted.tsv.gz": deleted,
        "deleted.jsonl": plain.written(_deleted(feed, transform(deletion, feed, deleted, code.builders))),
    }


def _make_star(name: str, code: Code) -> Files:
    feed = _feed_of_table(name, code.feeds)
    return {} if feed is None else _make_load_batches(feed, code)


def _make_load_batches(feed: Feed, code: Code) -> Files:
    made = [(batch, transform(batch, feed, body, code.builders)) for batch, body in _batches(feed, code)]
    (_, changed), (_, deleted) = made
    return {
        **{name: body for batch, outcome in made for name, body in _load_batch(feed, batch, outcome).items()},
        "rows.jsonl": plain.written(_star_rows(feed, changed)),
        "deleted.jsonl": plain.written(_deleted(feed, deleted)),
    }


def _load_batch(feed: Feed, batch: ChangeBatch, outcome: Outcome) -> Files:
    """The message and the object that the transform makes of a change batch."""
    file = outcome.parquet
    if feed.star is None or file is None:
        raise ConfigurationError(f"Expected a feed with a star table, found {feed.name}.")
    ref = ObjectRef(bucket=PROCESSED, key=file.key, sha256=sha256(file.body), bytes=len(file.body), rows=file.rows)
    name = batch.data.operation
    return {f"{name}.json": _sent(load_batch_of(batch, feed, feed.star, ref)), f"{name}.parquet": file.body}


_MAKERS: Mapping[Kind, Callable[[str, Code], Files]] = {
    Kind.MESSAGE: _make_messages,
    Kind.SOURCE: _make_source,
    Kind.STAR: _make_star,
}


def _batches(feed: Feed, code: Code) -> tuple[tuple[ChangeBatch, bytes], tuple[ChangeBatch, bytes]]:
    """The feed's golden rows as the poller archives them, and the deletion of the first as the reconciler does."""
    schema = next(each.written for each in today(code.feeds, {}) if each.title == f"{Kind.SOURCE}.{feed.name}")
    rows = examples.rows(feed.name, schema)
    lines = (
        examples.copy_text([*(row[name] for name in feed.columns), str(row_hash)])
        for row, row_hash in zip(rows, HASHES, strict=False)
    )
    keys = [int(str(row[feed.key])) for row in rows]
    changed = Page(Operation.CHANGED, _compressed(lines), keys[-1], len(keys), dict(zip(keys, HASHES, strict=False)))
    deleted = Page(Operation.DELETED, _compressed([b"%d\n" % keys[0]]), keys[0], 1, {keys[0]: None})
    return _batch(feed, changed, Origin.POLL), _batch(feed, deleted, Origin.REPAIR)


def _compressed(lines: Iterable[bytes]) -> bytes:
    """By zlib, whose bytes are the same on every processor: those of igzip, which the archive has, need not be."""
    return zlib.compress(b"".join(lines), _LEVEL, _GZIP)


def _batch(feed: Feed, page: Page, origin: Origin) -> tuple[ChangeBatch, bytes]:
    """A deletion is read later than the rows; each version of a contract has snapshots and pages of its own."""
    number = 2 * feed.contract + (page.operation is Operation.DELETED)
    at = Circumstances(
        origin=origin,
        generation=1,
        revision=1000 + number,
        since=SINCE if origin.captured else None,
        as_of=SNAPSHOT,
        time_zone="Europe/London",
    )
    return describe(feed, page, number, at, ARCHIVE), page.body


def _sent(message: CloudEvent) -> bytes:
    return message.body().encode()


def _star_rows(feed: Feed, outcome: Outcome) -> list[PlainRow]:
    """What would be loaded, as the file says it."""
    if feed.star is None or outcome.parquet is None:
        return []
    return plain.star_rows(feed.star, parquet.read(feed.star, outcome.parquet.body))


def _deleted(feed: Feed, outcome: Outcome) -> list[PlainRow]:
    if feed.star is None or outcome.parquet is None:
        return []
    return plain.keys(feed.star, parquet.read_keys(feed.star, outcome.parquet.body))


def _feed_of_table(name: str, feeds: Mapping[str, Feed]) -> Feed | None:
    return next((feed for feed in feeds.values() if feed.star is not None and feed.star.table == name), None)


def _expect_good_and_bad(feed: Feed, rows: int, refused: Sequence[PlainRow]) -> None:
    """Raises ConfigurationError where a row that should obey the contract breaks it, or the other way round."""
    if [row["row"] for row in refused] != [*range(examples.GOOD, rows)]:
        why = "; ".join(f"row {row['row'] + 1}: {row['field'] or row['reason']}" for row in refused)
        raise ConfigurationError(
            f"Expected the first {examples.GOOD} golden rows of {feed.name} to obey its contract and those after to "
            f"break it, found broken: {why or 'none'}. Give its fields values in services/ops/contracts/examples.py."
        )
