"""The journal's count of ended transactions: no snapshot that counts no more than `before` shows the change."""

from collections.abc import Callable
from pathlib import Path

from tests.conftest import TOTESYS_SQL, open_connection

JOURNAL_SQL = Path(__file__).with_name("journal.sql")


def test_a_change_is_shown_by_no_snapshot_that_counts_as_little_as_it_did_though_a_later_transaction_ended_first(
    new_database: Callable[[str], str],
):
    dsn = new_database("journal")
    with open_connection(dsn) as writer, open_connection(dsn) as later, open_connection(dsn) as reader:
        writer.run(TOTESYS_SQL.read_text())
        writer.run(JOURNAL_SQL.read_text())
        writer.run("BEGIN; UPDATE design SET file_name = 'v1' WHERE design_id = 1")
        later.run("UPDATE design SET file_name = 'v1' WHERE design_id = 2")
        [[before]] = writer.run(
            "INSERT INTO soak.journal (feed, key, version, operation) "
            "VALUES ('design', 1, 1, 'update') RETURNING before"
        )
        [[unseen]] = reader.run("SELECT soak.revision()")

        writer.run("COMMIT")

        [[seen]] = reader.run("SELECT soak.revision()")
        assert unseen == before < seen
