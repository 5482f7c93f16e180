"""What the facts about a running pipeline mean: who polls, which feeds stand still, how much room there is. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.local.space import NEEDED_BYTES
from services.ops.doctor.findings import Finding, fail, fine, warn
from services.ops.status import SILENT_SECONDS
from shared.checkpoint import Checkpoint

ROOM_BYTES = 2**30
"""Less than this, and a busy day of an embedded stack may fill the disk."""


@dataclass(frozen=True)
class Running:
    """A running pipeline: its checkpoint, the seconds since that moved, and where the poller's log is read."""

    checkpoint: Checkpoint
    silent_seconds: float
    log: str


def of_poller(running: Running) -> Finding:
    """Whether somebody polls; the owner moves the checkpoint every few seconds even if nothing changes."""
    check = "poller"
    if running.checkpoint.paused:
        return warn(check, "The poller is paused by an operator.", "`totes resume` when the maintenance is over.")
    if not running.checkpoint.owner:
        return warn(check, "No poller has begun yet.", "Wait a minute, which is its schedule, and look again.")
    if running.silent_seconds > SILENT_SECONDS:
        return fail(
            check,
            f"The poller gave its last sign of life {running.silent_seconds:,.0f} s ago.",
            f"Read its log: {running.log}.",
        )
    return fine(check, f"A poller gave a sign of life {running.silent_seconds:.0f} s ago.")


def of_feeds(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Feeds that are not polled, each with its reason."""
    check = "feeds"
    for name, state in checkpoint.feeds.items():
        if state.stopped:
            yield fail(check, f"The feed {name} is stopped: {state.stopped}", "Mend that; polling goes on by itself.")
        elif state.paused:
            yield warn(check, f"The feed {name} is paused by an operator.", f"`totes resume {name}` lets it go on.")
    if not any(state.stopped or state.paused for state in checkpoint.feeds.values()):
        yield fine(check, f"None of {len(checkpoint.feeds)} feeds is stopped or paused.")


def of_disk(free_bytes: int, folder: str) -> Finding:
    """Room for databases, logs and objects of the embedded stack."""
    check, free = "disk", free_bytes // 2**20
    found = f"{free:,} MiB are free in {folder}"
    if free_bytes < NEEDED_BYTES:
        return fail(check, f"Only {found}.", "Make room now: when the disk is full the stack stands still.")
    if free_bytes < ROOM_BYTES:
        return warn(check, f"Only {found}.", "Make room, or move the state folder with --state-dir.")
    return fine(check, f"{found}.")
