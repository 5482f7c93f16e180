"""`python -m tests.soak`: run a soak, print what came out, end with 1 if anything was lost, doubled or parked."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from random import SystemRandom
from typing import Any

from tests.soak.soak import Options, Soak, faults


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="under load; draining comes on top (10)")
    parser.add_argument("--seed", type=int, default=None, help="of the random choices (a new one)")
    parser.add_argument("--json", type=Path, default=None, help="write the report there")
    parser.add_argument("--kills-per-minute", type=float, default=8, help="of all stages together (8)")
    parser.add_argument("--changes-per-second", type=float, default=30, help="of all writers together (30)")
    parser.add_argument("--duplicates-per-minute", type=float, default=30, help="messages delivered again (30)")
    parser.add_argument("--writers", type=int, default=4, help="sessions that write (4)")
    parser.add_argument("--poll-interval", type=float, default=0.5, help="seconds between two polls (0.5)")
    parser.add_argument("--state-dir", type=Path, default=None, help="kept afterwards; must be new (a temporary one)")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)  # before the long run, not after it
    folder = given.state_dir or Path(tempfile.mkdtemp(prefix="soak"))
    seed = SystemRandom().randrange(2**31) if given.seed is None else given.seed
    options = Options(
        state_dir=folder,
        minutes=given.minutes,
        seed=seed,
        kills_per_minute=given.kills_per_minute,
        changes_per_second=given.changes_per_second,
        duplicates_per_minute=given.duplicates_per_minute,
        writers=given.writers,
        poll_interval_seconds=given.poll_interval,
    )
    say(f"Soak of {given.minutes:g} minutes, seed {seed}, in {folder}")
    try:
        report = {
            "command": " ".join(["python -m tests.soak", *sys.argv[1:]]),
            "seed": seed,
            **Soak(options, say).run(),
        }
    finally:
        if given.state_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    return tell(report, given.json)


def tell(report: dict[str, Any], path: Path | None) -> int:
    text = json.dumps(report, indent=2)
    print(text)
    if path is not None:
        path.write_text(f"{text}\n", encoding="utf-8")
    wrong = faults(report)
    say(f"{wrong} faults" if wrong else "Nothing lost, nothing doubled, nothing parked")
    return 1 if wrong else 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
