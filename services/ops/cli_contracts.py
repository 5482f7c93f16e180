"""`totes contracts`: what to type when a table or a column is added. Options in, words and an exit code out.

Invariant: only `release` writes, and only files of this project.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.ops.command import NOT_FIT, Schema, only_here, option
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from services.ops.contracts.published import Published
    from services.ops.contracts.whole import Checked

contracts = typer.Typer(
    help="What every row and message must look like: the versions that were released, what changed since, and whom a "
    "change would break.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_TITLE = typer.Argument(help="A contract, as `source.sales_order`.", metavar="CONTRACT", show_default=False)
_FORMER = typer.Argument(help="A version to compare with; the newest released one without.", metavar="VERSION")
_VERSION = typer.Option("--version", help="A released version; today's model without.", metavar="N", show_default=False)
_READ = typer.Option("--read", help="The open form, which a consumer accepts; else the closed one that is written.")
_ACCEPT = typer.Option(help="Release what would break somebody, and say why.", metavar="REASON", show_default=False)
_ROOT = Path(__file__).parents[2]


@contracts.command("list")
def list_contracts() -> None:
    """Show every contract: its version, how many were released, and whether the model changed since."""
    from rich.console import Console

    from services.ops.contracts.published import today
    from services.ops.contracts.registry import Registry
    from services.ops.contracts.view import table_of

    Console().print(table_of(Registry(), today()))


@contracts.command()
def show(
    title: Annotated[str, _TITLE],
    *,
    version: Annotated[int | None, _VERSION] = None,
    read: Annotated[bool, _READ] = False,
) -> None:
    """Print the JSON Schema of a contract."""
    from services.ops.contracts.registry import render

    found = _named(title, version)
    typer.echo(render(found.read if read else found.written), nl=False)


@contracts.command()
def diff(title: Annotated[str, _TITLE], version: Annotated[int | None, _FORMER] = None) -> None:
    """Show what changed since a released version, and whom that would break.

    Exit codes: 0 nothing would break; 1 something would; 2 there is no such contract or version.
    """
    from services.ops.contracts.published import steps
    from services.ops.contracts.registry import Registry
    from services.ops.contracts.whole import since

    current = _named(title, None)
    _end(since(_named(title, version or Registry().newest(title)), current, steps(title)))


@contracts.command()
def check(
    *,
    source: Annotated[str | None, option("source_dsn", "--source", metavar="DSN")] = None,
    warehouse: Annotated[str | None, option("warehouse_dsn", "--warehouse", metavar="DSN")] = None,
    schema: Schema = None,
) -> None:
    """Hold the models to what was released, to former messages and rows, and to the documents made from them.

    With --source or --warehouse it holds them to those databases instead: types, NULLs, what is missing, what is new.
    Exit codes: 0 all in order; 1 something is not, each in a sentence; 3 a database could not be reached.
    """
    from services.ops.contracts.whole import against_code, against_databases
    from services.ops.options import UpOptions

    if source is None and warehouse is None:
        found = against_code(_ROOT)
    else:
        options = UpOptions.of(source_dsn=source, warehouse_dsn=warehouse, warehouse_schema=schema)
        found = against_databases(source, warehouse, options.warehouse_schema)
    _end(found)


@contracts.command()
def release(*, accept: Annotated[str | None, _ACCEPT] = None) -> None:
    """Write what is new as released versions: schemas, golden messages and rows, documents, and a migration's skeleton.

    Nothing that was released is written over. Exit codes: 0 released, or nothing was new; 2 a model changed without a
    new version, or would break somebody.
    """
    only_here("contracts release", "contracts are released in the code")
    from services.ops.contracts.release import release as write
    from services.ops.contracts.view import released

    typer.echo("\n".join(released(write(_ROOT, reason=accept), _ROOT)))


def _end(found: "Checked") -> None:
    """Say it, and end with what it comes to."""
    typer.echo("\n".join(found.lines))
    if found.failed:
        raise typer.Exit(NOT_FIT)


def _named(title: str, version: int | None) -> "Published":
    """A contract of today, or as it was released. Raises ConfigurationError where there is none."""
    from services.ops.contracts.published import today
    from services.ops.contracts.registry import Registry

    current = {each.title: each for each in today()}
    if title not in current:
        raise ConfigurationError(f"Expected one of the contracts {', '.join(current)}, found {title!r}.")
    if version is None:
        return current[title]
    released = Registry().versions(title)
    if version not in released:
        raise ConfigurationError(f"Expected one of the released versions {list(released)} of {title}, found {version}.")
    return released[version]
