"""What the oracle knows of the pipeline: the source snapshots it took, which of its reads came to their end, and
whether the checkpoint was ever ahead of what is stored and sent. It watches calls from outside and shares no code.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from contracts.messages import is_heartbeat
from tests.attack.stores import MemoryS3, MemorySqs

LEAST_KEY = -(2**63)


class Net(StrEnum):
    """What a read that came to its end must have seen: changes that moved last_updated, or every row as it is."""

    POLL = "poll"
    SCAN = "scan"


@dataclass(frozen=True)
class Claim:
    """A read of the fact's feed that came to its end inside one snapshot."""

    snapshot: str
    net: Net
    counted_before: str | None = None
    """If the rows were counted too: the snapshot in which the same owner had counted them last."""


@dataclass
class Witness:
    """One pipeline's."""

    s3: MemoryS3
    sqs: MemorySqs
    snapshots: dict[str, int] = field(default_factory=dict)
    """pg_snapshot text -> revision."""
    claims: list[Claim] = field(default_factory=list)
    owner: str = ""
    """Who stands in the checkpoint."""
    tenures: int = 0
    """How often that changed."""
    _told: int = 0
    _sent: dict[str, set[int]] = field(default_factory=dict)

    def of_poller(self, owner: str) -> "Reader":
        return Reader(self, owner)

    def of_reconciler(self) -> "Reader":
        return Reader(self, None)

    def object_was_put(self, bucket: str, key: str, body: bytes) -> None:
        """Called with each object at the moment it is stored."""
        if bucket == "control" and key == "checkpoint.json":
            checkpoint = json.loads(body)
            self.tenures += checkpoint["owner"] != self.owner
            self.owner = checkpoint["owner"]
            for feed, state in checkpoint["feeds"].items():
                self._expect_covered(feed, state["page"])

    def _expect_covered(self, feed: str, pages: int) -> None:
        """Every page that a checkpoint counts must have been stored and sent."""
        missing = set(range(pages)) - self._pages_sent(feed)
        assert not missing, f"The checkpoint counts {pages} pages of {feed}; {missing} were not stored and sent."

    def _pages_sent(self, feed: str) -> set[int]:
        """Pages whose batch was acknowledged and whose object is there; a repair has a number of its feed too."""
        news, self._told = self.sqs.accepted[self._told :], len(self.sqs.accepted)
        bodies = [body for url, body in news if url == "changes" and not is_heartbeat(body)]
        for data in (json.loads(body)["data"] for body in bodies):
            if self.s3.body(data["object"]["bucket"], data["object"]["key"]) is not None:
                self._sent.setdefault(data["feed"], set()).add(data["page"])
        return self._sent.get(feed, set())

    def saw(self, snapshot: str) -> None:
        _, xmax, xip = snapshot.split(":")
        self.snapshots[snapshot] = int(xmax) - len([one for one in xip.split(",") if one])


@dataclass
class Reader:
    """One service's session with the source, watched statement by statement; `owner` is a poller's name."""

    witness: Witness
    owner: str | None
    fact: bool = False
    snapshot: str = ""
    reads: list[Net] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=dict)
    counted: bool = False
    counted_before: tuple[int, str] | None = None
    """In which tenure and snapshot."""

    def saw(self, sql: str, parameters: dict[str, Any], rows: list[Any], number: int) -> None:
        if "LOCK TABLE" in sql:
            self.fact, self.reads, self.asked, self.counted = '"sales_order" IN' in sql, [], {}, False
        elif "pg_current_snapshot()" in sql and "BEGIN" not in sql:
            self.snapshot = rows[0][-1]
            self.witness.saw(self.snapshot)
        elif "limit" in parameters and "after" in parameters:
            self.asked = parameters
        elif sql.startswith("COPY") and self.asked:
            self._copied(sql, number)
        elif sql.startswith("SELECT count(*)"):
            self.counted = True
        elif sql == "COMMIT":
            self._ended()

    def _copied(self, sql: str, number: int) -> None:
        whole = int(self.asked["after"]) == LEAST_KEY and number < int(self.asked["limit"])
        if whole and self.fact:
            self.reads.append(Net.POLL if "totes.look_back" in sql else Net.SCAN)
        self.asked = {}

    def forget(self) -> None:
        """The run failed: who goes on after it knows no more what it had counted."""
        self.counted_before = None

    def _ended(self) -> None:
        """What a poller skipped it may only skip as the owner."""
        if self.fact and self.owner is not None and self.owner == self.witness.owner:
            tenure, before = self.counted_before or (0, None)
            known = before if self.counted and tenure == self.witness.tenures else None
            self.witness.claims += [Claim(self.snapshot, net, known) for net in self.reads]
            if self.counted:
                self.counted_before = (self.witness.tenures, self.snapshot)
        self.reads, self.fact = [], False
