"""One run: eight writers and every reader beside each other, then the verdict by the writers' journals."""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.conftest import TOTESYS_SQL, open_connection
from tests.late_commits.readers import CURSOR, FIXED_LOOK_BACK, Outcome, poll_naively, poll_ours
from tests.late_commits.writers import IDLE_KEY, IDLE_VERSION, Committed, Lengths, Variant, Writer, work
from tests.trouble.servers import PRIVILEGED, SourceServer, grant

WRITERS = 8
READY_SECONDS = 60
_fork = multiprocessing.get_context("fork")
_numbers = count()


@dataclass(frozen=True)
class Reader:
    """One reader of the run; a naive one has no margin."""

    name: str
    stats: bool = False
    margin_seconds: float | None = None


NAIVE = (Reader("cursor"), Reader("look-back 0.5 s"))


@dataclass(frozen=True)
class Verdict:
    """One line of the table. A row is lost whose last committed version is not the last one sent."""

    variant: str
    reader: str
    stats: bool
    margin_seconds: float | None
    promised: bool
    transactions: int
    rows: int
    sent: int
    lost: int
    rows_read: int
    polls: int
    late_p50_ms: float
    late_p99_ms: float

    @property
    def broken(self) -> bool:
        """Whether a promise was."""
        return self.promised and self.lost > 0

    @property
    def read_per_row_sent(self) -> float:
        return self.rows_read / max(1, self.sent)


class Child:
    """A function in a process of its own, so that readers and writers do not share one interpreter's lock."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._answer, answers = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=_answering, args=(answers, function, arguments), daemon=True)
        self._process.start()

    def result(self) -> Any:
        worked, answer = self._answer.recv()
        self._process.join()
        if not worked:
            raise AssertionError(answer)
        return answer


def _answering(answers: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answers.send((True, function(*arguments)))
    except BaseException:  # noqa: BLE001 - the parent raises it
        answers.send((False, traceback.format_exc()))


def run(
    server: SourceServer, variant: Variant, *, lengths: Lengths, seconds: float, margins: Sequence[float]
) -> list[Verdict]:
    """Run one variant on a database of its own; one verdict a reader."""
    database = _new_database(server)
    readers = [Reader("ours", stats, margin) for margin in margins for stats in (False, True)] + list(NAIVE)
    stop = _fork.Event()
    reading = [_start(server, database, reader, stop) for reader in readers]
    with _idle(server, database, variant) as idle:
        arguments = (server.postgres.dsn("postgres", database), variant, lengths, seconds)
        writers = _write(*arguments)
    stop.set()
    outcomes = [child.result() for child in reading]
    journal = [one for writer in writers for one in writer.journal] + idle
    transactions = sum(writer.transactions for writer in writers)
    return [
        _judge(variant, reader, outcome, journal, transactions)
        for reader, outcome in zip(readers, outcomes, strict=True)
    ]


def _new_database(server: SourceServer) -> str:
    name = f"late_{next(_numbers)}"
    with server.administrator() as connection:
        connection.run(f"CREATE DATABASE {name}")
    with open_connection(server.postgres.dsn("postgres", name)) as connection:
        connection.run(TOTESYS_SQL.read_text())
        grant(connection)
        connection.run(
            "INSERT INTO design (design_name, file_location, file_name, last_updated)"
            " SELECT 'old', 'b', 'c', '2022-01-01' FROM generate_series(1, 100); ANALYZE design"
        )
    return name


def _start(server: SourceServer, database: str, reader: Reader, stop: Any) -> Child:
    """Start a reader and wait until it has read what is there."""
    ready = _fork.Event()
    dsn = server.postgres.dsn(PRIVILEGED if reader.stats else "totes_reader", database)
    if reader.margin_seconds is not None:
        child = Child(poll_ours, dsn, reader.margin_seconds, ready, stop)
    else:
        child = Child(poll_naively, dsn, CURSOR if reader.name == "cursor" else FIXED_LOOK_BACK, ready, stop)
    if not ready.wait(READY_SECONDS):
        child.result()
    return child


def _write(dsn: str, variant: Variant, lengths: Lengths, seconds: float) -> list[Writer]:
    children = [Child(work, dsn, number, variant, lengths, seconds) for number in range(1, WRITERS + 1)]
    return [child.result() for child in children]


@contextmanager
def _idle(server: SourceServer, database: str, variant: Variant) -> Iterator[list[Committed]]:
    """A session that stays open for the whole run; the row it wrote, if it wrote one, is committed at the end."""
    written: list[Committed] = []
    if variant.idle is None:
        yield written
        return
    with open_connection(server.postgres.dsn("postgres", database)) as session:
        session.run(variant.idle)
        yield written
        session.run("COMMIT")
        if "UPDATE" in variant.idle:
            written.append(Committed(IDLE_KEY, IDLE_VERSION, time.monotonic()))


def _promised(variant: Variant, reader: Reader) -> bool:
    """Whether this reader may lose no row at all."""
    least = variant.least_margin_seconds
    return least is not None and reader.margin_seconds is not None and reader.margin_seconds >= least


def _judge(variant: Variant, reader: Reader, outcome: Outcome, journal: list[Committed], transactions: int) -> Verdict:
    expected = {one.key: one for one in sorted(journal, key=lambda one: one.at)}
    last, first_sent = {}, {}
    for key, version, at in outcome.sent:
        last[key] = version
        first_sent.setdefault((key, version), at)
    committed = {(one.key, one.version) for one in journal}
    ours = [(key, version) for key, version, _ in outcome.sent if version != "old"]
    assert committed.issuperset(ours), "a reader sent what nobody committed"
    found = [one for one in expected.values() if last.get(one.key) == one.version]
    late = sorted(max(0.0, first_sent[one.key, one.version] - one.at) for one in found) or [0.0]
    return Verdict(
        variant=variant.name,
        reader=reader.name,
        stats=reader.stats,
        margin_seconds=reader.margin_seconds,
        promised=_promised(variant, reader),
        transactions=transactions,
        rows=len(expected),
        sent=len(ours),
        lost=len(expected) - len(found),
        rows_read=outcome.rows_read,
        polls=outcome.polls,
        late_p50_ms=1000 * late[len(late) // 2],
        late_p99_ms=1000 * late[min(len(late) - 1, len(late) * 99 // 100)],
    )
