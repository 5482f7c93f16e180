"""`python -m services.ops.reference [--write]`: say which reference pages are not as the code has them, or write them.

Exit code 1: some were not, and nothing was written.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from services.ops.reference import COMMAND, stale, write

ROOT = Path(__file__).parents[3]


def main(arguments: list[str], root: Path = ROOT) -> int:
    """What the command does; the answer is its exit code."""
    parser = ArgumentParser(prog="python -m services.ops.reference", description="Reference pages of the code.")
    parser.add_argument("--write", action="store_true", help="write those that are not current")
    if parser.parse_args(arguments).write:
        print(*(f"Wrote {path}" for path in write(root)), "All reference pages are current.", sep="\n")
        return 0
    found = stale(root)
    said = [f"{path} is not as the code has it: run `{COMMAND}`." for path in found]
    print("\n".join(said or ["All reference pages are current."]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
