"""`python -m tests.incident`: play the night and record it; `make incident` does."""

import argparse
import socket
import sys
import tempfile
from pathlib import Path

from tests.incident.night import play
from tests.incident.record import page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.incident", description=__doc__)
    parser.add_argument("--record", type=Path, help="Markdown page to write; without it the session is printed")
    target = parser.parse_args().record
    with tempfile.TemporaryDirectory(prefix="totes-night-") as name:
        folder = Path(name)
        seen = play(folder)
        text = page(seen.session, before=seen.loaded_before, host=socket.gethostname(), folder=folder)
    if target is None:
        sys.stdout.write(text)
    else:
        target.write_text(text, encoding="utf-8")
        print(f"Recorded {len(seen.session)} steps in {target}")


if __name__ == "__main__":
    main()
