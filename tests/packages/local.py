"""The packages for this machine, built once for all tests that look at them or deploy them."""

from pathlib import Path

from filelock import FileLock

from services.local.topology import topology
from services.packages.build import build
from services.packages.described import Description
from services.packages.platforms import local_platform

FOLDER = Path(__file__).parents[2] / "build" / "packages" / "local"


def built() -> Description:
    """What lies in FOLDER; another test that asks meanwhile waits."""
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(FOLDER.parent / ".local.lock"):
        return build(topology(), local_platform(), FOLDER)
