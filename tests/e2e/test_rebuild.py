"""The warehouse of a running stack, dropped and rebuilt by the command while the source's server is down."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import open_connection
from tests.e2e.command import totes
from tests.e2e.stack import Stack
from tests.ops.rebuild.fingerprint import Fingerprints, fingerprints

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("embedded")]
PATIENCE_SECONDS = 180.0


@pytest.fixture(scope="module")
def stack(quiet: Stack) -> Iterator[Stack]:
    """The quiet stack, when it has seen changes of every kind and its source is gone; it ends here."""
    quiet.until_equal()
    change(quiet)
    quiet.until_equal()
    totes("reconcile", folder=quiet.up.folder)
    quiet.until_equal()
    stop_source(quiet)
    quiet.up.until("the queues to be empty", lambda: not waiting(quiet))
    yield quiet
    assert quiet.up.interrupt() == 0


def change(stack: Stack) -> None:
    with stack.source() as source:
        source.run(
            "UPDATE sales_order SET units_sold = units_sold + 1, last_updated = now() WHERE sales_order_id % 3 = 0"
        )
        source.run("UPDATE sales_order SET agreed_delivery_date = '2030-01-01' WHERE sales_order_id % 50 = 3")
        source.run("UPDATE payment SET paid = NOT paid, last_updated = now() WHERE payment_id % 2 = 0")
        source.run("DELETE FROM payment WHERE payment_id = (SELECT max(payment_id) FROM payment)")
        source.run("UPDATE sales_order SET agreed_payment_date = 'soon', last_updated = now() WHERE sales_order_id = 1")
        source.run(
            "UPDATE sales_order SET agreed_payment_date = '2030-01-02', last_updated = now() WHERE sales_order_id = 1"
        )


def stop_source(stack: Stack) -> None:
    """End its server, as an operator's `pg_ctl stop` does."""
    folder = str(Path(stack.description["state_dir"]) / "source")
    servers = [
        process
        for child in stack.description["children"]
        if (process := psutil.Process(child["pid"])) and any(folder in word for word in process.cmdline())
    ]
    assert len(servers) == 1
    servers[0].send_signal(signal.SIGINT)
    psutil.wait_procs(servers, timeout=30)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the driver says of a server that is gone
        stack.source()


def waiting(stack: Stack) -> int:
    sqs = stack.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = [
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        for url in stack.description["queues"].values()
    ]
    return sum(int(each[name]) for each in found for name in names)


def fingerprint(stack: Stack, schema: str) -> Fingerprints:
    with open_connection(stack.description["warehouse_owner_dsn"]) as connection:
        return fingerprints(connection, schema)


def test_a_dropped_warehouse_comes_back_equal_while_the_source_is_down(stack: Stack) -> None:
    before = fingerprint(stack, stack.schema)
    with open_connection(stack.description["warehouse_owner_dsn"]) as owner:
        owner.run(f"DROP SCHEMA {stack.schema} CASCADE")

    answer = totes("rebuild", "--yes", "--why", "a test", "--json", folder=stack.up.folder, timeout=PATIENCE_SECONDS)

    assert answer.returncode == 0, answer.stderr
    said = json.loads(answer.stdout)
    assert fingerprint(stack, stack.schema) == before
    assert said["batches"] == before["_load_batch"][0]
    assert said["failed"] == []
    print(f"{said['rows']:,} rows in {said['batches']:,} batches in {said['seconds']} s")


def test_a_schema_beside_it_is_its_equal(stack: Stack) -> None:
    answer = totes("rebuild", "--into", "beside", "--yes", folder=stack.up.folder, timeout=PATIENCE_SECONDS)

    assert answer.returncode == 0, answer.stderr
    assert fingerprint(stack, "beside") == fingerprint(stack, stack.schema)
    again = totes("rebuild", "--into", "beside", "--yes", folder=stack.up.folder, timeout=PATIENCE_SECONDS)
    assert "batches 0, rows 0" in again.stdout
    assert "what it holds stays as it is" in again.stderr


def test_the_archive_replayed_through_the_live_functions_changes_nothing(stack: Stack) -> None:
    before = fingerprint(stack, stack.schema)

    nothing = totes("replay-archive", "--dry-run", "--json", folder=stack.up.folder)
    answer = totes("replay-archive", "--all", "--yes", "--limit", "10", folder=stack.up.folder)
    stack.up.until("the queues to be empty", lambda: not waiting(stack))

    assert json.loads(nothing.stdout) == {"would_send": 0, "failed": []}
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("batches 10, ")
    assert "go on from there with --since" in answer.stderr
    assert fingerprint(stack, stack.schema) == before


def test_nothing_begins_where_nobody_can_be_asked(stack: Stack) -> None:
    for command in (("rebuild",), ("replay-archive", "--all")):
        answer = totes(*command, folder=stack.up.folder)

        assert answer.returncode == 2
        assert "say --yes if it is meant" in answer.stderr
