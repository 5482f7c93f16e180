"""Each bad input ends in one clear sentence that names the place and what to do; all of them are told at once."""

from collections.abc import Callable

import pytest

from contracts.feeds import FEEDS
from services.ops import preflight
from services.ops.preflight import Named, NotFit, Warehouse
from shared.postgres import Dsn
from tests.conftest import READER, Source, open_connection
from tests.ops.conftest import PASSWORD, OwnServer


def check(source: str | None = None, warehouse: str | None = None, schema: str = "warehouse") -> tuple[str, ...]:
    return preflight.check(Named(source, warehouse, "public", schema))


def refusal(source: str | None = None, warehouse: str | None = None, schema: str = "warehouse") -> str:
    with pytest.raises(NotFit) as caught:
        check(source, warehouse, schema)
    return str(caught.value)


def test_totesys_behind_a_login_that_may_only_select_is_fit(totesys: Source) -> None:
    check(source=totesys.reader_dsn)


def test_nothing_is_asked_of_the_embedded_stack() -> None:
    check()


def test_a_server_that_does_not_answer_is_said_to_be_unreachable() -> None:
    sentence = refusal(source="postgresql://reader:hush@127.0.0.1:1/totesys")

    assert sentence.startswith("source: Expected a Postgres server at 127.0.0.1:1/totesys and could not reach it")
    assert "hush" not in sentence
    assert "\n" not in sentence


def test_a_wrong_password_is_said_to_be_refused_and_never_repeated(asking_server: OwnServer) -> None:
    check(warehouse=asking_server.dsn("postgres", password=PASSWORD))

    sentence = refusal(source=asking_server.dsn("postgres", password="hush"))

    assert sentence.startswith("source: The password of 'postgres' was refused at 127.0.0.1")
    assert "hush" not in sentence
    assert "\n" not in sentence


def test_a_missing_password_is_said_to_be_missing(asking_server: OwnServer) -> None:
    sentence = refusal(source=asking_server.dsn("postgres"))

    assert "password" in sentence
    assert "\n" not in sentence


def test_a_login_without_select_on_a_table_is_told_what_to_grant(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run(f"REVOKE SELECT ON payment FROM {READER}")

    sentence = refusal(source=totesys.reader_dsn)

    assert "The login may not read public.payment: GRANT SELECT ON public.payment to it." in sentence
    assert "\n" not in sentence


def test_a_login_that_may_not_use_the_schema_is_told_so(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run("REVOKE USAGE ON SCHEMA public FROM PUBLIC")

    assert "may not look into the schema 'public'" in refusal(source=totesys.reader_dsn)


def test_a_source_in_recovery_is_refused_with_the_reason(standby: OwnServer) -> None:
    sentence = refusal(source=standby.dsn("postgres"))

    assert "Expected a primary and found a source in recovery" in sentence


def test_a_warehouse_in_recovery_is_refused(standby: OwnServer) -> None:
    assert "a warehouse in recovery, which cannot be written" in refusal(warehouse=standby.dsn("postgres"))


def test_a_database_that_is_not_totesys_lists_every_missing_table(new_database: Callable[[str], str]) -> None:
    sentence = refusal(source=new_database("other"))

    assert all(name in sentence for name in FEEDS)


def test_a_missing_column_is_named_with_its_table(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run("ALTER TABLE sales_order DROP COLUMN units_sold")

    sentence = refusal(source=totesys.reader_dsn)

    assert "units_sold" in sentence
    assert "sales_order" in sentence


def test_a_column_of_another_family_is_named_with_what_was_found(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run("ALTER TABLE design ALTER COLUMN file_name TYPE bytea USING file_name::bytea")

    sentence = refusal(source=totesys.reader_dsn)

    assert "file_name" in sentence
    assert "bytea" in sentence


def test_a_warehouse_login_that_may_not_create_is_told_what_to_grant(totesys: Source) -> None:
    sentence = refusal(warehouse=totesys.reader_dsn)

    assert "The login may not create the schema 'warehouse': GRANT CREATE ON DATABASE" in sentence
    assert "\n" not in sentence


def test_a_warehouse_login_that_may_not_create_in_the_schema_is_told_so(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run("CREATE SCHEMA team_a")

    sentence = refusal(warehouse=totesys.reader_dsn, schema="team_a")

    assert "may not create in the schema 'team_a'" in sentence
    assert "\n" not in sentence


def test_a_warehouse_whose_login_may_create_is_fit(new_database: Callable[[str], str]) -> None:
    dsn = new_database("warehouse")

    check(warehouse=dsn)

    with open_connection(dsn) as connection:
        connection.run("CREATE SCHEMA warehouse")
    check(warehouse=dsn)


def test_everything_that_is_wrong_is_told_at_once(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run(f"REVOKE SELECT ON payment FROM {READER}")
        owner.run("ALTER TABLE design DROP COLUMN file_name")

    report = refusal(source=totesys.reader_dsn, warehouse="postgresql://loader@127.0.0.1:1/warehouse")

    lines = report.splitlines()
    assert lines[0] == "3 things must be mended first:"
    assert ["source" in line or "warehouse" in line for line in lines[1:]] == [True, True, True]


def test_a_table_and_a_column_unknown_to_the_contracts_are_notes_and_nothing_to_mend(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run("CREATE TABLE basket (basket_id int)")
        owner.run("ALTER TABLE design ADD COLUMN colour text")

    notes = check(source=totesys.reader_dsn)

    assert any("_prisma_migrations" in note for note in notes)
    assert any("public.basket" in note for note in notes)
    assert any("public.design.colour" in note for note in notes)


@pytest.mark.parametrize(("version", "fit"), [(130_022, False), (140_000, True), (180_006, True)])
def test_a_warehouse_must_be_postgresql_14_or_later(version: int, fit: bool) -> None:
    warehouse = Warehouse(version, in_recovery=False, may_create=True, may_create_schema=True)

    found = list(preflight.unfit(warehouse, Dsn.parse("postgresql://loader@db/warehouse"), "warehouse"))

    assert (not found) is fit
