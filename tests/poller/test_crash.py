"""Whatever fails, at whichever call: nothing is lost, the checkpoint is never ahead of what is stored and sent."""

import json
from contextlib import suppress

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from pg8000.native import DatabaseError, InterfaceError

from contracts.messages import ObjectRef
from shared.errors import CorruptObject, PipelineError, QueueUnavailable
from shared.objects import ObjectStore, sha256
from tests.poller.archived import latest, objects, receive
from tests.poller.conftest import Bench, Calls, Failing, FailingS3, design

ROWS = 25
BULK = "UPDATE design SET design_name = 'new', last_updated = '2030-08-19 07:55:11'"


def unreachable() -> Exception:
    return EndpointConnectionError(endpoint_url="https://aws")


def seed(bench: Bench) -> None:
    bench.run(
        f"INSERT INTO design (design_name, file_location, file_name, last_updated)"
        f" SELECT 'old', 'b', i, '2022-01-01' FROM generate_series(1, {ROWS}) i"
    )


def failing(bench: Bench, calls: Calls) -> dict:
    return {
        "s3": FailingS3(bench.aws.s3, ("put_object", "get_object", "head_object"), calls, unreachable),
        "sqs": Failing(bench.aws.sqs, ("send_message_batch",), calls, unreachable),
        "wrap": lambda real: Failing(real, ("run",), calls, lambda: InterfaceError("network error")),
    }


MOST_CALLS = 80
"""More than a run makes; the loop below ends as soon as a run makes fewer calls than the one that was to fail."""


@pytest.mark.no_cover
@pytest.mark.parametrize("after", [False, True], ids=["before it takes effect", "after it took effect"])
def test_a_bulk_change_survives_a_failure_at_any_call(bench: Bench, after: bool):
    seed(bench)
    first = bench.started("design", page_rows=13, owner="old", margin_seconds=1)
    backfilled = set(range(bench.checkpoint().feed("design").page))
    first.rest()
    bench.run(BULK)
    saved = bench.aws.s3.get_object(Bucket="control", Key="checkpoint.json")["Body"].read()
    stored = set(objects(bench.aws))
    for fail_at in range(1, MOST_CALLS):
        bench.aws.s3.put_object(Bucket="control", Key="checkpoint.json", Body=saved)
        for key in set(objects(bench.aws)) - stored:
            bench.aws.s3.delete_object(Bucket="archive", Key=key)
        calls = Calls(fail_at, after=after)
        with suppress(PipelineError):
            bench.poller("design", page_rows=13, owner=f"dies-{fail_at}", **failing(bench, calls)).run(
                0.5, bench.clock.sleep
            )

        sent = receive(bench.aws)
        covered = set(range(bench.checkpoint().feed("design").page))
        bench.let_the_lease_run_out()
        bench.poller("design", page_rows=13, owner=f"heir-{fail_at}").run(0.5, bench.clock.sleep)
        rows = latest(sent + receive(bench.aws), "design", "design_id")
        bench.close()

        assert covered <= backfilled | {batch.data["page"] for batch in sent}, fail_at
        assert [row["design_name"] for row in rows.values()] == ["new"] * ROWS, fail_at
        if calls.count < fail_at:
            return
    pytest.fail("the run never ended without a failure")


def test_a_poller_that_died_between_store_and_send_is_completed_by_its_heir(bench: Bench):
    seed(bench)
    sqs = Failing(bench.aws.sqs, ("send_message_batch",), Calls(1), unreachable)
    dead = bench.poller("design", page_rows=100, owner="dead", sqs=sqs)
    with pytest.raises(QueueUnavailable):
        dead.run(1, bench.clock.sleep)
    [orphan] = objects(bench.aws)
    bench.let_the_lease_run_out()

    heir = bench.poller("design", page_rows=100, owner="heir")
    assert heir.claim()
    [resent] = receive(bench.aws)

    assert resent.data["object"]["key"] == orphan
    assert heir.checkpoint.feed("design").page == 1


def test_delivered_twice_is_published_once(bench: Bench):
    seed(bench)
    poller = bench.poller("design")
    poller.run(1, bench.clock.sleep)
    first = receive(bench.aws)

    poller.run(1, bench.clock.sleep)

    assert len(first) == 1
    assert receive(bench.aws) == []


def test_a_page_stored_twice_is_the_same_object_and_another_one_under_its_key_is_refused(bench: Bench):
    store = ObjectStore(bench.aws.s3)
    ref = ObjectRef(bucket="archive", key="design/a", sha256=sha256(b"a"), bytes=1, rows=1)
    store.put_once(ref, b"a")

    store.put_once(ref, b"a")
    with pytest.raises(CorruptObject):
        store.put_once(ref.model_copy(update={"sha256": sha256(b"b")}), b"b")


def test_a_message_that_sqs_refused_inside_a_200_holds_the_checkpoint_back(bench: Bench):
    seed(bench)
    refusing = _Refusing(bench.aws.sqs)
    poller = bench.poller("design", sqs=refusing)

    with pytest.raises(QueueUnavailable, match="did not acknowledge 1 messages: InternalError"):
        poller.run(1, bench.clock.sleep)

    assert bench.checkpoint().feed("design").page == 0
    refusing.refuse = False
    poller.run(1, bench.clock.sleep)
    assert len(latest(receive(bench.aws), "design", "design_id")) == ROWS


class _Refusing:
    def __init__(self, real):
        self._real, self.refuse = real, True

    def send_message_batch(self, **arguments):
        if not self.refuse:
            return self._real.send_message_batch(**arguments)
        failed = [{"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in arguments["Entries"]]
        return {"Successful": [], "Failed": failed, "ResponseMetadata": {"HTTPStatusCode": 200}}


def test_what_was_sent_with_an_unknown_outcome_is_never_taken_for_sent_before(bench: Bench):
    design(bench.writer(), 1, "A", at="2022-01-01")
    # The first call sends the row, the second a heartbeat.
    sqs = Failing(bench.aws.sqs, ("send_message_batch",), Calls(3, after=True), unreachable)
    poller = bench.poller("design", sqs=sqs)
    poller.run(1, bench.clock.sleep)
    bench.run("UPDATE design SET design_name = 'B', last_updated = now()")
    with pytest.raises(QueueUnavailable):
        poller.run(1, bench.clock.sleep)
    bench.run("UPDATE design SET design_name = 'A', last_updated = now()")

    poller.run(1, bench.clock.sleep)

    names = [row["design_name"] for batch in receive(bench.aws) for row in batch.rows]
    assert (names[0], names[-1]) == ("A", "A")
    assert "B" in names


def test_what_another_owner_sent_in_between_empties_the_memory(bench: Bench):
    design(bench.writer(), 1, "A", at="2022-01-01")
    first, second = bench.started("design", owner="first"), bench.poller("design", owner="second")
    first.rest()
    bench.run("UPDATE design SET design_name = 'B'")
    second.run(1, bench.clock.sleep)
    bench.run("UPDATE design SET design_name = 'A'")
    assert [row["design_name"] for batch in receive(bench.aws) for row in batch.rows][-1] == "B"
    bench.scan_next()

    first.run(1, bench.clock.sleep)

    assert [row["design_name"] for batch in receive(bench.aws) for row in batch.rows] == ["A"]


@pytest.mark.parametrize("silent", [False, True], ids=["poll", "scan"])
def test_a_new_connection_trusts_no_older_id_unless_the_source_tells_when_it_last_crashed(bench: Bench, silent: bool):
    design(bench.writer(), 1, at="now" if not silent else "2022-01-01")
    poller = bench.started("design")
    poller.rest()
    reuse_ids(bench, stats_reset=None)
    bench.run("UPDATE design SET design_name = 'B'" + ("" if silent else ", last_updated = now()"))
    poller._source.close()
    bench.scan_next()

    poller.run(1, bench.clock.sleep)

    assert [row["design_name"] for batch in receive(bench.aws) for row in batch.rows] == ["B"]


def test_a_new_execution_environment_of_one_generation_sends_nothing_twice(bench: Bench):
    for key in range(1, 6):
        design(bench.writer(), key, at="2022-01-01")
    bench.started("design", owner="first").rest()
    bench.run("UPDATE design SET design_name = 'B' WHERE design_id = 3")
    bench.scan_next()

    bench.poller("design", owner="second").run(1, bench.clock.sleep)

    assert [row["design_name"] for batch in receive(bench.aws) for row in batch.rows] == ["B"]


def reuse_ids(bench: Bench, **fields) -> None:
    """As if the source had crashed and begun to count transactions anew: the horizons lie far above what it gives."""
    state = bench.checkpoint().feed("design").model_dump(mode="json")
    for horizon in (state["polled"], state["scanned"]):
        horizon["xmax"] += 1_000_000
    bench.edit_checkpoint(feeds={"design": state}, **fields)


def test_a_new_generation_is_kept_before_anything_is_sent_and_trusts_no_older_id(bench: Bench):
    design(bench.writer(), 1)
    sqs = Failing(bench.aws.sqs, ("send_message_batch",), Calls(2), unreachable)
    poller = bench.started("design", sqs=sqs)
    poller.rest()
    reuse_ids(bench, revision=2**60)
    bench.run("UPDATE design SET design_name = 'B', last_updated = now()")

    with pytest.raises(QueueUnavailable):
        poller.run(1, bench.clock.sleep)

    assert bench.checkpoint().generation == 2
    poller.run(1, bench.clock.sleep)
    [batch] = [
        batch for batch in receive(bench.aws) if batch.data["page"] == bench.checkpoint().feed("design").page - 1
    ]
    assert (batch.rows[0]["design_name"], batch.data["position"]["generation"]) == ("B", 2)


@pytest.mark.parametrize("silent", [False, True], ids=["poll", "scan"])
def test_the_heir_of_a_poller_that_died_at_a_new_generation_trusts_no_older_id(bench: Bench, silent: bool):
    design(bench.writer(), 1, at="now" if not silent else "2022-01-01")
    bench.started("design", owner="dead").rest()
    reuse_ids(bench, generation=2)
    bench.run("UPDATE design SET design_name = 'B'" + ("" if silent else ", last_updated = now()"))

    bench.poller("design", owner="heir").run(1, bench.clock.sleep)

    assert "B" in [row["design_name"] for batch in receive(bench.aws) for row in batch.rows]


class SlowCopy:
    """A connection whose next COPY is cancelled by the statement timeout, once armed."""

    def __init__(self, real) -> None:
        self._real, self.armed = real, False

    def __getattr__(self, name):
        return getattr(self._real, name)

    def run(self, sql, **arguments):
        if sql.startswith("COPY") and self.armed:
            self.armed = False
            raise DatabaseError({"C": "57014", "M": "canceling statement due to statement timeout"})
        return self._real.run(sql, **arguments)


def test_a_whole_read_that_timed_out_is_not_taken_for_done(bench: Bench):
    design(bench.writer(), 1, at="2022-01-01")
    slow = []
    poller = bench.started("design", wrap=lambda real: slow.append(SlowCopy(real)) or slow[-1], scan_max_rows=0)
    bench.run("TRUNCATE design CASCADE")
    design(bench.writer(), 2, at="2022-01-01")
    slow[-1].armed = True
    poller.poll()
    assert not slow[-1].armed

    found = bench.polled(poller)

    assert [row["design_id"] for batch in found for row in batch.rows] == ["2"]


def test_an_uncovered_object_behind_a_thousand_covered_ones_is_sent_and_a_neighbour_s_is_not(bench: Bench):
    seed(bench)
    poller = bench.started("design", page_rows=100)
    poller.rest()
    [key] = objects(bench.aws)
    stored = bench.aws.s3.get_object(Bucket="archive", Key=key)
    uncovered = key.replace("p0000000000", "p0000001100")
    bench.edit_checkpoint(feeds={"design": {**bench.checkpoint().feed("design").model_dump(mode="json"), "page": 1100}})
    for number in range(1, 1100):
        put_at_once(key.replace("p0000000000", f"p{number:010d}"))
    put_at_once(uncovered.replace("design/", "design_type/"))
    put_at_once("design/date=9999-12-31/notes.txt")
    bench.aws.s3.put_object(Bucket="archive", Key=uncovered, Body=stored["Body"].read(), Metadata=stored["Metadata"])

    heir = bench.poller("design", owner="heir")
    assert heir.claim()

    assert len(objects(bench.aws)) > 1100
    assert heir.checkpoint.feed("design").page == 1101
    assert [batch.event for batch in receive(bench.aws)] == [json.loads(stored["Metadata"]["envelope"])]


def put_at_once(key: str) -> None:
    """An empty object, put behind the emulator's API: a thousand requests would take a minute."""
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object("archive", key, b"")


def test_a_lost_control_bucket_is_a_new_generation_and_a_backfill(bench: Bench):
    seed(bench)
    poller = bench.started("design")
    poller.rest()
    bench.aws.s3.delete_object(Bucket="control", Key="checkpoint.json")

    heir = bench.poller("design", owner="heir")
    heir.run(1, bench.clock.sleep)
    sent = receive(bench.aws)

    again = [batch for batch in sent if batch.data["position"]["generation"] == 2]
    assert [batch.data["origin"] for batch in again] == ["backfill"]
    assert len(again[0].rows) == ROWS
    assert again[0].data["page"] == 1


def test_two_pollers_at_once_lose_nothing_and_the_slower_one_stops(bench: Bench):
    seed(bench)
    slow = bench.started("design", owner="slow", margin_seconds=1)
    bench.let_the_lease_run_out()
    fast = bench.poller("design", owner="fast", margin_seconds=1)
    assert fast.claim()
    design(bench.writer(), 900)

    with pytest.raises(PipelineError, match="moved by another owner"):
        bench.drain(slow)
    sent = bench.polled(fast)
    answer = slow.run(1, bench.clock.sleep)

    assert "900" in latest(sent, "design", "design_id")
    assert not answer.owner


def test_a_live_owner_is_left_alone_and_one_at_rest_is_not(bench: Bench):
    first = bench.poller("design", owner="first")
    assert first.claim()
    second = bench.poller("design", owner="second")

    alive = second.run(1, bench.clock.sleep)
    first.rest()
    at_rest = second.run(1, bench.clock.sleep)

    assert (alive.owner, at_rest.owner) == (False, True)


class Overtaken:
    """S3 in which a rival moves the checkpoint while the archive is listed."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def __getattr__(self, name: str):
        return getattr(self._bench.aws.s3, name)

    def get_paginator(self, name: str):
        self._bench.edit_checkpoint(owner="rival")
        return self._bench.aws.s3.get_paginator(name)


def test_a_poller_overtaken_while_it_covers_the_archive_leaves_it_to_the_rival(bench: Bench):
    seed(bench)
    bench.started("design", owner="dead").rest()

    answer = bench.poller("design", owner="slow", s3=Overtaken(bench)).run(1, bench.clock.sleep)

    assert not answer.owner
    assert bench.checkpoint().owner == "rival"


def test_a_paused_checkpoint_stops_whoever_polls(bench: Bench):
    poller = bench.started("design")
    bench.edit_checkpoint(paused=True)
    design(bench.writer(), 1)

    with pytest.raises(PipelineError):
        bench.drain(poller)

    assert not poller.run(1, bench.clock.sleep).owner
    assert bench.checkpoint().paused


def test_a_checkpoint_moved_during_a_run_is_taken_up_again(bench: Bench):
    poller = bench.poller("design", poll_interval_seconds=1)
    moved = []

    def sleep(seconds: float) -> None:
        bench.clock.sleep(seconds)
        if not moved:
            moved.append(bench.edit_checkpoint(revision=1))
            design(bench.writer(), 1)

    summary = poller.run(5, sleep)

    assert summary.owner
    assert summary.polls >= 3
    assert latest(receive(bench.aws), "design", "design_id").keys() == {"1"}


def test_an_idle_owner_shows_signs_of_life_but_not_at_every_poll(bench: Bench):
    poller = bench.poller("design", poll_interval_seconds=1, lease_seconds=15)

    poller.run(60, bench.clock.sleep)

    versions = bench.aws.s3.list_object_versions(Bucket="control")["Versions"]
    assert 60 / 5 <= len(versions) <= 60 / 5 + 5


def test_no_object_is_ever_written_twice(bench: Bench):
    seed(bench)
    poller = bench.poller("design", page_rows=10)
    poller.run(1, bench.clock.sleep)
    bench.run(BULK)
    poller.run(1, bench.clock.sleep)

    versions = boto3.client("s3").list_object_versions(Bucket="archive")["Versions"]

    assert len(versions) == len({version["Key"] for version in versions})
