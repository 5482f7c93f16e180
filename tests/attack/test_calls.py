"""What the attack itself promises: a dead service is silent, a lost call fails once, who waits is passed by."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from pg8000.native import InterfaceError

from tests.attack.baton import Actor, interleave
from tests.attack.calls import Fault, Gate, GatedClient, Killed, Mode
from tests.attack.stores import Clock, MemoryS3
from tests.attack.trial import Ground


def stored(s3: MemoryS3) -> list[str]:
    return s3.keys("archive")


def put(client: Any, key: str) -> None:
    client.put_object(Bucket="archive", Key=key, Body=b"")


@pytest.mark.parametrize(("after", "kept"), [(False, ["a"]), (True, ["a", "b"])])
def test_a_killed_service_makes_no_further_call(after: bool, kept: list[str]):
    s3, gate = MemoryS3(Clock()), Gate()
    gate.arm(Fault(2, Mode.KILLED, after))
    client = GatedClient(s3, gate)
    put(client, "a")

    for key in ("b", "c"):
        with pytest.raises(Killed):
            put(client, key)

    assert stored(s3) == kept


@pytest.mark.parametrize(("after", "kept"), [(False, ["a", "c"]), (True, ["a", "b", "c"])])
def test_a_lost_call_fails_once_and_the_service_lives_on(after: bool, kept: list[str]):
    s3, gate = MemoryS3(Clock()), Gate()
    gate.arm(Fault(2, Mode.LOST, after))
    client = GatedClient(s3, gate)
    put(client, "a")

    with pytest.raises(EndpointConnectionError):
        put(client, "b")
    put(client, "c")

    assert stored(s3) == kept


@pytest.mark.parametrize(("after", "rows"), [(False, 0), (True, 1)])
def test_a_commit_that_is_lost_is_rolled_back_or_done(ground: Ground, after: bool, rows: int):
    ground.clear()
    gate = Gate()
    connection = gate.connection(ground.databases.loaders)
    connection.run("BEGIN")
    connection.run("INSERT INTO warehouse.dim_currency (currency_id, currency_code, currency_name, _generation,"
                   " _revision, _contract) VALUES (1, 'GBP', 'Pound', 0, 0, 0)")  # fmt: skip
    gate.arm(Fault(1, Mode.LOST, after))

    with pytest.raises(InterfaceError):
        connection.run("COMMIT")
    with pytest.raises(InterfaceError):
        connection.run("SELECT 1")

    assert ground.warehouse.run("SELECT count(*) FROM warehouse.dim_currency") == [[rows]]


def test_a_service_that_waits_for_another_s_lock_is_passed_by_until_it_is_free(ground: Ground):
    waits: list[list[bool]] = []
    gates = [Gate(), Gate()]

    def work(gate: Gate) -> None:
        connection = gate.connection(ground.databases.loaders)
        for sql in ("BEGIN", "SELECT pg_advisory_xact_lock(1)", "COMMIT"):
            connection.run(sql)
        connection.close()

    actors = [Actor(gate, lambda gate=gate: work(gate)) for gate in gates]
    connect, begin, lock, look = [0, 1], [0, 1], [0, 1], [2]
    interleave(
        actors,
        connect + begin + lock + look + [1, 0] + look,
        blocked=ground.blocked,
        between=lambda _: waits.append([actor.waits for actor in actors]),
    )

    assert waits == [[False, True], [False, False]]
    assert [gate.count for gate in gates] == [4, 4]


def test_an_error_of_a_service_is_raised_by_who_interleaves():
    def fail() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        interleave([Actor(Gate(), fail), Actor(Gate(), lambda: None)], [], blocked=lambda _: False)
