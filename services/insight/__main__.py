"""`python -m services.insight`: print the table of questions; with `--write FILE` between the marks of a document."""

import argparse
from pathlib import Path

from services.insight.catalogue import questions
from services.insight.document import MARK, listed
from shared.marked import put


def main(arguments: list[str] | None = None) -> int:
    """Print, or write."""
    parser = argparse.ArgumentParser(prog="python -m services.insight", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="bring the table in this document up to date")
    document = parser.parse_args(arguments).write
    made = listed(questions().values())
    if document is None:
        print(made, end="")
    else:
        document.write_text(put(document.read_text(encoding="utf-8"), MARK, made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
