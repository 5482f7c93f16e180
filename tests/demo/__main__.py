"""`python -m tests.demo`: play the minute on a real stack, record it, draw it as an animated SVG; `make demo` does."""

import argparse
import getpass
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tests.demo.play import play
from tests.demo.terminal import TOOLS

TEMPLATE = Path(__file__).with_name("frame.svg")
MOST_BYTES = 600_000
"""What a README may weigh without being felt."""
FRAME_MILLISECONDS = 150
LAST_FRAME_MILLISECONDS = 4_000
LAST_PAUSE_SECONDS = 1.0
"""Less than the play waits at its end, more than anything between two events of the closing takes."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--cast", type=Path, required=True, help="Recording to write (asciicast, version 2).")
    parser.add_argument("--svg", type=Path, required=True, help="Picture to write.")
    wanted = parser.parse_args()
    expect_tools()
    wanted.cast.parent.mkdir(parents=True, exist_ok=True)
    cast = wanted.cast.absolute()
    with tempfile.TemporaryDirectory(prefix="totes-demo-") as name:
        play(Path(name), cast)
        cast.write_text(
            "".join(without_end(cast.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8"
        )
        refuse_traces(cast, (name, socket.gethostname(), getpass.getuser(), str(Path.home()), str(Path.cwd())))
    draw(cast, wanted.svg)
    if wanted.svg.stat().st_size > MOST_BYTES:
        sys.exit(f"Expected {MOST_BYTES:,} bytes at most in {wanted.svg}, found {wanted.svg.stat().st_size:,}.")
    print(f"Recorded {wanted.cast} and drew {wanted.svg} ({wanted.svg.stat().st_size:,} bytes)")


def expect_tools() -> None:
    """Ends with one sentence where something is missing."""
    if shutil.which("tmux") is None:
        sys.exit("Expected tmux, which holds the two terminals, and found none: on Debian or Ubuntu, apt install tmux.")
    if missing := [tool for tool in ("asciinema", "termtosvg") if not (TOOLS / tool).exists()]:
        sys.exit(f"Expected {' and '.join(missing)} in {TOOLS}: `make demo` installs what it needs.")


def without_end(lines: Sequence[str]) -> Sequence[str]:
    """A recording up to its last pause: what follows is the terminals being closed."""
    times = [json.loads(line)[0] for line in lines[1:]]
    pauses = [place for place, (one, next_one) in enumerate(pairwise(times)) if next_one - one >= LAST_PAUSE_SECONDS]
    return lines[: pauses[-1] + 2] if pauses else lines


def refuse_traces(cast: Path, traces: tuple[str, ...]) -> None:
    """Nothing of the machine may be in the recording. Ends with one sentence where something is."""
    text = cast.read_text(encoding="utf-8")
    if found := [trace for trace in traces if trace in text]:
        sys.exit(f"Expected nothing of this machine in {cast}, found {', '.join(found)}.")


def draw(cast: Path, svg: Path) -> None:
    """Render the recording."""
    times = ["--min-frame-duration", str(FRAME_MILLISECONDS), "--loop-delay", str(LAST_FRAME_MILLISECONDS)]
    command = [TOOLS / "termtosvg", "render", cast, svg, "--template", TEMPLATE, *times]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
