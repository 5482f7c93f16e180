"""Connections to Postgres, COPY both ways, and its errors in words.

Invariant: TLS with a checked certificate unless the server is on this machine or the DSN says sslmode; SQL text is
constant, names go through `identifier`, values are parameters. Nothing here retries: a caller that may, does.
"""

import ssl
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from pg8000.native import Connection, DatabaseError, InterfaceError, identifier, literal

from shared.copies import BufferedConnection, Sink, Stream
from shared.errors import ConfigurationError, PipelineError, Unavailable

__all__ = [
    "Connection",
    "DatabaseError",
    "Dsn",
    "Sink",
    "as_array",
    "connect",
    "copy_in",
    "copy_out",
    "explain",
    "hang_up",
    "identifier",
    "literal",
]

SSL_MODES = ("disable", "require", "verify-ca", "verify-full")
_LAST_PORT = 65535
_MISREAD = (
    "Expected a DSN like postgresql://user@host:5432/database and could not find host and port in it: "
    "write the characters / ? # @ : of a password as %2F %3F %23 %40 %3A."
)
CONNECT_TIMEOUT_SECONDS = 10
"""Longer than any healthy server takes, shorter than an operator's patience."""


@dataclass(frozen=True)
class Dsn:
    """A parsed connection string, `postgresql://user:password@host:port/database?sslmode=…&host=/socket/folder`."""

    user: str
    host: str
    port: int
    database: str
    password: str | None = field(default=None, repr=False)
    sslmode: str | None = None
    sslrootcert: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Dsn":
        """Read a libpq URI. Raises ConfigurationError with what is wrong; the password is never repeated."""
        try:
            parts = urlsplit(text)
            options = dict(parse_qsl(parts.query))
            port = parts.port or int(options.get("port", "5432"))
        except ValueError:  # its text may hold part of a password, so it is not kept as the cause
            raise ConfigurationError(_MISREAD) from None
        if parts.fragment or "@" in parts.path + parts.query or not 0 < port <= _LAST_PORT:
            raise ConfigurationError(_MISREAD)
        unknown = set(options) - {"host", "port", "user", "password", "sslmode", "sslrootcert", "application_name"}
        if parts.scheme not in ("postgresql", "postgres") or unknown:
            found = f"the options {sorted(unknown)}" if unknown else f"the scheme {parts.scheme!r}"
            raise ConfigurationError(
                f"Expected a DSN like postgresql://user@host:5432/database?sslmode=require and found {found}."
            )
        if options.get("sslmode") not in (None, *SSL_MODES):
            raise ConfigurationError(f"Expected sslmode to be one of {SSL_MODES}, found {options['sslmode']!r}.")
        user = unquote(parts.username) if parts.username else options.get("user")
        if not user or not parts.path.strip("/"):
            raise ConfigurationError("Expected a DSN with a user and a database: postgresql://user@host:5432/database.")
        password = unquote(parts.password) if parts.password else options.get("password")
        return cls(
            user=user,
            host=options.get("host") or unquote(parts.hostname or "localhost"),
            port=port,
            database=unquote(parts.path.strip("/")),
            password=password or None,
            sslmode=options.get("sslmode"),
            sslrootcert=options.get("sslrootcert"),
        )

    @property
    def place(self) -> str:
        """Where it points to, without user and password: what an operator may read."""
        return f"{self.host}:{self.port}/{self.database}"

    @property
    def is_local(self) -> bool:
        """A Unix socket or a loopback address: nothing crosses a network."""
        if self.host.startswith("/") or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def connect(
    dsn: Dsn,
    *,
    application_name: str,
    statement_timeout_seconds: float,
    lock_timeout_seconds: float,
) -> Connection:
    """Open a session in UTC. Raises ConfigurationError or Unavailable, each in one sentence."""
    handled = sys.exception()
    try:
        connection = BufferedConnection(**driver_arguments(dsn, application_name))
        # The time-out was for connecting; a COPY may rightly be silent for longer.
        connection._usock.settimeout(None)
        connection.run(
            f"SET statement_timeout = {int(statement_timeout_seconds * 1000)};"
            f"SET lock_timeout = {int(lock_timeout_seconds * 1000)};"
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 1"
        )
        return connection
    except (InterfaceError, DatabaseError, OSError, ssl.SSLError) as exc:
        explain(_said_by_server(exc, handled), dsn.place, dsn.user)


def _said_by_server(exc: BaseException, handled: BaseException | None) -> BaseException:
    """The server's own refusal, which pg8000 hides behind a broken pipe if the server hung up first.

    `handled`: what was being handled already before the attempt, and has nothing to do with it.
    """
    found: BaseException | None = exc
    while found is not None and found is not handled and not isinstance(found, DatabaseError):
        found = found.__context__
    return exc if found is None or found is handled else found


def driver_arguments(dsn: Dsn, application_name: str) -> dict[str, Any]:
    """What pg8000 takes to connect there, alike through its native and its DB-API interface."""
    return {
        "user": dsn.user,
        "host": dsn.host,
        "port": dsn.port,
        "database": dsn.database,
        # Without one, an empty one: a server that asks then refuses it in words, where pg8000 breaks on None.
        "password": dsn.password or "",
        "unix_sock": f"{dsn.host}/.s.PGSQL.{dsn.port}" if dsn.host.startswith("/") else None,
        "ssl_context": _ssl_context(dsn),
        "timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": application_name,
    }


def hang_up(connection: Connection) -> None:
    """Close a session in whatever state it is; an error on the way tells nothing that matters any more.

    The driver leaves its buffer open where the other side is gone, and with it the socket: closed here as well.
    """
    buffer = connection._sock
    with suppress(InterfaceError, OSError):
        connection.close()
    with suppress(OSError):
        if buffer is not None:
            buffer.close()


def copy_out(connection: Connection, sql: str, sink: Sink) -> int:
    """Run `COPY (…) TO STDOUT` into a sink; the number of rows."""
    connection.run(sql, stream=Stream(sink))
    return int(connection.row_count)


def copy_in(connection: Connection, sql: str, chunks: Iterable[bytes]) -> int:
    """Run `COPY … FROM STDIN` from chunks of bytes (256 KiB each is a good size); the number of rows."""
    connection.run(sql, stream=chunks)
    return int(connection.row_count)


def explain(
    exc: BaseException, place: str, user: str = "", *, unavailable: type[Unavailable] = Unavailable
) -> NoReturn:
    """Raise the pipeline's error for a driver's error, keeping the cause.

    Errors of the network, of resources and of concurrency raise `unavailable`; those a person must mend raise
    ConfigurationError; any other SQLSTATE is our own mistake and raises PipelineError.
    """
    if isinstance(exc, PipelineError):
        raise exc
    if not isinstance(exc, DatabaseError) or not exc.args or not isinstance(exc.args[0], dict):
        cause = exc.__cause__ or exc
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise ConfigurationError(
                f"The certificate of {place} is not trusted, {cause.verify_message}: name its authority in sslrootcert."
            ) from exc
        raise unavailable(f"Expected a Postgres server at {place} and could not reach it: {cause}.") from exc
    state, text = exc.args[0].get("C", ""), exc.args[0].get("M", "")
    if state in _CURES:
        raise ConfigurationError(f"{_CURES[state](user, place)} (Postgres says: {text})") from exc
    if state[:2] in _PASSING or state in _PASSING:
        raise unavailable(f"Postgres at {place} refused for now: {text} (SQLSTATE {state}).") from exc
    raise PipelineError(f"Postgres at {place} failed: {text} (SQLSTATE {state}).") from exc


_Cure = Callable[[str, str], str]
_CURES: dict[str, _Cure] = {
    "28P01": lambda user, place: f"The password of {user!r} was refused at {place}: correct it in the DSN.",
    "28000": lambda user, place: (
        f"The login {user!r} was refused at {place}: allow it in pg_hba.conf or correct the DSN."
    ),
    "3D000": lambda _, place: f"There is no such database at {place}: create it or correct the DSN.",
    "3F000": lambda _, place: f"The schema is missing at {place}: run `totes migrate` or correct the schema's name.",
    "42501": lambda user, place: f"The login {user or 'in the DSN'} lacks a privilege at {place}: grant it.",
}
"""SQLSTATEs that a person must mend, with what to do."""
_PASSING = frozenset({"08", "53", "57", "58", "40", "55P03", "25P03", "25006"})
"""Classes and SQLSTATEs that pass: connection, resources, operator, system, serialization, lock timeout."""


def _ssl_context(dsn: Dsn) -> ssl.SSLContext | bool:
    """TLS with a checked certificate by default, none on this machine, otherwise what the DSN says."""
    mode = dsn.sslmode or ("disable" if dsn.is_local else "verify-full")
    if mode == "disable":
        return False
    try:
        context = ssl.create_default_context(cafile=dsn.sslrootcert)
    except OSError as exc:
        raise ConfigurationError(
            f"Expected a file of certificates at sslrootcert={dsn.sslrootcert} and could not read it: {exc}."
        ) from exc
    context.check_hostname = mode == "verify-full"
    if mode == "require" and dsn.sslrootcert is None:
        context.verify_mode = ssl.CERT_NONE
    return context


def rows_of(connection: Connection, sql: str, **parameters: Any) -> list[list[Any]]:
    """The rows of a query, never None."""
    return connection.run(sql, **parameters) or []


def as_array(numbers: Iterable[int]) -> str:
    """Numbers as the text of a Postgres array, for a setting that a COPY reads back."""
    return f"{{{','.join(map(str, numbers))}}}"
