"""`python -m services.ops.contracts.documents [--write]`: say which documents are not as the models have them, or
write them. Exit code 1: some were not, and nothing was written.
"""  # noqa: D205

import sys
from argparse import ArgumentParser
from pathlib import Path

from services.ops.contracts.documents import stale, write
from services.ops.contracts.documents.text import COMMAND

ROOT = Path(__file__).parents[4]


def main(arguments: list[str], root: Path = ROOT) -> int:
    """What the command does; the answer is its exit code."""
    parser = ArgumentParser(prog="python -m services.ops.contracts.documents", description="Documents of the models.")
    parser.add_argument("--write", action="store_true", help="write those that are not current")
    if parser.parse_args(arguments).write:
        print(*(f"Wrote {path}" for path in write(root)), "All documents are current.", sep="\n")
        return 0
    found = stale(root)
    said = [f"{path} is not as the models have it: run `{COMMAND}`." for path in found]
    print("\n".join(said or ["All documents are current."]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
