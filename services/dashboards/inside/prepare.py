"""Make Superset's own database ready and bring the dashboards from files into it; run by Superset's interpreter.

Invariant: a second run with the same files changes nothing, so that what somebody has edited and not yet exported is
kept; changed files overwrite what they describe.
"""

import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path

from flask import g
from flask_migrate import upgrade
from superset.app import create_app

DATABASE, KEPT = "superset.db", "imported"
"""Its database, and the file that says which release made it and from which files, once that is done."""


def prepare(home: Path, assets: Path) -> None:
    """Bring the database under `home` up to date with this Superset and these files."""
    contents = {path.relative_to(assets).as_posix(): path.read_text("utf-8") for path in sorted(assets.rglob("*.yaml"))}
    now = [version("apache-superset"), hashlib.sha256(repr(contents).encode()).hexdigest()]
    kept = home / KEPT
    if not kept.exists():
        (home / DATABASE).unlink(missing_ok=True)  # a run that was killed half-way has left it, and no work of anybody
    before = kept.read_text("utf-8").split() if kept.exists() else ["", ""]
    with create_app().app_context():
        if now[0] != before[0]:
            _make_database()
        _sign_up(os.environ["TOTES_SUPERSET_PASSWORD"])
        if now != before:
            _import(contents)
    kept.write_text("\n".join(now), "utf-8")


def _make_database() -> None:
    """Make it, or bring it to this release."""
    import superset
    from superset import appbuilder, security_manager

    upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()


def _sign_up(password: str) -> None:
    """The one login: it may edit dashboards; the warehouse itself it can only read."""
    from superset import security_manager
    from superset.extensions import db

    user = security_manager.find_user("totes")
    if user is None:
        role = security_manager.find_role("Admin")
        user = security_manager.add_user("totes", "totes", "analyst", "totes@localhost", role, password)
    security_manager.reset_password(user.id, password)
    db.session.commit()
    g.user = user


def _import(contents: dict[str, str]) -> None:
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    ImportAssetsCommand(contents).run()


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
