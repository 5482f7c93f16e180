"""Who looks at the warehouse and writes down which numbers its star rows show, and when.

It is a session of its own that reads the star rows themselves, as an analyst would, and knows nothing of the
pipeline's books. Facts are read beyond the greatest serial seen: the loader gives serials under its star table's
advisory lock, which it holds until its commit, so none appears below one that was seen (those that share the lock
load pages of one snapshot, of which a load of changes has one a feed; what were overlooked would count as missing).
Dimensions are read by the ids of the transactions that wrote them, from the oldest that was in progress at the last
look. So nothing is overlooked, and what is seen twice does no harm.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from services.ops.bench.delays import Change, Sight
from shared.postgres import Connection

LOOK_SECONDS = 0.015
"""Between two looks; a delay is too long by that much at the most, and by the look itself."""
ARRIVAL_SECONDS = 0.1
"""Between two questions whether everything has arrived."""
SEEN = Path(__file__).with_name("seen.sql").read_text(encoding="utf-8")
SERIALS = ("sales_order", "payment")
HORIZON = "horizon"


class Watcher:
    """One watching session; a context manager that looks until its end."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """Take what opens a session that finds the star schema in its search path."""
        self._connect = connect
        self.sights: list[Sight] = []
        self._newest: dict[tuple[str, int], int] = {}
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watcher":
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more. Raises what the looking failed of."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def await_arrival(self, journal: list[Change], timeout_seconds: float) -> bool:
        """Whether every change was seen in time, or one of its row that came later."""
        last = {(change.table, change.key): change.number for change in sorted(journal, key=lambda one: one.number)}
        deadline = time.monotonic() + timeout_seconds
        while not all(self._newest.get(row, -1) >= number for row, number in last.items()):
            if self._stop.is_set() or time.monotonic() > deadline:
                return False
            self._stop.wait(ARRIVAL_SECONDS)
        return True

    def _watch(self) -> None:
        try:
            with self._connect() as session:
                look = session.prepare(SEEN)
                since = {"sales_order": 0, "payment": 0, HORIZON: 0}
                while not self._stop.is_set():
                    began = time.monotonic()
                    self._note(look.run(**since), since)
                    self._stop.wait(max(0.0, began + LOOK_SECONDS - time.monotonic()))
        except BaseException as exc:  # noqa: BLE001 - raised by the end, in the thread that waits
            self._error = exc
            self._stop.set()

    def _note(self, rows: list[tuple[str, int, int, int]], since: dict[str, int]) -> None:
        seen_at = time.time()
        for table, place, key, number in rows:
            if table in since:
                since[table] = max(since[table], place)
            if table != HORIZON and number > self._newest.get((table, key), -1):
                self._newest[table, key] = number
                self.sights.append(Sight(table, key, number, seen_at))
