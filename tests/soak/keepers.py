"""Keeps the soak's pace: polls and reconciles more often than EventBridge could, and delivers messages twice.

The deployed schedules go on beside it. An invocation more than is needed finds a live poller and ends at once.
"""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from time import monotonic
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pg8000.exceptions import DatabaseError, InterfaceError

from contracts.messages import ENVELOPE, LoadBatch, LoadBatchData, ObjectRef, Position
from services.local.deploy import begin
from services.local.down import WAREHOUSE
from tests.soak.grounds import Grounds, busy

AWS_ERRORS = (BotoCoreError, ClientError)
DATABASE_ERRORS = (DatabaseError, InterfaceError, OSError)
WITHOUT_POLLER_SECONDS = 1.0
"""How long nobody polls before somebody is sent; a killed poller's lease of three seconds is waited for besides."""
BETWEEN_RECONCILES_SECONDS = 3.0
NEWEST = 50
"""Batches of which half the duplicates are: the others are of any age."""
_BATCHES = """
SELECT b.*, f.time_zone
  FROM (SELECT * FROM _load_batch ORDER BY loaded_at DESC LIMIT :newest) b JOIN _feed f USING (feed)
 ORDER BY random() LIMIT 1"""


@dataclass
class Keepers:
    """What the soak does to the pipeline besides killing it."""

    grounds: Grounds
    random: Random
    duplicates_per_minute: float
    pollers_sent: int = 0
    reconciles: Counter[str] = field(default_factory=Counter)
    """Runs that ended or died, and the sums of what those that ended answered."""
    duplicates: Counter[str] = field(default_factory=Counter)

    def keep_polling(self, stop: threading.Event) -> None:
        """Send a poller whenever none runs."""
        while not stop.wait(WITHOUT_POLLER_SECONDS):
            if not any(busy(process) for process in self.grounds.workers("poller")):
                with suppress(*AWS_ERRORS):
                    begin(self.grounds, self.grounds.topology, "poller")
                    self.pollers_sent += 1

    def keep_reconciling(self, stop: threading.Event) -> None:
        """One run after the other, with a pause between."""
        while not stop.wait(BETWEEN_RECONCILES_SECONDS):
            self.reconcile()

    def reconcile(self) -> dict[str, Any] | None:
        """Run the reconciler once and wait for its end; its answer, or None if it died or failed."""
        name = self.grounds.topology.name("reconciler")
        try:
            answer = self.grounds.client("lambda").invoke(FunctionName=name, Payload=b"{}")
            said = json.loads(answer["Payload"].read())
        except AWS_ERRORS:
            said = None
        if said is None or "FunctionError" in answer or "total" not in said:
            self.reconciles["died"] += 1
            return None
        self.reconciles["ended"] += 1
        self.reconciles.update({f"rows_{name}": said["total"].get(name, 0) for name in ("changed", "deleted")})
        return dict(said)

    def keep_duplicating(self, stop: threading.Event) -> None:
        """Deliver messages again, of change batches and of load batches in turn."""
        due = monotonic()
        while True:
            due += 60 / self.duplicates_per_minute
            if stop.wait(max(0.0, due - monotonic())):
                return
            with suppress(*DATABASE_ERRORS, *AWS_ERRORS):
                self._duplicate()

    def _duplicate(self) -> None:
        with self.grounds.session(WAREHOUSE) as session:
            found = session.run(_BATCHES, newest=self.random.choice((NEWEST, 2**31)))
            rows = [dict(zip((column["name"] for column in session.columns), row, strict=True)) for row in found]
        for row in rows:
            queue, body = self.random.choice((self._change_batch, self._load_batch))(row)
            url = self.grounds.description.queues[queue]
            self.grounds.client("sqs").send_message(QueueUrl=url, MessageBody=body)
            self.duplicates[queue] += 1

    def _change_batch(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The message as the archive keeps it. Objects of both buckets are named alike, up to their digests."""
        date, name = row["object_key"].split("/")[-2:]
        key = f"{row['feed']}/{date}/{name.rpartition('-')[0]}.tsv.gz"
        bucket = self.grounds.description.buckets["archive"]
        return "changes", self.grounds.client("s3").head_object(Bucket=bucket, Key=key)["Metadata"][ENVELOPE]

    def _load_batch(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The message as transform sent it: its id, which follows from its content, is the one in the books."""
        bucket, key = self.grounds.description.buckets["processed"], row["object_key"]
        body = self.grounds.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        ref = ObjectRef(bucket=bucket, key=key, sha256=sha256(body).hexdigest(), bytes=len(body), rows=row["rows"])
        position = Position(**{name: row[name] for name in Position.model_fields})
        told = {name: row[name] for name in LoadBatchData.model_fields if name not in ("object", "position")}
        sent = LoadBatch.of(LoadBatchData(**told, object=ref, position=position))
        if sent.id != row["id"]:
            raise AssertionError(f"Expected to send {row['id']} again, made {sent.id}.")
        return "loads", sent.body()
