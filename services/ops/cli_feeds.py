"""`totes pause`, `totes resume` and `totes backfill`: options in, one call, a sentence out.

Invariant: each is written down in the audit; a backfill costs the source a whole reading, and does not begin unasked.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.ops.command import StateDir
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from services.ops.installation import Installation
    from shared.checkpoint import CheckpointStore

OneFeed = Annotated[str | None, typer.Argument(help="Only this feed; the whole poller without it.", metavar="[FEED]")]
Why = Annotated[str | None, typer.Option(help="The reason, for the audit.", metavar="TEXT")]
EVERYTHING = "all feeds"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (pause, resume, backfill):
        app.command()(command)


def pause(feed: OneFeed = None, *, why: Why = None, state_dir: StateDir = None) -> None:
    """Leave the source alone: one feed of a running stack, or all of them.

    What was captured is loaded, the queues drain. Nothing is lost: after `totes resume` all that happened meanwhile is
    read. A pause outlives a restart of the stack.
    """
    from services.ops import feeds

    _act("pause", feed, lambda store: feeds.pause(store, feed), why=why, state_dir=state_dir)


def resume(feed: OneFeed = None, *, why: Why = None, state_dir: StateDir = None) -> None:
    """Let a paused feed go on, or the whole poller; what was paused by name stays so until it is named."""
    from services.ops import feeds

    _act("resume", feed, lambda store: feeds.resume(store, feed), why=why, state_dir=state_dir)


def backfill(
    feed: Annotated[str, typer.Argument(help="The feed.", metavar="FEED")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    why: Why = None,
    state_dir: StateDir = None,
) -> None:
    """Read a feed of a running stack anew, whole, from the source.

    It costs a reading of the table and an observation of each row; rows that did not change make no new version. To
    load again what was archived already, without the source, use `totes rebuild` or `totes replay-archive`.
    """
    from services.ops import feeds
    from services.ops.running import checkpoints_of

    feeds.feed_named(feed)
    cost = feeds.cost_of_reading_anew(checkpoints_of(_description(state_dir)), feed)
    if not yes:
        typer.echo(cost, err=True)
        if not sys.stdin.isatty():
            raise ConfigurationError(
                f"There is no terminal to ask at whether to read {feed} anew: say --yes if it is meant."
            )
        typer.confirm(f"Read {feed} anew?", abort=True, err=True)
    _act("backfill", feed, lambda store: feeds.backfill(store, feed), why=why, state_dir=state_dir)


def _act(
    action: str, feed: str | None, act: "Callable[[CheckpointStore], str]", *, why: str | None, state_dir: Path | None
) -> None:
    """Do it, between two lines of the audit, and say what it came to."""
    from services.ops.audit import audited
    from services.ops.feeds import feed_named
    from services.ops.running import checkpoints_of, trail_of

    what = EVERYTHING if feed is None else feed_named(feed)
    description = _description(state_dir)
    with audited(trail_of(description), action=action, what=what, why=why) as outcome:
        outcome.text = act(checkpoints_of(description))
    typer.echo(outcome.text)


def _description(state_dir: Path | None) -> "Installation":
    from services.ops.running import find

    return find(state_dir)
