"""`python -m services.costs`: print what a deployment costs; with `--write FILE` between the marks in that document."""

import argparse
from pathlib import Path

from services.costs.prices import prices
from services.costs.table import report
from services.local.topology import topology
from shared.marked import put

MARK = "costs"
"""Of the block in a document."""


def main(arguments: list[str] | None = None) -> int:
    """Print, or write."""
    parser = argparse.ArgumentParser(prog="python -m services.costs", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="bring the block of this document up to date")
    document = parser.parse_args(arguments).write
    computed = report(topology(), prices())
    if document is None:
        print(computed)
    else:
        document.write_text(put(document.read_text(), MARK, computed))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
