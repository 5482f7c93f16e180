"""What a test reads back from archive and queue, decoded by hand: nothing here uses the code under test."""

import gzip
import json
from dataclasses import dataclass
from typing import Any

_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def unescape(field: bytes) -> str | None:
    r"""COPY's text format: \N alone is NULL, a backslash takes the next character."""
    if field == b"\\N":
        return None
    if b"\\" not in field:
        return field.decode("utf-8")
    out, at = bytearray(), 0
    while at < len(field):
        if field[at : at + 1] == b"\\":
            following = field[at + 1 : at + 2]
            out += _ESCAPES.get(following, following)
            at += 2
        else:
            out += field[at : at + 1]
            at += 1
    return out.decode("utf-8")


def decode(body: bytes) -> list[list[str | None]]:
    lines = gzip.decompress(body).split(b"\n")
    assert lines.pop() == b""
    return [[unescape(field) for field in line.split(b"\t")] for line in lines]


@dataclass(frozen=True)
class Batch:
    """A message as it was sent, and the rows of its object."""

    event: dict[str, Any]
    rows: list[dict[str, str | None]]

    @property
    def data(self) -> dict[str, Any]:
        return self.event["data"]

    @property
    def id(self) -> str:
        return self.event["id"]


def receive(aws: Any) -> list[Batch]:
    """All batches that wait on the queue of changes, taken off it, in order of generation, revision and page."""
    found = []
    while True:
        messages = aws.sqs.receive_message(QueueUrl=aws.changes, MaxNumberOfMessages=10).get("Messages", [])
        if not messages:
            return sorted(found, key=_order)
        for message in messages:
            event = json.loads(message["Body"])
            if event["type"] != "totes.heartbeat.v1":
                found.append(_batch(aws, event))
            aws.sqs.delete_message(QueueUrl=aws.changes, ReceiptHandle=message["ReceiptHandle"])


def heartbeats(aws: Any) -> list[dict[str, Any]]:
    """The heartbeats that wait on the queue of changes, oldest first; everything is taken off it."""
    found = []
    while messages := aws.sqs.receive_message(QueueUrl=aws.changes, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            found.append(json.loads(message["Body"]))
            aws.sqs.delete_message(QueueUrl=aws.changes, ReceiptHandle=message["ReceiptHandle"])
    return sorted((one for one in found if one["type"] == "totes.heartbeat.v1"), key=lambda one: one["time"])


def _batch(aws: Any, event: dict[str, Any]) -> Batch:
    data = event["data"]
    body = aws.s3.get_object(Bucket=data["object"]["bucket"], Key=data["object"]["key"])["Body"].read()
    assert len(body) == data["object"]["bytes"]
    rows = [dict(zip(data["columns"], row, strict=True)) for row in decode(body)]
    assert len(rows) == data["object"]["rows"]
    return Batch(event, rows)


def _order(batch: Batch) -> tuple[int, int, int]:
    position = batch.data["position"]
    return position["generation"], position["revision"], batch.data["page"]


def latest(batches: list[Batch], feed: str, key: str) -> dict[str, dict[str, str | None]]:
    """What a warehouse would hold: the newest row of each key by position."""
    return {
        row[key]: {name: value for name, value in row.items() if name != "_row_hash"}
        for batch in batches
        if batch.data["feed"] == feed
        for row in batch.rows
    }


def objects(aws: Any) -> list[str]:
    pages = aws.s3.get_paginator("list_objects_v2").paginate(Bucket=aws.archive)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]
