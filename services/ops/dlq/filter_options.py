"""The options by which `totes dlq` is told what is meant: the same words for every command.

Invariant: importing this imports nothing that takes long.
"""

from typing import Annotated

import typer

Queues = Annotated[
    list[str] | None,
    typer.Option("--queue", help="Only this place: changes, loads or quarantine; may be repeated.", metavar="Q"),
]
Feeds = Annotated[list[str] | None, typer.Option("--feed", help="Only this feed; may be repeated.", metavar="F")]
Causes = Annotated[
    list[str] | None,
    typer.Option("--cause", help="Only this cause, as `list` names it; may be repeated.", metavar="C"),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Parked from then on, or, of quarantined rows, read from the source: 2026-11-24T17:00 (UTC), or 2h for "
        "two hours ago.",
        metavar="T",
    ),
]
Until = Annotated[str | None, typer.Option("--until", help="Parked or read up to then.", metavar="T")]
Ids = Annotated[
    list[str] | None,
    typer.Option(
        "--id", help="Only this one, or all whose id begins so (q-3f2a91b0: the rows of an object).", metavar="ID"
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.", metavar="N")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, keys in snake_case.")]
