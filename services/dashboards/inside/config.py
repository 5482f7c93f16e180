"""Superset's own settings; Superset reads this module by SUPERSET_CONFIG_PATH, in the environment it is installed in.

Invariant: nothing here is secret. The key, the password and the warehouse's address come as environment variables from
the command that starts it, and no part of the warehouse's address is ever stored. The browser is allowed to load
nothing but what this very server sends.
"""

import hmac
import json
import os
from typing import Any

from flask import Blueprint, Flask, abort, redirect
from flask_login import login_user
from sqlalchemy.engine import make_url
from sqlalchemy.engine.url import URL
from superset.config import THEME_DEFAULT as SUPERSETS_THEME
from werkzeug.wrappers import Response

HOME = os.environ["SUPERSET_HOME"]
USER = "totes"
FIRST_DASHBOARD = "/superset/dashboard/sales/"

SECRET_KEY = os.environ["TOTES_SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME}/superset.db"
APP_NAME = "totes"
LOGO_TARGET_PATH = "/dashboard/list/"
WTF_CSRF_TIME_LIMIT = None  # an open dashboard refreshes itself for days
SESSION_COOKIE_NAME = "totes-dashboard"  # cookies are shared by all ports of this machine
SESSION_COOKIE_SAMESITE = "Lax"
SUPERSET_WEBSERVER_TIMEOUT = 60
ROW_LIMIT = 10_000
CACHE_CONFIG = DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}  # what is seen is what the warehouse holds now
RATELIMIT_ENABLED = False
DEFAULT_RELATIVE_END_TIME = "tomorrow"  # "Last week" holds today
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "frame-ancestors": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
CHARTS = {"legend": {"selector": False}, "xAxis": {"axisLabel": {"showMaxLabel": None}}}
"""No buttons that choose all series, and a last label only where there is room for it."""
THEME_DEFAULT = {**SUPERSETS_THEME, "echartsOptionsOverrides": CHARTS}
THEME_DARK = None


def DB_CONNECTION_MUTATOR(  # noqa: N802 - Superset looks for this name
    _url: URL, params: dict[str, Any], _user: str, _security: Any, _source: Any
) -> tuple[URL, dict[str, Any]]:
    """Every session goes to the warehouse that the command was told, and may only read."""
    arguments = json.loads(os.environ["TOTES_SUPERSET_CONNECT"])
    return make_url("postgresql+psycopg2://"), {**params, "connect_args": arguments}


door = Blueprint("door", __name__)


def enter(word: str) -> Response:
    """Sign in whoever knows the password, as the printed address does, and show the first dashboard."""
    from superset import security_manager

    if not hmac.compare_digest(word.encode(), os.environ["TOTES_SUPERSET_PASSWORD"].encode()):
        abort(403)
    login_user(security_manager.find_user(USER))
    answer: Response = redirect(FIRST_DASHBOARD)
    return answer


door.add_url_rule("/open/<word>", view_func=enter)
BLUEPRINTS = [door]


def FLASK_APP_MUTATOR(app: Flask) -> None:  # noqa: N802 - Superset looks for this name
    """Send nobody the address by which one signs in."""
    app.after_request(_no_referrer)


def _no_referrer(response: Any) -> Any:
    response.headers["Referrer-Policy"] = "same-origin"
    return response
