"""What stands for S3 and SQS in this process, and what counts processor time."""

import os
import subprocess
import sys
import zlib

import pytest

from contracts.messages import ObjectRef
from services.ops.bench.kept import KeptMessages, KeptObjects
from services.ops.bench.used import cpu_seconds, functions_of, seconds_inside
from shared.checkpoint import Checkpoint, CheckpointStore
from shared.errors import CheckpointConflict, CorruptObject
from shared.objects import sha256


def ref(key: str, body: bytes) -> ObjectRef:
    return ObjectRef(bucket="archive", key=key, sha256=sha256(body), bytes=len(body), rows=1)


def test_an_object_is_kept_once_and_equal_bytes_again_are_the_same() -> None:
    objects = KeptObjects()

    objects.put_once(ref("a", b"1"), b"1", {"envelope": "x"})
    objects.put_once(ref("a", b"1"), b"1", {"envelope": "x"})

    assert objects.get(ref("a", b"1")) == b"1"
    assert objects.metadata("archive", "a") == {"envelope": "x"}
    with pytest.raises(CorruptObject):
        objects.put_once(ref("a", b"2"), b"2")


def test_keys_are_listed_in_their_order_behind_one_of_them() -> None:
    objects = KeptObjects()
    for key in ("f/2", "f/1", "g/1", "f/3"):
        objects.put_once(ref(key, b""), b"")

    assert list(objects.keys("archive", "f/", after="f/1")) == ["f/2", "f/3"]


def test_a_checkpoint_moves_only_from_where_it_was_loaded() -> None:
    objects = KeptObjects()
    mine, theirs = CheckpointStore(objects, "control"), CheckpointStore(objects, "control")
    assert (mine.load(), theirs.load()) == (Checkpoint(), Checkpoint())

    mine.move(Checkpoint(owner="me"))

    with pytest.raises(CheckpointConflict):
        theirs.move(Checkpoint(owner="them"))
    mine.move(Checkpoint(owner="me again"))
    assert theirs.load().owner == "me again"


def test_messages_are_kept_in_their_order() -> None:
    queue = KeptMessages()

    queue.send(["a", "b"])
    queue.send(["c"])

    assert queue.bodies == ["a", "b", "c"]


def test_time_inside_functions_is_counted_by_their_names_alone() -> None:
    text = os.urandom(2**20)

    with seconds_inside(("compress",)) as compressing:
        zlib.compress(text, 9)
    with seconds_inside(("flush",)) as flushing:
        zlib.compress(text, 9)

    assert compressing() > flushing() == 0.0


def test_a_process_counts_with_what_it_has_started_and_one_that_is_gone_is_nothing() -> None:
    busy = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**6))']); print(); input()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = cpu_seconds(process.pid)
        known = functions_of(process.pid)
        process.communicate(b"\n")

    assert used > 0
    assert known == {}
    assert cpu_seconds(process.pid) == 0.0
