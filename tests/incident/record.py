"""The session as a page of docs: what was typed, why, and what was printed, word for word. Pure.

Invariant: nothing of the machine it ran on is in it: its name and its paths are replaced.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from tests.incident.stage import Shown

HEAD = """# A night, recorded

`make incident` plays this on a real embedded stack and writes this page; a test plays it too, and holds every step to
what must come of it. Yesterday a contract was tightened by mistake and deployed. Tonight 1,000 orders come in, 7 of
which break it in three ways; an object of the archive loses its second half; somebody sends a message that is none of
ours; and a column of `purchase_order` changes its type. Everything else goes on.
"""
TAIL = """
What was seen: {before} of 1,000 orders loaded while the contract was wrong, 7 in quarantine with their reasons, two
messages parked, one feed stopped with a sentence; afterwards all 1,000, no drift, and every action in the audit.
"""


def page(session: Iterable[Shown], *, before: int, host: str, folder: Path) -> str:
    """The page in Markdown."""
    parts = [HEAD, *(_step(shown) for shown in session), TAIL.format(before=before)]
    return "\n".join(parts).replace(f"@{host}", "@laptop").replace(str(folder), "~/totes")


def _step(shown: Shown) -> str:
    said = re.sub(r"[ \t]+$", "", shown.output, flags=re.M).strip("\n")
    if not shown.words:
        return f"{shown.why}\n" + (f"\n```text\n{said}\n```\n" if said else "")
    code = "" if shown.code == 0 else f"\n(exit code {shown.code})"
    return f"{shown.why}\n\n```text\n$ {shown.words}\n{said}{code}\n```\n"
