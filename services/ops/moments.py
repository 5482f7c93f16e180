"""Moments as an operator types them and reads them. Pure: now is an argument.

Invariant: what `shown` prints, `parse` reads; a moment without a zone is UTC, as everything the pipeline prints.
"""

import re
from datetime import UTC, datetime, timedelta

from shared.errors import ConfigurationError

_AGO = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([smhd])(?: ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse(text: str, now: datetime) -> datetime:
    """A moment as ISO 8601 (`2026-11-24`, `2026-11-24T17:00`), or as how long ago it was (`90m`, `2h`, `3d`).

    Raises ConfigurationError.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
        found = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except (ValueError, OverflowError) as exc:
        raise ConfigurationError(
            f"Expected a moment such as 2026-11-24T17:00 (UTC), or 2h for two hours ago, and found {text!r}."
        ) from exc
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def shown(moment: datetime) -> str:
    """A moment in UTC to the millisecond."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d} UTC"
