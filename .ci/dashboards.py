"""`python .ci/dashboards.py SLIDES IMAGES`: print the slides, with the dashboards' pictures where their mark stands."""

import sys
from collections.abc import Iterable
from pathlib import Path

MARK = "<!-- dashboards -->"
MOST = 3
"""Pictures that can still be read side by side on one slide."""
NONE_YET = "*The pictures are taken from the running dashboards; there are none in docs/images yet.*"


def placed(slides: str, pictures: Iterable[str]) -> str:
    """The slides with these pictures. Raises ValueError where the mark is missing."""
    if MARK not in slides:
        raise ValueError(f"Expected the mark {MARK} in the slides and found none.")
    shown = "\n".join(f'<img src="../images/{name}">' for name in sorted(pictures)[:MOST])
    return slides.replace(MARK, f'<div class="pictures">\n{shown}\n</div>' if shown else NONE_YET)


if __name__ == "__main__":
    print(
        placed(Path(sys.argv[1]).read_text(encoding="utf-8"), (file.name for file in Path(sys.argv[2]).glob("*.png")))
    )
