"""Sources that crash, are restored from a dump, promoted or in recovery: on servers of their own, really killed."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import EndpointConnectionError

from services.ops.rebase import rebase
from shared.checkpoint import CheckpointStore
from shared.errors import ConfigurationError, PipelineError, SourceChanged
from shared.objects import ObjectStore
from shared.postgres import hang_up
from tests.conftest import Aws, open_connection
from tests.poller.archived import receive
from tests.poller.conftest import Bench
from tests.trouble.conftest import SEED, Pipeline, SourceClock
from tests.trouble.rows import expect_same, ids, insert, names
from tests.trouble.servers import SourceServer, new_server
from tests.trouble.test_late import HOUR

ABORTED = 3000
BOTH_READERS = pytest.mark.parametrize(
    "crashing", [False, True], indirect=True, ids=["select only", "pg_read_all_stats"]
)
SPEND_IDS = """
DO $$ BEGIN FOR i IN 1..{count} LOOP PERFORM pg_current_xact_id(); {verb}; END LOOP; END $$
"""


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceServer]:
    with new_server(tmp_path_factory.mktemp("primary") / "data") as made:
        yield made


@pytest.fixture
def primary(one_server: SourceServer) -> SourceServer:
    """The module's server, running and without what a failed test left on it."""
    if one_server.postgres.process() is None:
        one_server.postgres.start()
    with open_connection(one_server.totesys.dsn) as connection:
        for (name,) in connection.run("SELECT gid FROM pg_prepared_xacts"):
            connection.run(f"ROLLBACK PREPARED '{name}'")
    return one_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for more servers, which their user may write to."""
    tmp_path.chmod(0o777)
    return tmp_path


def revision(bench: Bench) -> int:
    """The logical clock, asked by hand."""
    [[text]] = bench.run("SELECT pg_current_snapshot()::text")
    _, xmax, open_ids = text.split(":")
    return int(xmax) - len([one for one in open_ids.split(",") if one])


@pytest.fixture
def crashing(primary: SourceServer, aws: Aws, request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(primary.privileged if getattr(request, "param", False) else primary.totesys, aws)
    bench.run("TRUNCATE design CASCADE")
    yield bench
    bench.close()


@pytest.mark.parametrize(
    ("crashing", "spent_after"),
    [
        pytest.param(False, 0, id="select only, fewer ids than before"),
        pytest.param(True, 2 * ABORTED, id="pg_read_all_stats, more ids than before"),
    ],
    indirect=["crashing"],
)
def test_ids_used_twice_after_a_sigkill_lose_nothing(crashing: Bench, primary: SourceServer, spent_after: int):
    crashing.run(insert(1))
    poller = crashing.started("design", scan_max_rows=0)
    crashing.run("CHECKPOINT")
    forget_the_newest_ids(crashing, primary)
    crashing.drain(poller)
    poller.rest()
    seen, generation = revision(crashing), crashing.checkpoint().generation
    crashing.close()
    kill_and_start(primary)
    crashing.run(insert(2))
    crashing.run("UPDATE design SET design_name = 'after', last_updated = now() WHERE design_id = 1")
    after = revision(crashing)
    if spent_after:
        crashing.run(SPEND_IDS.format(count=spent_after, verb="COMMIT"))

    poller = crashing.poller("design", owner="heir", scan_max_rows=0)
    assert poller.claim()
    found = crashing.polled(poller)
    crashing.run(insert(3))

    assert crashing.checkpoint().revision >= seen or not spent_after
    assert after < seen - ABORTED // 2, "or the server did not use ids twice, and this test shows nothing"
    assert ids(found) == [1, 2]
    assert {batch.data["position"]["generation"] for batch in found} == {generation + 1}
    assert ids(crashing.polled(poller)) == [3]


@pytest.mark.parametrize("silent", [False, True], ids=["poll", "scan"])
def test_a_poller_that_dies_after_it_met_a_crash_leaves_its_heir_the_same_distrust(
    crashing: Bench, primary: SourceServer, silent: bool
):
    crashing.run(insert(1, "'2022-01-01'"))
    poller = crashing.started("design")
    crashing.run("CHECKPOINT")
    forget_the_newest_ids(crashing, primary)
    crashing.drain(poller)
    crashing.scan_next()
    crashing.drain(poller)
    poller.rest()
    generation = crashing.checkpoint().generation
    crashing.close()
    kill_and_start(primary)
    moved = "" if silent else ", last_updated = now()"
    crashing.run(f"UPDATE design SET design_name = 'after'{moved} WHERE design_id = 1")
    dying = crashing.poller("design", owner="dies", s3=StoresNothing(crashing.aws.s3))
    with pytest.raises(PipelineError):
        dying.run(1, crashing.clock.sleep)
    assert crashing.checkpoint().generation == generation + 1

    crashing.let_the_lease_run_out()
    heir = crashing.poller("design", owner="heir")
    heir.run(1, crashing.clock.sleep)

    assert names(receive(crashing.aws)) == ["after"]


class StoresNothing:
    """S3 whose archive is out of reach; the control bucket is not."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def put_object(self, **arguments: Any) -> Any:
        if arguments["Bucket"] == "archive":
            raise EndpointConnectionError(endpoint_url="https://aws")
        return self._real.put_object(**arguments)


def forget_the_newest_ids(bench: Bench, server: SourceServer) -> None:
    """Thousands of transactions that abort, none of it on disk: nobody flushes the log but a commit or its writer."""
    writer = server.process_of("walwriter")
    writer.send_signal(signal.SIGSTOP)
    bench.run(SPEND_IDS.format(count=ABORTED, verb="ROLLBACK"))


@BOTH_READERS
def test_a_prepared_transaction_of_an_hour_outlives_a_sigkill_that_uses_ids_twice(
    crashing: Bench, primary: SourceServer
):
    clock, two_phase = SourceClock(crashing), crashing.writer()
    poller = crashing.started("design", margin_seconds=0.001, scan_max_rows=0, wrap=clock.through)
    two_phase.run("BEGIN")
    two_phase.run(insert(1))
    crashing.drain(poller)
    two_phase.run("PREPARE TRANSACTION 'hour'")
    crashing.run("CHECKPOINT")
    clock.step(HOUR)
    forget_the_newest_ids(crashing, primary)
    crashing.drain(poller)
    crashing.drain(poller)
    poller.rest()
    crashing.close()
    kill_and_start(primary)
    crashing.run(insert(2, clock.shows("now()")))

    poller = crashing.poller("design", owner="heir", margin_seconds=0.001, scan_max_rows=0, wrap=clock.through)
    assert poller.claim()
    first = ids(crashing.polled(poller))
    crashing.drain(poller)
    crashing.run("COMMIT PREPARED 'hour'")

    assert (first, ids(crashing.polled(poller))) == ([2], [1])


@BOTH_READERS
def test_a_prepared_transaction_that_was_never_met_open_is_found_by_either_reader(crashing: Bench):
    poller = crashing.started("design", margin_seconds=0.001, scan_max_rows=0)
    crashing.run(f"BEGIN; {insert(1)}; SAVEPOINT s; {insert(2)}; PREPARE TRANSACTION 'unmet'")
    for number in (3, 4, 5):
        crashing.run(insert(number))
        assert ids(crashing.polled(poller)) == [number]
    crashing.run("COMMIT PREPARED 'unmet'")

    assert ids(crashing.polled(poller)) == [1, 2]


def kill_one_backend(server: SourceServer) -> None:
    """The postmaster lives on and starts everything else anew."""
    victim = server.administrator()
    [[pid]] = victim.run("SELECT pg_backend_pid()")
    startup = server.process_of("checkpointer")
    psutil.Process(pid).send_signal(signal.SIGKILL)
    psutil.wait_procs([startup], timeout=30)
    hang_up(victim)
    server.wait_until_it_answers()


def kill_and_start(server: SourceServer) -> None:
    server.kill()
    server.postgres.start()


OWN_VIRTUAL_ID = "SELECT virtualtransaction FROM pg_locks WHERE pid = pg_backend_pid() LIMIT 1"


def begin_with_virtual_id(bench: Bench, wanted: str) -> None:
    """Open a transaction under a virtual id that another one had before the source started anew."""
    backend, number = wanted.split("/")
    while True:
        session = bench.writer()
        [[given]] = session.run(OWN_VIRTUAL_ID)
        if given.split("/")[0] == backend:
            break
    left = int(number) - int(given.split("/")[1]) - 1
    session.run(f"DO $$ BEGIN FOR i IN 2..{left} LOOP COMMIT; END LOOP; END $$")
    session.run("BEGIN")
    assert session.run(OWN_VIRTUAL_ID) == [[wanted]]


@pytest.mark.parametrize(
    "restart",
    [SourceServer.restart, kill_and_start, kill_one_backend],
    ids=["clean restart", "SIGKILL", "one backend killed"],
)
def test_a_virtual_id_used_again_hides_no_transaction_that_had_it_before(
    crashing: Bench, primary: SourceServer, restart: Callable[[SourceServer], None]
):
    late = crashing.writer()
    late.run("DO $$ BEGIN FOR i IN 1..300 LOOP COMMIT; END LOOP; END $$")
    poller = crashing.started("design", margin_seconds=0.001, scan_max_rows=0)
    late.run("BEGIN")
    late.run(insert(1))
    [[virtual]] = late.run(OWN_VIRTUAL_ID)
    for _ in range(3):
        crashing.drain(poller)
    poller.rest()
    late.run("COMMIT")
    crashing.close()
    restart(primary)
    begin_with_virtual_id(crashing, virtual)

    poller = crashing.poller("design", owner="heir", margin_seconds=0.001, scan_max_rows=0)
    assert poller.claim()
    assert ids(crashing.polled(poller)) == [1]


@pytest.fixture
def own_pipeline(primary: SourceServer, aws: Aws, warehouse_dsn: str) -> Iterator[Pipeline]:
    """A whole pipeline from a source that is a server of its own."""
    bench = Bench(primary.totesys, aws)
    tables = "design, staff, department, address, counterparty, currency, sales_order, payment_type"
    bench.run(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
    made = Pipeline(bench, warehouse_dsn)
    made.source(SEED)
    made.capture()
    yield made
    bench.close()


LATER = """
UPDATE design SET design_name = 'Too late', last_updated = now() WHERE design_id = 3;
UPDATE sales_order SET units_sold = 999, last_updated = now() WHERE sales_order_id = 8;
INSERT INTO sales_order (design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id,
                         agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)
SELECT 5, 1, 1, 70 + i, 2.50, 1, '2024-05-01', '2024-05-02', 1 FROM generate_series(1, 2) i;
"""
"""What the other source will never have had."""
ANOTHER = (
    LATER.replace("Too late", "Otherwise").replace("999", "111").replace("70 + i", "80").replace("(1, 2)", "(1, 1)")
)
"""And what happens there instead, under the same keys."""


def move_to(pipeline: Pipeline, server: SourceServer) -> None:
    """From now on the DSN leads to another server."""
    pipeline.bench.close()
    pipeline.bench.totesys = server.totesys


def expect_refused_until_rebased(pipeline: Pipeline) -> None:
    """Neither reader touches the other source; then everything is read as newer, and what it lacks is removed."""
    known = pipeline.bench.checkpoint()
    with pytest.raises(SourceChanged, match=r"restored, promoted or replaced.*totes rebase --source-changed"):
        pipeline.capture()
    with pytest.raises(SourceChanged):
        pipeline.mend()
    assert pipeline.deliver() == 0

    assert rebase(CheckpointStore(ObjectStore(pipeline.aws.s3), pipeline.aws.control)) == known.generation + 1
    pipeline.capture()
    assert pipeline.rows("SELECT count(*) FROM current_sales_order") == [[32]]
    assert pipeline.mend()["deleted"] == 1
    expect_same(pipeline)
    assert pipeline.mend()["deleted"] == 0


def test_a_source_restored_from_a_dump_is_refused_until_it_is_meant_and_then_has_the_last_word(
    own_pipeline: Pipeline, primary: SourceServer, folder: Path
):
    primary.dump(folder / "totesys.sql")
    own_pipeline.source(LATER)
    own_pipeline.capture()
    with ExitStack() as stack:
        restored = SourceServer(folder / "restored").make(empty=True)
        stack.callback(restored.postgres.stop)
        restored.restore(folder / "totesys.sql")
        move_to(own_pipeline, restored)
        own_pipeline.source(ANOTHER)

        expect_refused_until_rebased(own_pipeline)

        own_pipeline.bench.close()


def test_a_source_set_back_to_an_older_copy_of_its_files_has_the_last_word(
    own_pipeline: Pipeline, primary: SourceServer
):
    """Same system, same timeline: only the revision and the log's position tell."""
    own_pipeline.bench.close()
    copy = primary.copy_files()
    own_pipeline.source(LATER)
    own_pipeline.capture()
    own_pipeline.bench.close()
    primary.set_back_to(copy)
    own_pipeline.source(ANOTHER)

    own_pipeline.capture()
    assert own_pipeline.bench.checkpoint().generation == 2
    own_pipeline.mend()
    expect_same(own_pipeline)


def test_a_standby_is_refused_and_once_promoted_it_is_another_source(
    own_pipeline: Pipeline, primary: SourceServer, folder: Path
):
    with ExitStack() as stack:
        standby = primary.copy_to(folder / "standby")
        stack.callback(standby.postgres.stop)
        standby.wait_for(primary)
        standby.postgres.stop()
        own_pipeline.source(LATER)
        own_pipeline.capture()
        primary.kill()
        stack.callback(primary.postgres.start)
        standby.postgres.start()
        move_to(own_pipeline, standby)
        for reader in (own_pipeline.capture, own_pipeline.mend):
            with pytest.raises(ConfigurationError, match="hot standby"):
                reader()
        own_pipeline.bench.close()

        standby.promote()
        own_pipeline.source(ANOTHER)

        expect_refused_until_rebased(own_pipeline)
        own_pipeline.bench.close()


def test_a_standby_that_streams_is_refused_while_its_primary_is_read(
    crashing: Bench, primary: SourceServer, folder: Path
):
    crashing.run(insert(1))
    poller = crashing.started("design")
    poller.rest()
    with ExitStack() as stack:
        standby = primary.copy_to(folder / "streaming")
        stack.callback(standby.postgres.stop)
        crashing.run(insert(2))
        standby.wait_for(primary)
        with open_connection(standby.totesys.dsn) as replica:
            assert replica.run("SELECT count(*) FROM design") == [[2]]
        crashing.close()
        crashing.totesys = standby.totesys
        with pytest.raises(ConfigurationError, match="hot standby"):
            poller.run(1, crashing.clock.sleep)
        crashing.close()
    crashing.totesys = primary.totesys
    assert poller.claim()

    assert ids(crashing.polled(poller)) == [2]
