"""Any interleaving of writers and polls: every committed version that a poll could still see is sent.

The oracle is the writers' own journal. A version counts once its transaction has committed; it may be skipped only if
a later commit replaced it before any poll looked (changes inside one interval collapse). So after each poll, and
without any further write, what was sent last for a key must be the journal's committed state at that poll.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.poller.archived import receive
from tests.poller.conftest import Bench

WRITERS = 3
STEP = st.one_of(
    st.tuples(st.just("begin"), st.integers(0, WRITERS - 1)),
    st.tuples(st.just("insert"), st.integers(0, WRITERS - 1)),
    st.tuples(st.just("update"), st.integers(0, WRITERS - 1), st.booleans()),
    st.tuples(st.just("savepoint"), st.integers(0, WRITERS - 1)),
    st.tuples(st.just("back"), st.integers(0, WRITERS - 1)),
    st.tuples(st.just("commit"), st.integers(0, WRITERS - 1)),
    st.tuples(st.just("chain"), st.integers(0, WRITERS - 1)),
    st.tuples(st.just("rollback"), st.integers(0, WRITERS - 1)),
    st.tuples(st.just("poll")),
    st.tuples(st.just("reconnect")),
)


@dataclass
class Writer:
    """One session with its own keys, and what it knows to have written."""

    session: object
    first_key: int
    committed: dict[int, str] = field(default_factory=dict)
    pending: dict[int, str] | None = None
    saved: list[dict[int, str]] = field(default_factory=list)

    @property
    def seen(self) -> dict[int, str]:
        return self.committed if self.pending is None else self.pending

    def write(self, key: int, version: str) -> None:
        if self.pending is None:
            self.committed = {**self.committed, key: version}
        else:
            self.pending = {**self.pending, key: version}

    def end(self, verb: str, *, keep: bool, chain: bool = False) -> None:
        if self.pending is None:
            return
        self.session.run(verb)
        self.committed = self.pending if keep else self.committed
        self.pending, self.saved = (dict(self.committed) if chain else None), []

    def step(self, verb: str, number: int, *, moves: bool = True) -> None:
        if verb == "begin" and self.pending is None:
            self.session.run("BEGIN")
            self.pending = dict(self.committed)
        elif verb == "insert":
            key = self.first_key + number
            self.session.run(
                "INSERT INTO design (design_id, design_name, file_location, file_name) VALUES (:k, :v, 'a', 'b')",
                k=key,
                v=f"v{number}",
            )
            self.write(key, f"v{number}")
        elif verb == "update" and self.seen:
            key = min(self.seen)
            clock = ", last_updated = now()" if moves else ""
            self.session.run(f"UPDATE design SET design_name = :v{clock} WHERE design_id = :k", k=key, v=f"v{number}")
            self.write(key, f"v{number}")
        elif verb == "savepoint" and self.pending is not None:
            self.session.run(f"SAVEPOINT s{len(self.saved)}")
            self.saved.append(self.pending)
        elif verb == "back" and self.saved:
            self.session.run(f"ROLLBACK TO s{len(self.saved) - 1}")
            self.pending = self.saved.pop()
        elif verb == "commit":
            self.end("COMMIT", keep=True)
        elif verb == "chain":
            self.end("COMMIT AND CHAIN", keep=True, chain=True)
        elif verb == "rollback":
            self.end("ROLLBACK", keep=False)


@pytest.mark.no_cover
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=5, max_size=40))
def test_whatever_was_committed_when_a_poll_looked_is_sent(bench: Bench, steps: list[tuple]):
    bench.run("TRUNCATE design CASCADE")
    bench.aws.s3.delete_object(Bucket="control", Key="checkpoint.json")
    writers = [Writer(bench.writer(), 1000 * (number + 1)) for number in range(WRITERS)]
    poller = bench.poller("design", margin_seconds=0.002, scan_interval_seconds=0.001, page_rows=3, pages_per_turn=2)
    assert poller.claim()
    receive(bench.aws)
    sent: dict[int, str] = {}
    try:
        for number, (verb, *arguments) in enumerate([*steps, ("poll",)]):
            if verb == "reconnect":
                poller._source.close()
            elif verb == "poll":
                bench.clock.seconds += 1
                for batch in bench.polled(poller):
                    sent |= {int(row["design_id"]): row["design_name"] for row in batch.rows}
                assert sent == {key: version for writer in writers for key, version in writer.committed.items()}
            else:
                writer, *moves = arguments
                writers[writer].step(verb, number, moves=moves != [False])
    finally:
        bench.close()
