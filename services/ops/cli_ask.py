"""`totes ask QUESTION`: options in, one query on the warehouse, its answer out.

Invariant: it only reads. Each question's options are made from its file's header; importing this imports nothing that
takes long.
"""

from collections.abc import Callable
from difflib import get_close_matches
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from services.insight.catalogue import NONE, Kind, Parameter, Question, questions
from services.ops.command import Schema, StateDir, environment
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from services.insight.ask import Answer

SHOWN_ROWS = 50
"""A screen or two; a table longer than that is for a spreadsheet."""
MOST_CHARACTERS = 10_000
"""Of a line: no answer is wider."""
_LIKE = 0.3
"""How alike a name must be to be named: low, for a wrong guess costs a glance, and no guess a second command."""
_METAVARS = {
    Kind.CURRENCY: "CODE",
    Kind.DATE: "YYYY-MM-DD",
    Kind.MOMENT: "T",
    Kind.NUMBER: "KEY",
    Kind.RATES: "FILE",
}
_MOMENT = " As 2026-11-24T17:00 (UTC), or 2h for two hours ago."
_JSON = typer.Option("--json", help="Print one JSON object, keys in snake_case; decimals are text.")
_CSV = typer.Option("--csv", help="Print CSV with a header.")
_ROWS = typer.Option("--rows", min=0, help="How many rows the table shows at most; 0 shows all.", metavar="N")
_WAREHOUSE = typer.Option(
    "--warehouse",
    help="DSN of the warehouse, of any login that may read it; without one, that of the stack that runs. "
    "(TOTES_WAREHOUSE_DSN)",
    metavar="DSN",
    show_default=False,
)
_SHARED = {
    "as_json": (Annotated[bool, _JSON], False),
    "as_csv": (Annotated[bool, _CSV], False),
    "rows": (Annotated[int, _ROWS], SHOWN_ROWS),
    "warehouse": (Annotated[str | None, _WAREHOUSE], None),
    "schema": (Schema, None),
    "state_dir": (StateDir, None),
}
"""Options of every question, with what holds without them."""


class Questions(TyperGroup):
    """Commands of which an unknown one is told by its nearest names."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is named. Raises ConfigurationError."""
        if args[0] not in self.commands:
            nearest = ", ".join(get_close_matches(args[0], self.commands, n=3, cutoff=_LIKE))
            raise ConfigurationError(
                f"Expected a question that `totes ask` lists, found {args[0]!r}"
                + (f"; the nearest are {nearest}." if nearest else ".")
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=Questions, rich_markup_mode="markdown", subcommand_metavar="QUESTION [OPTIONS]")


def register(parent: typer.Typer) -> None:
    """Add the command to the app, with a command of its own for every question."""
    for question in questions().values():
        app.command(question.name, help=_help(question), short_help=question.asks)(_command(question))
    parent.add_typer(app, name="ask")


@app.callback(invoke_without_command=True)
def ask(context: typer.Context) -> None:
    """Answer a business question from the warehouse; without one, list them all.

    Reads the warehouse of a running stack, of a deployment (`totes --env prod ask …`), or the one that --warehouse or
    TOTES_WAREHOUSE_DSN names, in a read-only transaction.
    """
    if context.invoked_subcommand is None:
        from rich.console import Console

        from services.insight.view import listing

        Console().print(listing(questions().values()))


def _command(question: Question) -> Callable[..., None]:
    """The function whose options are the question's, which Typer reads from its signature."""

    def command(**given: Any) -> None:
        shared = {name: given.pop(name) for name in _SHARED}
        _print(_answer(question, {name.removesuffix("_"): text for name, text in given.items()}, shared), shared)

    own = {f"{one.name}_": (Annotated[str | None, _option(one)], None) for one in question.parameters}
    command.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Argument(name, Argument.KEYWORD_ONLY, annotation=annotation, default=default)
            for name, (annotation, default) in (own | _SHARED).items()
        ]
    )
    return command


def _option(parameter: Parameter) -> Any:
    default = "" if parameter.default == NONE else f" (default {parameter.default})"
    more = _MOMENT if parameter.kind is Kind.MOMENT else ""
    metavar = _METAVARS.get(parameter.kind, "|".join(parameter.choices))
    return typer.Option(parameter.option, help=f"{parameter.help}{more}{default}", metavar=metavar, show_default=False)


def _help(question: Question) -> str:
    parts = (question.asks, question.read, f"Counted: {question.counted}", f"Not counted: {question.not_counted}")
    return "\n\n".join(parts)


def _answer(question: Question, given: dict[str, str | None], shared: dict[str, Any]) -> "Answer":
    from services.insight.ask import ask as put
    from services.insight.values import values_of
    from services.ops.moments import parse
    from services.ops.running import utc_now

    if shared["as_json"] and shared["as_csv"]:
        raise ConfigurationError("Expected --json or --csv, found both.")
    values = values_of(question, given, now=utc_now(), read_moment=parse)
    return put(*_warehouse(shared["warehouse"], shared["schema"], shared["state_dir"]), question, values)


def _warehouse(dsn: str | None, schema: str | None, state_dir: Path | None) -> tuple[str, str]:
    """DSN and schema: those named, else those of the stack that runs, or of the deployment that --env names."""
    from services.ops.options import UpOptions
    from services.ops.running import find

    options = UpOptions.of(warehouse_dsn=dsn, warehouse_schema=schema)
    if options.warehouse_dsn is None:
        found = find(state_dir)
        return found.warehouse_dsn, schema or found.warehouse_schema
    if named := environment():
        raise ConfigurationError(
            f"Expected a warehouse (--warehouse, TOTES_WAREHOUSE_DSN) or the environment {named!r} (--env, TOTES_ENV), "
            "found both."
        )
    return options.warehouse_dsn, options.warehouse_schema


def _print(answer: "Answer", shared: dict[str, Any]) -> None:
    from services.insight.view import as_csv, as_json, picture

    if shared["as_json"]:
        typer.echo(as_json(answer))
    elif shared["as_csv"]:
        typer.echo(as_csv(answer), nl=False)
    else:
        _print_whole(picture(answer, shown_rows=shared["rows"]))


def _print_whole(shown: Any) -> None:
    """No number is ever cut: what a terminal is too narrow for runs over."""
    from rich.console import Console

    console = Console()
    needed = console.measure(shown, options=console.options.update_width(MOST_CHARACTERS))
    Console(width=max(console.width, needed.maximum)).print(shown)
