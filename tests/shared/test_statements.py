"""A connection that remembers its statements sends what pg8000 sends, and answers with what it answers."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pg8000.native import Connection, DatabaseError, InterfaceError

from shared.copies import Stream
from shared.postgres import Dsn, driver_arguments
from shared.statements import RememberingConnection, read
from tests.conftest import NewDatabase

TEXTS = (
    "SELECT CAST(:a AS int) + CAST(:b AS int)",
    "SELECT CAST(:b AS int), ':a', CAST(:a AS int) -- :none",
    "SELECT CAST(:a AS int)::text, CAST(:b AS int)",
    "SELECT 1 WHERE CAST(:a AS int) > CAST(:b AS int)",
    "SELECT CAST(:a AS int) / CAST(:b AS int)",
    "SELECT CAST(:a AS int) FROM nowhere WHERE CAST(:b AS int) = 1",
    "SELEC CAST(:a AS int) + CAST(:b AS int)",
    "SELECT generate_series(CAST(:a AS int), CAST(:b AS int))",
    "CREATE TEMP TABLE IF NOT EXISTS kept AS SELECT CAST(:a AS int) + CAST(:b AS int) AS number",
    "BEGIN",
    "COMMIT",
)


@pytest.fixture
def both(new_database: NewDatabase) -> Iterator[list[Connection]]:
    arguments = driver_arguments(Dsn.parse(new_database("statements")), "test")
    with closing(Connection(**arguments)) as plain, closing(RememberingConnection(**arguments)) as remembering:
        yield [plain, remembering]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(TEXTS), st.integers(-9, 9), st.integers(-9, 9)), max_size=8))
def test_statements_in_any_order_answer_as_the_driver_alone_does(
    both: list[Connection], runs: list[tuple[str, int, int]]
) -> None:
    for text, a, b in runs:
        plain, remembering = (said(session, text, a, b) for session in both)
        assert plain == remembering
    assert said(both[0], "ROLLBACK", 0, 0) == said(both[1], "ROLLBACK", 0, 0)


def said(session: Connection, text: str, a: int, b: int) -> tuple[object, ...]:
    """All that a statement leaves behind for its caller."""
    try:
        rows = session.run(text, b=b, a=a) if ":" in text else session.run(text)
    except (DatabaseError, InterfaceError) as exc:
        return (repr(exc),)
    return rows, session.columns and [column["name"] for column in session.columns], session.row_count


def test_a_text_is_read_once_and_its_values_are_those_of_each_run(both: list[Connection]) -> None:
    before = read.cache_info()

    answers = [both[1].run("SELECT CAST(:once AS int)", once=number) for number in (1, 2, 3)]

    after = read.cache_info()
    assert answers == [[[1]], [[2]], [[3]]]
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 2)


def test_a_copy_and_a_bare_statement_are_run_as_ever(both: list[Connection]) -> None:
    class Kept:
        rows: tuple[bytes, ...] = ()

        def writelines(self, rows: list[bytes], /) -> None:
            self.rows += tuple(rows)

    for session in both:
        kept = Kept()
        session.run("COPY (SELECT ':a', 1) TO STDOUT", stream=Stream(kept))
        assert (kept.rows, session.row_count) == ((b":a\t1\n",), 1)
        assert session.run("SELECT 1; SELECT 2") == [[1], [2]]


def test_a_value_that_is_missing_is_missed_each_time(both: list[Connection]) -> None:
    for _ in range(2):
        with pytest.raises(InterfaceError, match="placeholder 'a'"):
            both[1].run("SELECT CAST(:a AS int)", b=1)
    assert both[1].run("SELECT CAST(:a AS int)", a=1) == [[1]]
