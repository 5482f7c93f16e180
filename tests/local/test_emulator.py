"""The emulated AWS as a child process: what it keeps, what it leaves behind, what is said when it cannot start."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from services.local.emulator import HOST, Emulator, expect_free, free_port, mend_objects, readdressed
from shared.checkpoint import Checkpoint, CheckpointStore
from shared.errors import ConfigurationError
from shared.objects import ObjectStore
from tests.local.conftest import nothing_left, processes_under

Make = Callable[[int | None], Emulator]


def test_a_stopped_emulator_keeps_objects_and_queues_but_no_secret_and_comes_back_on_another_port(
    new_emulator: Make, tmp_path: Path
):
    first = new_emulator(None)
    first.start()
    first.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    first.client("s3").put_object(Bucket="bucket", Key="payment/k", Body=b"rows", Metadata={"envelope": "e"})
    url = first.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    first.client("sqs").send_message(QueueUrl=url, MessageBody="parked")
    first.client("secretsmanager").create_secret(Name="dsn", SecretString="hunter2")

    first.stop()
    left = processes_under(tmp_path)
    second = new_emulator(free_port())
    second.start()

    assert left == []
    assert second.port != first.port
    found = second.client("s3").get_object(Bucket="bucket", Key="payment/k")
    assert (found["Body"].read(), found["Metadata"]) == (b"rows", {"envelope": "e"})
    sqs = second.client("sqs")
    [message] = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName="q")["QueueUrl"])["Messages"]
    assert message["Body"] == "parked"
    assert second.client("secretsmanager").list_secrets()["SecretList"] == []
    second.stop()
    assert not any(b"hunter2" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_killed_emulator_keeps_its_objects_and_its_successor_starts(new_emulator: Make, tmp_path: Path):
    first = new_emulator(None)
    first.start()
    first.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    first.client("s3").put_object(Bucket="bucket", Key="k", Body=b"rows")
    process = first.process()
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)

    second = new_emulator(None)
    second.start()

    assert second.client("s3").get_object(Bucket="bucket", Key="k")["Body"].read() == b"rows"
    second.stop()
    second.stop()
    assert nothing_left(tmp_path)


def test_a_port_that_is_taken_is_named_in_one_sentence(new_emulator: Make):
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(
            ConfigurationError, match=f"Expected to listen on port {port} .* choose another with --port"
        ):
            new_emulator(port).start()

    assert expect_free(port) == port


def test_an_emulator_that_ends_at_once_is_reported_with_its_log(
    new_emulator: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cannot = tmp_path / "python"
    cannot.write_text("#!/bin/sh\nexit 7\n")
    cannot.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(cannot))

    with pytest.raises(ConfigurationError, match=r"The emulated AWS ended with status 7: read .*aws.log"):
        new_emulator(None).start()


def test_new_bytes_whose_metadata_never_followed_are_removed_and_older_versions_kept(tmp_path: Path):
    whole, torn = tmp_path / "000000000000" / "b" / "whole", tmp_path / "000000000000" / "b" / "torn"
    version = tmp_path / ".versions" / "000000000000" / "b" / "v1" / "whole"
    for path in (whole, torn, version):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"rows")
    whole.with_name("whole.meta.json").write_text("{}")

    mend_objects(tmp_path)

    assert (whole.exists(), torn.exists(), version.exists()) == (True, False, True)


def test_an_object_moved_at_the_moment_of_a_kill_is_readable_and_can_be_moved_on(new_emulator: Make, tmp_path: Path):
    first = new_emulator(None)
    first.start()
    first.client("s3").create_bucket(Bucket="control", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    CheckpointStore(ObjectStore(first.client("s3")), "control").move(Checkpoint(owner="before"))
    process = first.process()
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    [stored] = (tmp_path / "aws" / "s3").rglob("checkpoint.json")
    stored.write_text(Checkpoint(owner="the one that was being moved").model_dump_json())

    second = new_emulator(None)
    second.start()

    store = CheckpointStore(ObjectStore(second.client("s3")), "control")
    found = store.load()
    store.move(found.model_copy(update={"owner": "after"}))
    assert (found.owner, store.load().owner) == ("the one that was being moved", "after")


def test_a_saved_message_in_flight_can_be_received_at_once():
    saved = '{"body": "{\\"visible_at\\": 7}", "visible_at": 1795450042.125, "receive_count": 3}'

    assert readdressed(saved, "70") == '{"body": "{\\"visible_at\\": 7}", "visible_at": 0, "receive_count": 3}'


def test_saved_queues_are_found_under_another_port():
    assert readdressed("'http://localhost:4566/0/q': 4566", "70") == "'http://localhost:70/0/q': 4566"
