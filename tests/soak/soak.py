"""The soak: the embedded stack under load while its stages are killed, then everything drained and compared.

Nothing is left running, however it ends. Told to stop early, it ends the load and still drains and compares.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from contracts.feeds import FEEDS
from services.local.down import SOURCE, WAREHOUSE
from services.local.postgres import SOURCE_DATABASE, PostgresServer
from services.local.stack import Stack, StackOptions
from services.local.topology import topology
from shared.checkpoint import CheckpointStore
from shared.objects import ObjectStore
from shared.queues import Queue
from tests.soak.evidence import FACTS, Evidence, Findings, freshness
from tests.soak.grounds import Grounds, open_session, shortened
from tests.soak.keepers import Keepers
from tests.soak.kills import Hunt, counted
from tests.soak.load import Books, Writer

SCHEMA = Path(__file__).with_name("journal.sql").read_text(encoding="utf-8")
PROGRESS_SECONDS = 10.0
DRAIN_SECONDS = 240.0
"""Longer than a message whose function was killed stays hidden, some times over."""
DRAIN_LOOK_SECONDS = 0.5
QUIET_RECONCILES = 2
"""Runs in a row that find nothing: the first may have looked while something was still on its way."""
WORK = ("missing", "stale", "extra", "in_flight", "held_back", "newer")
"""What a reconciler that has nothing to do finds none of."""
SHOWN = 20
"""Sentences printed of each kind."""


@dataclass(frozen=True)
class Options:
    """What one soak is."""

    state_dir: Path
    minutes: float
    seed: int
    kills_per_minute: float
    changes_per_second: float
    duplicates_per_minute: float
    writers: int
    poll_interval_seconds: float

    def draws(self, who: str) -> Random:
        """Random numbers of one actor, the same for the same seed whatever the others draw."""
        return Random(f"{self.seed} {who}")  # noqa: S311 - to be repeated, not to be secret


class Crew:
    """Threads that work until told to stop; the first that fails stops them all."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[threading.Event], None]) -> None:
        """Let one work."""
        thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def end(self) -> None:
        """Stop all, wait for the last, and raise what one failed of."""
        self.stop.set()
        for thread in self._threads:
            thread.join()
        if self.error is not None:
            raise self.error

    def _run(self, work: Callable[[threading.Event], None]) -> None:
        try:
            work(self.stop)
        except BaseException as exc:  # noqa: BLE001 - raised by `end`, in the thread that waits
            self.error = self.error or exc
            self.stop.set()


class Soak:
    """One run."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self._options, self._say = options, say
        self._books = Books()

    def run(self) -> dict[str, Any]:
        """Start, load, kill, drain, compare; the report."""
        given, deployed = self._options, shortened(topology())
        options = StackOptions(
            given.state_dir, None, None, "warehouse", "UTC", given.poll_interval_seconds, 300.0, None
        )

        def prepare(_: str) -> None:
            with open_session(PostgresServer(options.folder / SOURCE), SOURCE_DATABASE) as session:
                session.run(SCHEMA)

        with Stack(options, self._say, deployed) as stack:
            stack.start(prepare)
            return self._soak(Grounds(stack.description, deployed))

    def _soak(self, grounds: Grounds) -> dict[str, Any]:
        given = self._options
        hunt = Hunt(grounds, given.draws("kills"), given.kills_per_minute)
        keepers = Keepers(grounds, given.draws("duplicates"), given.duplicates_per_minute)
        hunt.note_source_start()
        began = time.monotonic()
        helpers = Crew()
        helpers.start(keepers.keep_polling)
        try:
            self._under_load(grounds, hunt, keepers)
            loaded = time.monotonic()
            drained = self._drain(grounds, keepers, helpers.stop)
        finally:
            helpers.end()
        self._say("Comparing")
        findings = Evidence(grounds, hunt.source_starts, self._books).findings()
        seconds = {"load_seconds": round(loaded - began, 1), "drain_seconds": round(time.monotonic() - loaded, 1)}
        return {**seconds, "drained": drained, **self._report(findings, hunt, keepers, grounds)}

    def _under_load(self, grounds: Grounds, hunt: Hunt, keepers: Keepers) -> None:
        """Write, kill, reconcile and deliver twice for the time given, or until interrupted."""
        given, crew = self._options, Crew()
        for number in range(given.writers):
            writer = Writer(
                number,
                given.writers,
                rate=given.changes_per_second / given.writers,
                random=given.draws(f"writer {number}"),
                connect=lambda: grounds.session(SOURCE),
                books=self._books,
            )
            crew.start(writer.run)
        for work in (hunt.run, keepers.keep_reconciling, keepers.keep_duplicating):
            crew.start(work)
        try:
            self._watch(grounds, hunt, crew.stop)
        except KeyboardInterrupt:
            self._say("Interrupted: the load ends now; what was written is still drained and compared")
        finally:
            crew.end()

    def _watch(self, grounds: Grounds, hunt: Hunt, stop: threading.Event) -> None:
        """A line of progress every few seconds until the time is over."""
        began = time.monotonic()
        until = began + self._options.minutes * 60
        while (left := until - time.monotonic()) > 0 and not stop.wait(min(PROGRESS_SECONDS, left)):
            held = sum(bool(kill.held) for kill in hunt.kills)
            waiting = " ".join(f"{name} {depth}" for name, depth in _depths(grounds).items())
            self._say(
                f"{time.monotonic() - began:6.0f} s: {self._books.rows} rows committed, {len(hunt.kills)} kills "
                f"({held} held something), on queues: {waiting}"
            )

    # -- draining

    def _drain(self, grounds: Grounds, keepers: Keepers, stop: threading.Event) -> bool:
        """Until everything is polled and loaded, and the reconciler finds nothing; whether that was reached."""
        deadline = time.monotonic() + DRAIN_SECONDS
        with grounds.session(SOURCE) as session:
            [[now]] = session.run("SELECT clock_timestamp()")
        self._say("The load has ended; waiting until everything has arrived")
        quiet = 0
        while time.monotonic() < deadline and not stop.is_set():
            if not _seen(grounds, now) or any(_depths(grounds).values()):
                stop.wait(DRAIN_LOOK_SECONDS)
                continue
            answer = keepers.reconcile()
            works = answer is None or answer["skipped"] or any(answer["total"].get(name, 0) for name in WORK)
            self._say(f"Reconciled: {_in_words(answer)}")
            quiet = 0 if works else quiet + 1
            stop.wait(DRAIN_LOOK_SECONDS)
            if quiet == QUIET_RECONCILES:
                return not any(_depths(grounds).values())
        return False

    # -- reporting

    def _report(self, findings: Findings, hunt: Hunt, keepers: Keepers, grounds: Grounds) -> dict[str, Any]:
        verdicts = findings.verdicts.values()
        with grounds.session(SOURCE) as source, grounds.session(WAREHOUSE) as warehouse:
            operations = dict(source.run("SELECT operation, count(*) FROM soak.journal GROUP BY 1 ORDER BY 1"))
            [[repairs, quarantined]] = warehouse.run(_REPAIRS)
        kills = counted(hunt.kills)
        return {
            "rows_committed": sum(operations.values()),
            "operations": operations,
            "transactions": self._books.transactions,
            "rolled_back": self._books.rolled_back,
            "commits_of_unknown_outcome": self._books.unknown,
            "versions_expected": sum(one.expected for one in verdicts),
            "versions_found": sum(one.found for one in verdicts),
            "versions_in_facts": sum(findings.verdicts[name].shown for name in FACTS),
            "kills": kills,
            "kills_total": len(hunt.kills),
            "kills_that_held_something": sum(bool(kill.held) for kill in hunt.kills),
            "kills_without_a_victim": hunt.missed,
            "restarts": {"servers": hunt.restarts, "pollers_sent": keepers.pollers_sent},
            "reconciles": dict(keepers.reconciles),
            "duplicates_delivered": dict(keepers.duplicates),
            "repairs": repairs,
            "quarantined": quarantined,
            "parked": sum(_depths(grounds, dead=True).values()),
            **_wrong(findings),
            "freshness_seconds": freshness(findings, [kill.at for kill in hunt.kills]),
        }


_REPAIRS = """
SELECT coalesce(sum(rows) FILTER (WHERE origin = 'repair'), 0)::bigint, coalesce(sum(quarantined), 0)::bigint
  FROM _load_batch"""


def _wrong(findings: Findings) -> dict[str, Any]:
    """What must be nothing: counts, and the first sentences of each kind."""
    found: dict[str, list[str]] = {
        kind: [text for verdict in findings.verdicts.values() for text in getattr(verdict, kind)]
        for kind in ("lost", "doubled", "invented")
    } | {"unloaded": findings.unloaded, "differing": findings.differing}
    counts = {kind: len(texts) for kind, texts in found.items()}
    return {**counts, "wrong": [f"{kind}: {text}" for kind, texts in found.items() for text in texts[:SHOWN]]}


def faults(report: dict[str, Any]) -> int:
    """How much is wrong; 0 where the claim holds."""
    kinds = ("lost", "doubled", "invented", "unloaded", "differing", "parked", "quarantined")
    return sum(report[kind] for kind in kinds) + (not report["drained"])


def _depths(grounds: Grounds, *, dead: bool = False) -> dict[str, int]:
    urls = grounds.description.dead_letter_queues if dead else grounds.description.queues
    return {name: Queue(grounds.client("sqs"), url).depth().total for name, url in urls.items()}


def _in_words(answer: dict[str, Any] | None) -> str:
    """A reconciler's answer without its zeros."""
    if answer is None:
        return "it failed"
    counts = " ".join(f"{name} {count}" for name, count in answer["total"].items() if count)
    return f"{counts or 'nothing'}{', skipped ' if answer['skipped'] else ''}{' '.join(answer['skipped'])}"


def _seen(grounds: Grounds, moment: datetime) -> bool:
    """Whether every feed was polled since."""
    control = grounds.description.buckets["control"]
    checkpoint = CheckpointStore(ObjectStore(grounds.client("s3")), control).load()
    clocks = [checkpoint.feed(name).as_of for name in FEEDS]
    return all(clock is not None and clock >= moment for clock in clocks)
