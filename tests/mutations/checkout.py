"""A copy of the working tree in which deliberate bugs are made, so that the checkout itself is never touched."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mutations.mutations import Edit

ROOT = Path(__file__).parents[2]
WHERE = "import contracts, shared, services; print(contracts.__file__, shared.__file__, services.__file__, sep='\\n')"
ENVIRONMENT = {
    **os.environ,
    # Python tells a stale .pyc by the second and by its size: two edits within a second would be taken for one.
    "PYTHONDONTWRITEBYTECODE": "1",
    # The reason of a failure stands in one line, however long it is.
    "COLUMNS": "1000",
}


class MovedCode(Exception):
    """The code of a mutation is no longer where the list says."""


def copy_tree(to: Path, root: Path = ROOT) -> None:
    """Copy what git tracks and what it would track; a file that is deleted here and not yet there is left out."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    answer = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True)
    for name in filter(None, answer.stdout.split("\0")):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, to / name)


def expect_own_code(copy: Path) -> None:
    """Refuse a copy whose tests would import the installed packages instead of its own."""
    command = [sys.executable, "-c", WHERE]
    found = subprocess.run(command, cwd=copy, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    strange = [path for path in found.stdout.split("\n") if path and not Path(path).is_relative_to(copy)]
    if strange:
        raise MovedCode(f"Expected the code of {copy} to be imported, found {', '.join(strange)}.")


def edited(text: str, edit: Edit) -> str:
    """The text with its bug. Raises MovedCode unless the old text occurs exactly once."""
    if text.count(edit.old) != 1:
        raise MovedCode(
            f"Expected this once in {edit.file}, found it {text.count(edit.old)} times (the code moved: "
            f"correct tests/mutations/mutations.py):\n{edit.old}"
        )
    return text.replace(edit.old, edit.new)


def texts_after(edits: Iterable[Edit], root: Path = ROOT) -> dict[str, str]:
    """Every edited file's text with its bugs, by its name."""
    texts: dict[str, str] = {}
    for edit in edits:
        text = texts[edit.file] if edit.file in texts else (root / edit.file).read_text(encoding="utf-8")
        texts[edit.file] = edited(text, edit)
    return texts


@contextmanager
def mutated(copy: Path, edits: Iterable[Edit]) -> Iterator[None]:
    """The copy with its bugs, for a while."""
    after = texts_after(edits, copy)
    before = {name: (copy / name).read_text(encoding="utf-8") for name in after}
    try:
        _write(copy, after)
        yield
    finally:
        _write(copy, before)


def _write(copy: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (copy / name).write_text(text, encoding="utf-8")
