"""What of a distribution a function never reads, and is left out of its package. Pure.

Invariant: licences and metadata stay; each rule says why it is safe, and every handler is run from its package.
"""

import ast
import gc
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from threading import Lock

from shared.errors import ConfigurationError

TESTS = {"test", "tests"}
"""Folders that only a distribution's own test run imports; `testing` is not among them, pandas imports its own."""
SCRIPTS = "bin"
"""Commands for a shell, of which a function has none; the folder stands beside the packages."""
SOURCES = {".c", ".f", ".f90", ".h", ".hpp", ".pxd", ".pyf", ".pyx", ".a", ".la"}
"""What a compiler or linker reads; the wheel's libraries are compiled already."""
TYPES = {".pyi"}
"""Read by type checkers; the interpreter never opens one."""
TRANSLATIONS = {".mo"}
"""Of names of countries, 20 MB of pycountry; we read currencies' codes."""
INSTALLATION = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
"""Told by who installed and where, and listing files that are left out; licences and METADATA beside them stay."""
SDK = ("boto3", "botocore")
"""Their folder `data` has a folder for each AWS service, of which a function calls a few."""


_PARSING = Lock()


def kept(name: str, aws_services: Iterable[str]) -> bool:
    """Whether a file of a distribution belongs in a package that calls these AWS services."""
    path = PurePosixPath(name)
    return not (
        path.parts[0] == SCRIPTS
        or TESTS.intersection(path.parts[:-1])
        or "__pycache__" in path.parts
        or path.suffix in SOURCES | TYPES | TRANSLATIONS
        or (path.parts[0].endswith(".dist-info") and path.name in INSTALLATION)
        or _of_another_service(path, aws_services)
    )


def _of_another_service(path: PurePosixPath, aws_services: Iterable[str]) -> bool:
    """What lies directly in `data` is about regions and retries, and needed by every client."""
    if path.parts[0] not in SDK or path.parts[1:2] != ("data",):
        return False
    service, *within = path.parts[2:]
    return bool(within) and service not in aws_services


def called_services(code: Iterable[Path]) -> frozenset[str]:
    """The AWS services that code makes clients of: the first argument of every `….client(…)`.

    Raises ConfigurationError where that is no literal text, because the service's data would be missing.
    """
    return frozenset(_service(call, path) for path in code for call in _calls(path))


def _service(call: ast.Call, path: Path) -> str:
    match call.args:
        case [ast.Constant(value=str(service)), *_]:
            return service
    raise ConfigurationError(
        f"Expected an AWS service's name as literal text in {path.name}, line {call.lineno}, found another expression: "
        "the package holds the data of the services that the code names."
    )


def _calls(path: Path) -> Iterator[ast.Call]:
    if path.suffix == ".py":
        for node in ast.walk(_parsed(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "client":
                yield node


def _parsed(text: str) -> ast.Module:
    """`ast.parse`, one at a time and while nothing is collected.

    Before 3.11.8 Python counts the depth of a parse for the whole interpreter, and one that is interrupted by another
    ends in a SystemError (python/cpython issue 106905). A collection interrupts: it calls finalisers and callbacks,
    which may parse themselves or let another thread go on, and two platforms are built by two threads.
    """
    with _PARSING:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return ast.parse(text)
        finally:
            if collecting:
                gc.enable()
