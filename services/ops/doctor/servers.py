"""What the facts about a server and a login there mean, for source and warehouse alike. Pure.

Invariant: every finding follows from the facts given; a value of the login's password is in none of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.ops.doctor.findings import Finding, fine, note, warn
from shared.postgres import Dsn, identifier

CONNECTIONS_LEFT = 5
"""Fewer free ones than the pipeline may want at once: poller, reconciler, two loaders, and somebody who looks."""
OFFSET_SECONDS = 1.0
"""Freshness is the warehouse's clock minus the source's: a larger offset is a larger error in every figure."""
SAME_SECONDS = 0.001
"""Clocks no further apart are told to agree: nothing in the pipeline can tell."""
OLD_TRANSACTION_SECONDS = 60.0
"""An ordinary transaction of an application is over by then; each poll reads back to the start of one that is not."""
MINUTES_FROM_SECONDS = 600.0
"""From here on an age is told in minutes."""
SHOWN = 4
"""Names told in a sentence before the rest is counted."""
VERSION_UNIT = 10_000


@dataclass(frozen=True)
class Offset:
    """A server's clock minus this machine's, halfway of a round trip: exact to half of it. In seconds."""

    seconds: float
    round_trip_seconds: float


@dataclass(frozen=True)
class Session:
    """A login's session and its server."""

    dsn: Dsn
    version: int
    in_recovery: bool
    encrypted: bool
    connections: int
    most_connections: int
    """That a login which is no superuser may use."""
    sees_all: bool
    """Whether the login sees the sessions of others (pg_read_all_stats)."""
    tracks_activities: bool
    offset: Offset


@dataclass(frozen=True)
class OpenTransaction:
    """One transaction open in the source. What the login may not see is None.

    `at_most_seconds`: how long it may have been open, by the poller's own notes, where its start is hidden.
    """

    pid: int | None
    seconds: float | None
    state: str | None
    application: str | None
    at_most_seconds: float | None = None


def of_login(which: str, session: Session) -> Iterator[Finding]:
    """That the login got in, to which server."""
    version = f"{session.version // VERSION_UNIT}.{session.version % VERSION_UNIT}"
    yield fine(f"{which}: login", f"PostgreSQL {version} at {session.dsn.place} answers {session.dsn.user!r}.")


def of_encryption(which: str, session: Session) -> Finding:
    """Whether what crosses a network is encrypted, and between the right two."""
    check, dsn = f"{which}: TLS", session.dsn
    if dsn.is_local:
        return fine(check, "The session stays on this machine, nothing crosses a network.")
    if not session.encrypted:
        return warn(
            check,
            f"The session with {dsn.place} is not encrypted: rows and account numbers cross the network readable.",
            "Switch on ssl on the server and leave sslmode out of the DSN, or name sslmode=verify-full.",
        )
    if dsn.sslmode == "require" and dsn.sslrootcert is None:
        return warn(
            check,
            "The session is encrypted, and the server's certificate is not checked: it may be somebody else's.",
            "Name sslmode=verify-full, and the file of its authority as sslrootcert, in the DSN.",
        )
    return fine(check, "The session is encrypted and the certificate checked.")


def of_connections(which: str, session: Session) -> Finding:
    """Whether there is room for the pipeline's own."""
    check = f"{which}: connections"
    left = session.most_connections - session.connections
    found = f"{session.connections} of {session.most_connections} connections are taken"
    if left < CONNECTIONS_LEFT:
        return warn(
            check,
            f"{found}: the pipeline needs up to {CONNECTIONS_LEFT} and would be refused.",
            "Raise max_connections, put a pooler before the applications, or end idle sessions.",
        )
    return fine(check, f"{found}.")


def of_clocks(source: Session | None, warehouse: Session | None) -> Iterator[Finding]:
    """How far the clocks are apart: two servers' if there are two, and each of this machine's."""
    if source is not None and warehouse is not None:
        between = Offset(
            warehouse.offset.seconds - source.offset.seconds,
            warehouse.offset.round_trip_seconds + source.offset.round_trip_seconds,
        )
        yield _of_offset("clocks: both servers", "The warehouse's clock", other="the source's", offset=between)
    for which, session in (("source", source), ("warehouse", warehouse)):
        if session is not None:
            yield _of_offset(f"clocks: {which}", f"The {which}'s clock", other="this machine's", offset=session.offset)


def _of_offset(check: str, clock: str, *, other: str, offset: Offset) -> Finding:
    apart, within = offset.seconds, offset.round_trip_seconds / 2
    direction = "ahead of" if apart > 0 else "behind"
    differs = f"is {abs(apart):.3f} s {direction}" if abs(apart) > within + SAME_SECONDS else "agrees with"
    found = f"{clock} {differs} {other} (±{max(within, SAME_SECONDS):.3f} s)"
    if abs(apart) > OFFSET_SECONDS + within:
        return warn(
            check, f"{found}: freshness is wrong by as much.", "Let NTP set the clocks (`timedatectl`, or chrony)."
        )
    return fine(check, f"{found}.")


def of_statistics(session: Session) -> Iterator[Finding]:
    """What the poller can see of open transactions; without it it is right all the same, and reads back further."""
    if session.sees_all and session.tracks_activities:
        yield fine("source: statistics", "The login sees when each open transaction began.")
    if not session.sees_all:
        yield note(
            "source: statistics",
            "The login does not see when others' transactions began: a poll takes the last moment it knows without it.",
            f"If you like: GRANT pg_read_all_stats TO {identifier(session.dsn.user)}.",
        )
    if not session.tracks_activities:
        yield warn(
            "source: statistics",
            "track_activities is off, so nobody sees who holds a transaction open, nor since when.",
            "As a superuser: ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf().",
        )


def of_transactions(found: tuple[OpenTransaction, ...]) -> Finding:
    """Whether somebody holds the look-back: each poll reads back to the start of the oldest open transaction."""
    check = "source: open transactions"
    ages = {one: one.seconds if one.seconds is not None else one.at_most_seconds for one in found}
    old = sorted((one for one in found if (ages[one] or 0.0) > OLD_TRANSACTION_SECONDS), key=lambda one: -ages[one])  # type: ignore[operator]
    hidden = sum(age is None for age in ages.values())
    if old:
        return warn(check, _held_by(old[0], ages[old[0]] or 0.0, len(old)), _end(old[0]))
    if hidden:
        return note(
            check,
            f"{hidden} of {len(found)} open transactions may be of any age: this login does not see when they began.",
            "Look again in a minute, with `totes doctor` on the running stack, which knows when it first saw each.",
        )
    count = f"{len(found)} transactions are" if len(found) != 1 else "One transaction is"
    return fine(check, f"{count} open now, none for longer than a minute.")


def _held_by(oldest: OpenTransaction, seconds: float, count: int) -> str:
    others = f" and {count - 1} younger ones" if count > 1 else ""
    who = "" if oldest.pid is None else f" (pid {oldest.pid}{_named(oldest)})"
    most = "up to " if oldest.seconds is None else ""
    state = oldest.state or "open"
    long = f"{most}{seconds:,.0f} s" if seconds < MINUTES_FROM_SECONDS else f"{most}{seconds / 60:,.0f} min"
    return f"A transaction{who} has been {state} for {long}{others}: every poll reads so far back."


def _named(one: OpenTransaction) -> str:
    return "" if one.application is None else f", {one.application}"


def _end(oldest: OpenTransaction) -> str:
    if oldest.pid is None:
        return "Commit or roll back the prepared transaction: SELECT * FROM pg_prepared_xacts names it."
    return (
        f"Commit it in its application, or as its owner: SELECT pg_terminate_backend({oldest.pid}); "
        "idle_in_transaction_session_timeout keeps it from coming back."
    )


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Some names, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
