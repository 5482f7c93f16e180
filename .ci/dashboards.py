"""`python .ci/dashboards.py SLIDES IMAGES`: print the slides, with the dashboards' pictures where their mark stands.

The mark names dashboards in their order; one whose picture was not taken yet is left out.
"""

import re
import sys
from collections.abc import Collection
from pathlib import Path

MARK = re.compile(r"<!-- dashboards: (.*) -->")
NONE_YET = "*The pictures are taken by `make screenshots`; there are none in docs/images yet.*"


def placed(slides: str, there: Collection[str]) -> str:
    """The slides with those of the pictures that are there. Raises ValueError where the mark is missing."""
    if not MARK.search(slides):
        raise ValueError("Expected a mark <!-- dashboards: NAME … --> in the slides and found none.")
    return MARK.sub(lambda found: _shown([f"dashboard-{name}.png" for name in found[1].split()], there), slides)


def _shown(named: list[str], there: Collection[str]) -> str:
    pictures = "\n".join(f'<img src="../images/{name}">' for name in named if name in there)
    return f'<div class="pictures">\n{pictures}\n</div>' if pictures else NONE_YET


if __name__ == "__main__":
    print(placed(Path(sys.argv[1]).read_text(encoding="utf-8"), {file.name for file in Path(sys.argv[2]).iterdir()}))
