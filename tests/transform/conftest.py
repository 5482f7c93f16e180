"""The transform on emulated AWS, with outside calls that fail on request."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from contracts.messages import ChangeBatch, LoadBatch
from services.transform.handler import compose
from shared.settings import Settings
from tests.conftest import Aws
from tests.shared.duck import View, view


@dataclass
class Calls:
    """Counts the calls to AWS; one of them fails, either unheard or after it took effect."""

    fail_at: int | None = None
    after_its_effect: bool = False
    made: list[str] = field(default_factory=list)

    def through(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(**arguments: Any) -> Any:
            self.made.append(name)
            failing = len(self.made) - 1 == self.fail_at
            if failing and not self.after_its_effect:
                raise EndpointConnectionError(endpoint_url="https://aws")
            answer = call(**arguments)
            if failing:
                raise EndpointConnectionError(endpoint_url="https://aws")
            return answer

        return counted


class Client:
    """A boto3 client seen through `Calls`."""

    def __init__(self, client: Any, calls: Calls) -> None:
        self._client, self._calls = client, calls
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        return self._calls.through(name, getattr(self._client, name))


class Pipeline:
    """An archive to fill, a transform to deliver to, and what it left behind."""

    def __init__(self, aws: Aws, tmp_path: Any) -> None:
        self.aws = aws
        self._folder = tmp_path

    def archive(self, batch: ChangeBatch, body: bytes) -> ChangeBatch:
        ref = batch.data.object
        self.aws.s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=body, Metadata={"sha256": ref.sha256})
        return batch

    def deliver(self, *batches: ChangeBatch | str, receives: int = 1, calls: Calls | None = None) -> list[str]:
        """Deliver messages in one event; the ids of those that stay queued (m0, m1 …)."""
        calls = calls or Calls()
        settings = Settings(
            processed_bucket=self.aws.processed,
            changes_queue_url=self.aws.changes,
            loads_queue_url=self.aws.loads,
            dead_letter_queue_url=self.aws.changes_dlq,
        )
        consumer = compose(settings, s3=Client(self.aws.s3, calls), sqs=Client(self.aws.sqs, calls))
        event = self.event([batch if isinstance(batch, str) else batch.body() for batch in batches], receives)
        answer = consumer.consume(event, lambda: 60.0)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def event(self, bodies: Sequence[str], receives: int = 1) -> dict[str, Any]:
        """Receive the bodies from the real queue, so that receipt handles are real."""
        records = []
        for number, body in enumerate(bodies):
            self.aws.sqs.send_message(QueueUrl=self.aws.changes, MessageBody=body)
            (message,) = self.aws.sqs.receive_message(QueueUrl=self.aws.changes)["Messages"]
            attributes = {"ApproximateReceiveCount": str(receives)}
            handle = message["ReceiptHandle"]
            records.append({"messageId": f"m{number}", "receiptHandle": handle, "attributes": attributes, "body": body})
        return {"Records": records}

    def load_batches(self) -> list[LoadBatch]:
        """What was sent to the loader since the last look."""
        return [LoadBatch.model_validate_json(message["Body"]) for message in self._drain(self.aws.loads)]

    def parked(self) -> list[dict[str, str]]:
        """Reason and class of each message parked since the last look."""
        return [
            {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
            for message in self._drain(self.aws.changes_dlq)
        ]

    def objects(self) -> dict[str, bytes]:
        """Every object of the processed bucket; that none was overwritten is checked on the way."""
        versions = self.aws.s3.list_object_versions(Bucket=self.aws.processed).get("Versions", [])
        keys = [version["Key"] for version in versions]
        assert len(keys) == len(set(keys)), "an object was overwritten"
        return {key: self.aws.s3.get_object(Bucket=self.aws.processed, Key=key)["Body"].read() for key in keys}

    def quarantine(self) -> list[dict[str, Any]]:
        """The quarantined rows."""
        bodies = [body for key, body in sorted(self.objects().items()) if key.startswith("_quarantine/")]
        return [json.loads(line) for body in bodies for line in body.decode().split("\n")[:-1]]

    def view(self, load_batch: LoadBatch) -> View:
        """The Parquet file of a load batch as DuckDB sees it."""
        return view(self.objects()[load_batch.data.object.key], self._folder)

    def _drain(self, url: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while messages := self.aws.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                self.aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found += messages
        return found


@pytest.fixture
def pipeline(aws: Aws, tmp_path: Any) -> Pipeline:
    return Pipeline(aws, tmp_path)
