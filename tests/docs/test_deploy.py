"""docs/deploy.md is followed: its SQL gives what the pipeline needs and no more, and its costs are computed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.feeds import FEEDS
from services.costs.__main__ import MARK
from services.costs.prices import prices
from services.costs.table import report
from services.loader import migrate
from services.local.topology import topology
from services.ops import preflight
from services.ops.doctor.examine import Databases, examine, known
from services.ops.doctor.findings import Verdict
from services.ops.running import utc_now
from shared.marked import put
from shared.postgres import Dsn, connect
from shared.totesys.session import Source
from tests.conftest import TOTESYS_SQL, Server, open_connection
from tests.docs.test_documents import ROOT, _variables

DEPLOY = ROOT / "docs" / "deploy.md"


def sql(name: str, **renamed: str) -> list[str]:
    """The statements of one block; roles are the server's, so a test gives them names of its own."""
    [block] = re.findall(rf"<!-- sql: {name} -->\n```sql\n(.*?)```", DEPLOY.read_text(), re.S)
    for role, name_here in renamed.items():
        assert role in block
        block = block.replace(role, name_here)
    return [statement.strip() for statement in block.split(";") if statement.strip()]


def run(dsn: str, statements: list[str]) -> None:
    with open_connection(dsn) as connection:
        for statement in statements:
            connection.run(statement)


@pytest.fixture
def bare_totesys(new_database: Callable[[str], str]) -> str:
    """A totesys in which nobody but its owner may anything, not even look into the schema."""
    dsn = new_database("totesys")
    run(dsn, [TOTESYS_SQL.read_text(), "REVOKE ALL ON SCHEMA public FROM PUBLIC"])
    return dsn


@pytest.fixture
def reader(bare_totesys: str, server: Server) -> str:
    """The reader as the document makes it; a role belongs to the whole server, so it goes again."""
    run(bare_totesys, sql("reader", totes_reader="documented_reader"))
    yield bare_totesys.replace("postgres@", "documented_reader@")
    run(bare_totesys, ["DROP OWNED BY documented_reader", "DROP ROLE documented_reader"])


def test_the_reader_may_poll_every_feed_with_exactly_the_documented_grants(reader: str) -> None:
    assert preflight.check(preflight.Named(reader, None, "public", "warehouse")) is not None

    found = examine(Databases(known(reader), None, "public", "warehouse"), None, utc_now)

    assert [finding for finding in found.findings if finding.verdict is Verdict.FAIL] == []


def test_the_reader_reads_every_feed_as_a_poll_does(reader: str) -> None:
    """With the lock before its snapshot, and the source's identity in it."""
    limits = {"statement_timeout_seconds": 30.0, "lock_timeout_seconds": 2.0}
    source = Source(
        lambda: connect(Dsn.parse(reader), application_name="totes-test", **limits), schema="public", **limits
    )

    source.open()
    assert source.pulse().vitals.identity
    for feed in FEEDS.values():
        with source.snapshot(feed) as seen:
            assert seen.rows == 0
    source.close()


def test_no_documented_grant_is_more_than_is_needed(bare_totesys: str, reader: str) -> None:
    tables = {table for feed in FEEDS.values() for table in feed.tables}

    for table in sorted(tables):
        run(bare_totesys, [f"REVOKE SELECT ON {table} FROM documented_reader"])
        with pytest.raises(preflight.NotFit, match=table):
            preflight.check(preflight.Named(reader, None, "public", "warehouse"))
        run(bare_totesys, [f"GRANT SELECT ON {table} TO documented_reader"])
    with open_connection(bare_totesys) as owner:
        granted = owner.run(
            "SELECT table_name::text, privilege_type::text FROM information_schema.table_privileges "
            "WHERE grantee = 'documented_reader'"
        )
    assert {tuple(row) for row in granted} == {(table, "SELECT") for table in tables}


def test_what_is_optional_for_the_reader_runs_and_is_what_doctor_asks_for(bare_totesys: str, reader: str) -> None:
    run(bare_totesys, sql("statistics", totes_reader="documented_reader"))
    run(bare_totesys, sql("index"))

    found = examine(Databases(known(reader), None, "public", "warehouse"), None, utc_now)

    assert {finding.verdict for finding in found.findings if finding.check == "source: statistics"} <= {Verdict.OK}


def test_the_documented_logins_of_the_warehouse_are_what_migrate_wants(new_database: Callable[[str], str]) -> None:
    owner = new_database("warehouse")
    roles = {"totes_loader": "documented_loader", "totes_analyst": "documented_analyst"}
    run(owner, sql("warehouse", **roles))
    try:
        migrate.migrate(owner, "warehouse", loader_role=roles["totes_loader"], analyst_role="documented_analyst")

        loader = owner.replace("postgres@", "documented_loader@")
        found = examine(Databases(None, known(loader), "public", "warehouse"), None, utc_now)
        assert [finding for finding in found.findings if finding.verdict is Verdict.FAIL] == []
        run(owner, sql("warehouse keys", totes_loader=roles["totes_loader"]))
        run(loader, ["SET session_replication_role = replica"])
    finally:
        run(owner, [f"DROP OWNED BY {role}; DROP ROLE {role}" for role in roles.values()])


def test_every_variable_of_the_example_is_one_that_terraform_knows() -> None:
    [example] = re.findall(r"```hcl\n(.*?)```", DEPLOY.read_text(), re.S)
    told = set(re.findall(r"^(\w+) +=", example, re.M)) | {"vpc", "customer_managed_key"}

    assert told - _variables(ROOT / "terraform") == set()


def test_the_costs_are_those_that_are_computed_today() -> None:
    shown = DEPLOY.read_text()

    assert "**together**" in shown
    assert put(shown, MARK, report(topology(), prices())) == shown, (
        "run `.venv/bin/python -m services.costs --write docs/deploy.md`"
    )


def test_every_step_has_its_number() -> None:
    steps = re.findall(r"^## (\d+)\.", Path(DEPLOY).read_text(), re.M)

    assert steps == [f"{number}" for number in range(1, len(steps) + 1)]
    assert len(steps) >= 8
