import subprocess
import sys
from pathlib import Path

from services.local.lock import UpLock
from services.local.processes import Process, end

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)",
]


def test_a_process_whose_id_is_used_again_is_not_ours():
    with subprocess.Popen(SLEEP) as child:
        found = Process.of("sleep", child.pid)
        assert found is not None
        another = found.model_copy(update={"started": found.started - 1000})

        end(another, seconds=5)

        assert child.poll() is None
        assert another.running() is None
        child.kill()


def test_a_process_that_does_not_listen_is_killed():
    with subprocess.Popen(DEAF, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = Process.of("deaf", child.pid)
        assert found is not None

        end(found, seconds=0.1)

        assert found.running() is None
    assert Process.of("gone", child.pid) is None


HOLD = """
import sys, time
from pathlib import Path
from services.local.lock import UpLock
print(UpLock(Path(sys.argv[1])).acquire(), flush=True)
lock = UpLock(Path(sys.argv[1])); lock.acquire(); print("held", flush=True); time.sleep(600)
"""


def test_the_lock_is_one_process_and_is_free_again_when_its_holder_is_killed(tmp_path: Path):
    mine = UpLock(tmp_path)
    assert mine.acquire()
    assert not UpLock(tmp_path).acquire()
    assert mine.holder() is not None
    mine.release()
    mine.release()

    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.readline()
        holder = UpLock(tmp_path).holder()
        assert not mine.acquire(seconds=0.2)
        assert holder is not None
        assert holder.pid == child.pid
        child.kill()

    assert mine.acquire(seconds=5)
    mine.release()
