"""A trial: an empty site to attack, and the verdict after everything has come to rest."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pg8000.native import Connection

from tests.attack import oracle
from tests.attack.site import EMPTY_SOURCE, EMPTY_WAREHOUSE, LEASE_SECONDS, SCHEMA, SMALL, Databases, Site

TABLES = ("fact_sales_order", "_seen_sales_order", "dim_staff", "dim_design", "dim_counterparty", "dim_location")


class Ground:
    """Sessions of the superuser, kept over many trials."""

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.source = databases.server.connect(databases.source)
        self.warehouse = databases.server.connect(databases.warehouse)
        self.observer = databases.server.connect(databases.source)
        self._writers: list[Connection] = []

    def close(self) -> None:
        for one in (self.source, self.warehouse, self.observer, *self._writers):
            one.close()
        self.databases.close()

    def writers(self, number: int) -> list[Connection]:
        """So many sessions of applications."""
        while len(self._writers) < number:
            self._writers.append(self.databases.server.connect(self.databases.source))
        return self._writers[:number]

    def clear(self, settings: Mapping[str, Any] = SMALL) -> Site:
        """A site with nothing in it but one row of each table a fact refers to."""
        self.source.run(EMPTY_SOURCE)
        self.warehouse.run(EMPTY_WAREHOUSE)
        return Site(self.databases, settings)

    def blocked(self, backend: int) -> bool:
        """Whether a backend waits for another's lock."""
        return bool(self.observer.run("SELECT cardinality(pg_blocking_pids(:pid)) > 0", pid=backend)[0][0])


@dataclass
class Verdict:
    """Bring everything to rest and hold it against the journal; nothing may be open in the source any more."""

    ground: Ground
    site: Site
    counts: Counter[str] = field(default_factory=Counter)

    def reach(self, *, again: bool = True) -> None:
        """`again`: run everything once more, which must change nothing."""
        self.site.drain()
        self._poll_and_deliver()
        self._check_before_reconcile()
        self._reconcile()
        self._check_all()
        if again:
            self._expect_idle()

    def _expect_idle(self) -> None:
        self.counts["run again"] += 1
        held, loaded = self._held(), self._loaded()
        self._poll_and_deliver()
        self._reconcile()
        self.site.replay()
        self.site.drain()
        now = self._held()
        news = sorted(self._loaded() - loaded)
        assert now == held, f"Running everything again made {sorted(now - held)} of {sorted(held - now)} by {news}."

    def _poll_and_deliver(self) -> None:
        """By whoever polls last; another may have died, so its lease must be over."""
        self.site.clock.sleep(2 * LEASE_SECONDS)
        self.site.poller.run()
        self.site.drain()

    def _reconcile(self) -> None:
        self.site.reconciler.run()
        self.site.drain()

    def _held(self) -> set[tuple[str, str]]:
        """Every row but the bookkeeping of load batches."""
        rows = {table: self.ground.warehouse.run(f"SELECT t::text FROM {SCHEMA}.{table} t") for table in TABLES}
        return {(table, str(row)) for table, found in rows.items() for (row,) in found}

    def _loaded(self) -> set[str]:
        return {row for (row,) in self.ground.warehouse.run(f"SELECT b::text FROM {SCHEMA}._load_batch b")}

    def _check_before_reconcile(self) -> None:
        """Every row that is there was read by a scan: no dimension may need the reconciler, but after its own repairs.

        (A poller remembers what it sent, not what the reconciler sent: a silent flip back is the next reconcile's.)
        """
        expected = oracle.dimensions_of(oracle.Journal(self.ground.source, ()).now)
        for name, held in oracle.described_in(self.ground.warehouse).items():
            for key, row in expected[name].items():
                found = held.get(key)
                if found is not None and found.repaired:
                    self.counts["excused after a repair"] += 1
                else:
                    assert found is not None
                    assert found.row == row, f"{name} {key} after a scan"

    def _check_all(self) -> None:
        assert self.site.parked() == []
        journal = oracle.Journal(self.ground.source, self.site.witness.snapshots)
        facts = oracle.Facts(self.ground.warehouse)
        oracle.check_now(journal, facts, oracle.dimensions_in(self.ground.warehouse))
        oracle.check_history(journal, facts, self.site.witness, self.counts)
        self._check_proofs()

    def _check_proofs(self) -> None:
        """Each feed is said to be complete up to its first captured page that no batch of that number has loaded."""
        loaded = {batch for (batch,) in self.ground.warehouse.run(f"SELECT change_batch FROM {SCHEMA}._load_batch")}
        there: dict[str, set[int]] = defaultdict(set)
        for batch in self.site.archived():
            if batch["data"]["origin"] != "repair" and batch["id"] in loaded:
                there[batch["data"]["feed"]].add(batch["data"]["page"])
        for feed, page in self.ground.warehouse.run(f"SELECT feed, page FROM {SCHEMA}._complete"):
            first = next(number for number in count() if number not in there[feed])
            assert page == first, f"{feed} is said to be complete before page {page}, and page {first} is missing"
        self.counts["proofs"] += len(there)
