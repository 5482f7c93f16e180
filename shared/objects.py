"""The object store: write once, read checked, compare and set.

Invariant: no object is ever overwritten except the checkpoint, which only moves by compare-and-set. A second
delivery of the same bytes under the same key is the same object.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from contracts.messages import ObjectRef
from shared.errors import CheckpointConflict, CorruptObject, ObjectStoreUnavailable

DIGEST = "sha256"
"""Name of the user metadata entry that holds an object's digest."""
_MISSING = ("404", "NoSuchKey")
_CONFLICTS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


@dataclass(frozen=True)
class Found:
    """An object with the etag that compare-and-set needs and its age in seconds by the store's own clock."""

    body: bytes
    etag: str
    age_seconds: float


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it: its key and its size in bytes."""

    key: str
    bytes: int


def unhesitating(client: Any) -> Any:
    """The same S3 client, which from now on sends an object's bytes together with its headers.

    botocore asks first with `Expect: 100-continue` and waits for the answer: a round trip more for every object, to
    save the bytes of one that is refused. Ours are small and are hardly ever refused.
    """
    client.meta.events.register("before-sign.s3.PutObject", _ask_nothing)
    return client


def _ask_nothing(request: Any, **_: Any) -> None:
    del request.headers["Expect"]


def sha256(body: bytes) -> str:
    """The digest that names an object's bytes, in hex."""
    return hashlib.sha256(body).hexdigest()


class ObjectStore:
    """One S3 client, seen through the few things the pipeline does with it."""

    def __init__(self, client: Any) -> None:
        """Take a boto3 S3 client."""
        self._client = client

    def put_once(self, ref: ObjectRef, body: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Store bytes under a new key; the same bytes already there count as stored.

        Raises CorruptObject if other bytes hold the key, ObjectStoreUnavailable if the store failed.
        """
        entries = {**(metadata or {}), DIGEST: ref.sha256}
        try:
            self._client.put_object(Bucket=ref.bucket, Key=ref.key, Body=body, IfNoneMatch="*", Metadata=entries)
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in _CONFLICTS:
                _fail(exc, f"to store {ref.bucket}/{ref.key}")
            self._expect_same(ref)
        except BotoCoreError as exc:
            _fail(exc, f"to store {ref.bucket}/{ref.key}")

    def get(self, ref: ObjectRef) -> bytes:
        """The object's bytes, checked against digest and size. Raises CorruptObject or ObjectStoreUnavailable."""
        try:
            body = bytes(self._client.get_object(Bucket=ref.bucket, Key=ref.key)["Body"].read())
        except self._client.exceptions.NoSuchKey as exc:
            raise CorruptObject(f"Expected the object {ref.bucket}/{ref.key} and found none.") from exc
        except (ClientError, BotoCoreError) as exc:
            _fail(exc, f"to read {ref.bucket}/{ref.key}")
        if len(body) != ref.bytes or sha256(body) != ref.sha256:
            raise CorruptObject(
                f"Expected {ref.bytes} bytes with sha256 {ref.sha256[:16]}… in {ref.bucket}/{ref.key}, "
                f"found {len(body)} bytes with {sha256(body)[:16]}…."
            )
        return body

    def metadata(self, bucket: str, key: str) -> dict[str, str]:
        """An object's user metadata. Raises CorruptObject where there is no such object, ObjectStoreUnavailable."""
        try:
            return dict(self._client.head_object(Bucket=bucket, Key=key)["Metadata"])
        except (ClientError, BotoCoreError) as exc:
            if isinstance(exc, ClientError) and exc.response["Error"]["Code"] in _MISSING:
                raise CorruptObject(f"Expected the object {bucket}/{key} and found none.") from exc
            _fail(exc, f"to look at {bucket}/{key}")

    def keys(self, bucket: str, prefix: str, after: str = "") -> Iterator[str]:
        """Keys under a prefix in their order, beginning behind `after`; every page of the listing."""
        return (entry.key for entry in self.listed(bucket, prefix, after))

    def listed(self, bucket: str, prefix: str, after: str = "") -> Iterator[Listed]:
        """Keys under a prefix like `keys`, each with its size."""
        for page in self._pages(Bucket=bucket, Prefix=prefix, StartAfter=after):
            for entry in page.get("Contents", ()):
                yield Listed(str(entry["Key"]), int(entry["Size"]))

    def folders(self, bucket: str, prefix: str) -> Iterator[str]:
        """What follows a prefix up to and with the next slash, each once and in order, without what lies inside."""
        for page in self._pages(Bucket=bucket, Prefix=prefix, Delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                yield str(entry["Prefix"]).removeprefix(prefix)

    def _pages(self, **listing: str) -> Iterator[Any]:
        pages = self._client.get_paginator("list_objects_v2").paginate(**listing)
        try:
            yield from pages
        except (ClientError, BotoCoreError) as exc:
            _fail(exc, f"to list {listing['Bucket']}/{listing['Prefix']}")

    def find(self, bucket: str, key: str) -> Found | None:
        """An object as it is now, or None."""
        try:
            answer = self._client.get_object(Bucket=bucket, Key=key)
            now = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
            return Found(bytes(answer["Body"].read()), str(answer["ETag"]), _age_seconds(answer["LastModified"], now))
        except self._client.exceptions.NoSuchKey:
            return None
        except (ClientError, BotoCoreError) as exc:
            _fail(exc, f"to read {bucket}/{key}")

    def compare_and_set(self, bucket: str, key: str, body: bytes, etag: str | None) -> str:
        """Replace the object if it still has `etag` (None: if there is none); the new etag.

        Raises CheckpointConflict if somebody else was faster.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            return str(self._client.put_object(Bucket=bucket, Key=key, Body=body, **condition)["ETag"])
        except ClientError as exc:
            if exc.response["Error"]["Code"] in (*_CONFLICTS, "NoSuchKey", "404"):
                raise CheckpointConflict(f"{bucket}/{key} was moved by another owner.") from exc
            _fail(exc, f"to move {bucket}/{key}")
        except BotoCoreError as exc:
            _fail(exc, f"to move {bucket}/{key}")

    def _expect_same(self, ref: ObjectRef) -> None:
        found = self.metadata(ref.bucket, ref.key).get(DIGEST)
        if found != ref.sha256:
            raise CorruptObject(f"{ref.bucket}/{ref.key} exists with digest {found}, expected {ref.sha256}.")


def _age_seconds(modified: Any, now: str | None) -> float:
    """Both times are the store's, so no clock of ours can disagree with them."""
    from email.utils import parsedate_to_datetime

    return 0.0 if now is None else float((parsedate_to_datetime(now) - modified).total_seconds())


def _fail(exc: Exception, what: str) -> NoReturn:
    raise ObjectStoreUnavailable(f"S3 failed {what}: {exc}.") from exc
