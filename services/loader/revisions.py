"""The migrations that this code knows, without importing what applies them (alembic with SQLAlchemy, 0.5 s)."""

from pathlib import Path

VERSIONS = Path(__file__).parent / "migrations" / "versions"


def revisions() -> list[str]:
    """Every migration's revision, oldest first: a file's name begins with it, and they are counted up."""
    return sorted(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py"))
