"""`python -m tests.late_commits`: how many rows each reader loses to transactions that commit late.

Nothing here scans or reconciles: what is lost is lost to the poll alone, and would be brought by the two nets below it.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tests.late_commits.experiment import Verdict, run
from tests.late_commits.writers import DEFAULT_SECONDS, VARIANTS, Lengths
from tests.trouble.servers import new_server

HEADINGS = (
    *("variant", "reader", "stats", "margin s", "transactions", "rows", "sent", "lost", "lost %"),
    *("read/sent", "polls", "p50 ms", "p99 ms"),
)


def main() -> int:
    """Run the variants, print the table; 1 if a row was lost of which it was promised that none would be."""
    asked = _arguments()
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="late-commits-") as folder, new_server(Path(folder) / "data") as server:
        for name in VARIANTS if asked.variant == "all" else [asked.variant]:
            print(f"{name} …", file=sys.stderr)
            verdicts += run(server, VARIANTS[name], lengths=Lengths(), seconds=asked.seconds, margins=asked.margin)
    print(table(verdicts))
    if asked.json is not None:
        lines = [{**asdict(one), "read_per_row_sent": one.read_per_row_sent} for one in verdicts]
        asked.json.write_text(json.dumps({"seconds": asked.seconds, "verdicts": lines}, indent=2) + "\n")
    return 1 if any(one.broken for one in verdicts) else 0


def table(verdicts: Iterable[Verdict]) -> str:
    """One line a verdict, in columns as wide as they need."""
    lines = [HEADINGS, *(_cells(one) for one in verdicts)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) if at < 2 else cell.rjust(width) for at, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


def _cells(one: Verdict) -> tuple[str, ...]:
    return (
        *(one.variant, one.reader, "yes" if one.stats else "no"),
        "-" if one.margin_seconds is None else f"{one.margin_seconds:g}",
        *(str(one.transactions), str(one.rows), str(one.sent), str(one.lost)),
        f"{100 * one.lost / max(1, one.rows):.2f}",
        *(f"{one.read_per_row_sent:.1f}", str(one.polls), f"{one.late_p50_ms:.0f}", f"{one.late_p99_ms:.0f}"),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.late_commits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the writers write, for each variant")
    parser.add_argument("--variant", choices=["all", *VARIANTS], default="all")
    parser.add_argument(
        "--margin", type=float, nargs="+", default=[DEFAULT_SECONDS], help="margins of our poller, in seconds"
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
