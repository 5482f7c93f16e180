"""Which files of ours a function runs, and a zip of files whose bytes follow from the files alone.

Shared by the embedded stack, which has the distributions in its environment, and the packages, which bring them along.
Invariant: the same files give the same bytes, whoever zips them and whenever.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import services

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest a zip can hold, for every file."""
LEVEL = 4
"""Of the packages' 240 MB it takes half the time of zlib's usual 6, and makes them 4 % larger."""
MODE = 0o100644 << 16
"""A file that everybody may read, as Lambda asks; a library is mapped, which needs no more."""
UNIX = 3
CODE = (".py", ".sql")


def code_files(function: str) -> Iterator[tuple[str, Path]]:
    """Our packages that a function needs: contracts, shared and its own; name in its zip, and where the file lies."""
    root = code_root()
    yield "services/__init__.py", root / "services" / "__init__.py"
    for package in ("contracts", "shared", f"services/{function}"):
        for path in sorted((root / package).rglob("*")):
            if path.suffix in CODE:
                yield path.relative_to(root).as_posix(), path


def code_root() -> Path:
    """The folder of our packages."""
    return Path(services.__file__).parent.parent


def zipped(files: Mapping[str, Path]) -> bytes:
    """A zip of files by their names in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, path in sorted(files.items()):
            archive.writestr(_entry(name), path.read_bytes(), compresslevel=LEVEL)
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, ZIP_TIME)
    entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, MODE, UNIX
    return entry
