"""The `totes` command: options in, one call, words and an exit code out.

Invariant: every PipelineError ends as its own sentence on stderr; an error nobody meant keeps its traceback in a file
that one sentence names. Modules that take long to import are imported by the command that needs them.
"""

import errno
import json
import tempfile
import time
import traceback
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from services.ops import cli_ask, cli_bench, cli_compact, cli_doctor, cli_feeds, cli_rebuild, cli_trace
from services.ops.cli_contracts import contracts
from services.ops.command import (
    INTERRUPTED,
    NOT_FIT,
    OUR_MISTAKE,
    UNREACHABLE,
    USAGE,
    Schema,
    StateDir,
    WarehouseDsn,
    choose_environment,
    environment,
    only_here,
    option,
)
from services.ops.dlq.cli import dlq
from services.ops.options import UpOptions
from shared.errors import ConfigurationError, PipelineError, Unavailable

EPILOG = (
    "Exit codes: 0 done; 1 source or warehouse not fit, or the pipeline failed; 2 usage or configuration; "
    "3 nothing runs, or it cannot be reached; 70 our own mistake (a file with its traceback is named); 130 broken off."
)


_ENV = typer.Option(
    "--env",
    envvar="TOTES_ENV",
    help="A deployment in AWS that the command is about, by its environment, with your own credentials and region; "
    "without one, the embedded stack.",
    metavar="NAME",
    show_default=False,
)


class Sentences(TyperGroup):
    """Turns what a command raises into one sentence on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.TyperException, typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            _end("Broken off; nothing of it is left running.", INTERRUPTED)
        except PipelineError as exc:
            _end(str(exc), _exit_code(exc))
        except Exception as exc:  # noqa: BLE001 - the outermost frame of the command
            _end(*_unexpected(exc))


app = typer.Typer(
    cls=Sentences,
    help="Every change of totesys in a star-schema warehouse, within seconds, with none lost.\n\n"
    "`totes up` runs the whole path on this machine; `totes status` looks at it from another terminal. "
    "`totes --env prod status`, and so every other command, is about the deployment prod in AWS.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point of the `totes` script."""
    app(prog_name="totes")


def _print_version(asked: bool) -> None:  # noqa: FBT001 - the shape of Typer's callbacks
    if asked:
        typer.echo(f"totes {version('totes')}")
        raise typer.Exit


@app.callback()
def totes(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
    env: Annotated[str | None, _ENV] = None,
) -> None:
    """What all commands share: where the pipeline runs that they are about."""
    choose_environment(env)


@app.command()
def up(  # noqa: PLR0913 - one parameter an option
    *,
    source: Annotated[str | None, option("source_dsn", "--source", metavar="DSN")] = None,
    warehouse: WarehouseDsn = None,
    schema: Schema = None,
    simulate: Annotated[float | None, option("simulate", "--simulate", metavar="RATE")] = None,
    no_simulate: Annotated[bool, typer.Option("--no-simulate", help="Simulate nothing: --simulate 0.")] = False,
    poll_interval: Annotated[float | None, option("poll_interval_seconds", "--poll-interval", metavar="S")] = None,
    reconcile_interval: Annotated[
        float | None, option("reconcile_interval_seconds", "--reconcile-interval", metavar="S")
    ] = None,
    seconds: Annotated[float | None, option("seconds", "--seconds", metavar="S")] = None,
    port: Annotated[int | None, option("port", "--port", metavar="N")] = None,
    orders: Annotated[int | None, option("orders", "--orders", metavar="N")] = None,
    seed: Annotated[int | None, option("seed", "--seed", metavar="N")] = None,
    time_zone: Annotated[str | None, option("time_zone", "--time-zone", metavar="ZONE")] = None,
    state_dir: StateDir = None,
) -> None:
    """Run the whole pipeline in the foreground, with a live view of it.

    Without DSNs it brings its own totesys, kept alive by a simulator, and its own warehouse; with them it runs between
    your databases and simulates nothing. Ctrl-C, SIGTERM or the end of --seconds drains the queues, prints a summary
    and leaves nothing running. The next `totes up` of the same folder goes on where this one stopped.

    Every option can also be set by the variable in brackets, in the environment or in a `.env` file here.
    """
    only_here("up", "`terraform apply` deploys, see docs/deploy.md")
    if no_simulate and simulate:
        raise ConfigurationError("Expected --simulate or --no-simulate, found both.")
    options = UpOptions.of(
        source_dsn=source,
        warehouse_dsn=warehouse,
        warehouse_schema=schema,
        simulate=0.0 if no_simulate else simulate,
        poll_interval_seconds=poll_interval,
        reconcile_interval_seconds=reconcile_interval,
        seconds=seconds,
        port=port,
        orders=orders,
        seed=seed,
        time_zone=time_zone,
        state_dir=state_dir,
    )
    from rich.console import Console

    from services.ops.pipeline import LocalPipeline
    from services.ops.up import Interruption, run

    with Interruption().installed() as interruption:
        run(
            LocalPipeline(options),
            seconds=options.seconds,
            console=Console(),
            monotonic=time.monotonic,
            interruption=interruption,
        )


@app.command()
def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, keys in snake_case.")] = False,
    state_dir: StateDir = None,
) -> None:
    """Show how a running stack is: feeds, queues, freshness, quarantine and parked messages.

    `as of` is the source clock of the last snapshot with nothing missing before it; `oldest` counts from the snapshot
    of the oldest batch that is archived but not yet loaded; freshness is what the changed rows of the last 15 minutes
    took from the source to the warehouse's commit, at most.
    """
    from rich.console import Console

    from services.ops.running import collector_of, find
    from services.ops.view import Moment, picture

    found = collector_of(find(state_dir)).collect(causes=True)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        console = Console()
        console.print(picture(Moment(found), console.width))
    if found.notes:
        raise typer.Exit(UNREACHABLE)


@app.command()
def down(*, state_dir: StateDir = None) -> None:
    """End what a killed `totes up` left running, and say what that was."""
    only_here("down", "`totes pause` stops a deployment's reading, `terraform destroy` takes it away")
    from services.local.down import bring_down

    folder = UpOptions.of(state_dir=state_dir).state_dir
    ended = bring_down(folder)
    typer.echo("\n".join(f"Ended {each}." for each in ended) or f"Nothing of a stack in {folder} was running.")


@app.command()
def migrate(
    *,
    warehouse: WarehouseDsn = None,
    schema: Schema = None,
    loader_role: Annotated[
        str | None, typer.Option(help="Login that loads: it may write rows and create nothing.", metavar="ROLE")
    ] = None,
    analyst_role: Annotated[
        str | None, typer.Option(help="Login that reads: every table and view, new ones too.", metavar="ROLE")
    ] = None,
) -> None:
    """Bring the star schema in a warehouse up to date; what is up to date is left as it is."""
    from services.loader import migrate as migrations

    dsn, name = _warehouse_to_migrate(UpOptions.of(warehouse_dsn=warehouse, warehouse_schema=schema), schema)
    applied = migrations.migrate(dsn, name, loader_role=loader_role, analyst_role=analyst_role)
    done = f"applied {', '.join(applied)}" if applied else "nothing was left to apply"
    typer.echo(f"The schema {name} is up to date: {done}.")


def _warehouse_to_migrate(options: UpOptions, schema: str | None) -> tuple[str, str]:
    """DSN and schema: those named, or a deployment's own; never both, lest another one be migrated than is meant."""
    from services.ops.running import find

    named, dsn = environment(), options.warehouse_dsn
    if named is None and dsn is None:
        raise ConfigurationError("Expected the warehouse to migrate: name it with --warehouse or TOTES_WAREHOUSE_DSN.")
    if named is not None and dsn is not None:
        raise ConfigurationError(
            f"Expected a warehouse (--warehouse, TOTES_WAREHOUSE_DSN) or the environment {named!r} (--env, TOTES_ENV), "
            "found both."
        )
    if dsn is not None:
        return dsn, options.warehouse_schema
    found = find(None)
    return found.warehouse_owner_dsn, schema or found.warehouse_schema


@app.command()
def rebase(
    *,
    source_changed: Annotated[
        bool, typer.Option("--source-changed", help="Yes, the source was restored, promoted or replaced on purpose.")
    ] = False,
    state_dir: StateDir = None,
) -> None:
    """Accept another source in a running stack: begin a new generation and read every feed whole again."""
    from services.ops.rebase import rebase as accept
    from services.ops.running import checkpoints_of, find

    if not source_changed:
        raise ConfigurationError("Expected --source-changed, which says that the change of the source is meant.")
    generation = accept(checkpoints_of(find(state_dir)))
    typer.echo(f"Generation {generation} begins with the next poll, within a minute; every feed is read whole again.")


@app.command()
def reconcile(
    *,
    feed: Annotated[list[str] | None, typer.Option(help="Only this feed; may be repeated.", metavar="F")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what differs and publish nothing.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also hold every star row against the hash taken when it was loaded.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete however many rows are gone from the source.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, keys in snake_case.")] = False,
    state_dir: StateDir = None,
) -> None:
    """Compare every row of source and warehouse in a running stack, and repair what differs.

    Repairs are published as change batches like any other. What is still on its way is left to arrive. Exit codes:
    0 no drift; 1 drift found, repaired unless --dry-run; 3 a feed could not be compared.
    """
    import sys

    from rich.console import Console

    from services.local.settings import CommandSettings
    from services.ops import reconcile as reconciling
    from services.ops.running import find
    from services.reconciler.reconcile import Task

    task = Task(
        feeds=reconciling.feeds_named(feed or []),
        whole=True,
        dry_run=dry_run,
        deep=deep,
        allow=reconciling.asking(lambda question: sys.stdin.isatty() and typer.confirm(question), yes=yes),
    )
    report = reconciling.reconciler_of(find(state_dir), CommandSettings()).run(task)
    if as_json:
        typer.echo(json.dumps(reconciling.as_json(report), indent=2))
    else:
        Console().print(reconciling.render(report, dry_run=dry_run))
    raise typer.Exit(reconciling.exit_code(report))


cli_ask.register(app)
cli_doctor.register(app)
cli_trace.register(app)
cli_feeds.register(app)
cli_compact.register(app)
cli_rebuild.register(app)
cli_bench.register(app)
app.add_typer(dlq, name="dlq")
app.add_typer(contracts, name="contracts")


def _exit_code(error: PipelineError) -> int:
    """The class decides."""
    if isinstance(error, ConfigurationError):
        return USAGE
    return UNREACHABLE if isinstance(error, Unavailable) else NOT_FIT


def _unexpected(error: Exception) -> tuple[str, int]:
    """A full disk is nobody's bug; of anything else the traceback is kept."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = f" ({error.filename})" if error.filename else ""
        return f"The disk is full{place}: make room and run it again, it goes on where it stopped.", UNREACHABLE
    try:
        with tempfile.NamedTemporaryFile("w", prefix="totes-", suffix=".log", delete=False) as log:
            log.write("".join(traceback.format_exception(error)))
    except OSError:
        return "".join(traceback.format_exception(error)), OUR_MISTAKE
    return f"Something went wrong that should not ({type(error).__name__}): see {log.name}.", OUR_MISTAKE


def _end(sentence: str, code: int) -> None:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
