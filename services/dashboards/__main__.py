"""`make dashboard`: Superset on the warehouse, in the foreground; and `export`, which writes its dashboards into files.

Invariant: whatever ends it (Ctrl-C, SIGTERM, an error), nothing that it started runs on.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from services.dashboards.installed import ASSETS, Server, Superset, free_port
from services.dashboards.options import DashboardOptions
from services.dashboards.readable import known_names, readable
from services.dashboards.warehouse import opened
from services.ops.cli import Sentences
from services.ops.up import Interruption
from services.ops.view import clock_of
from shared.errors import PipelineError

LOOK_SECONDS = 1.0

app = typer.Typer(
    cls=Sentences,
    help="Dashboards on the warehouse, by Apache Superset.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Warehouse = Annotated[str | None, typer.Option("--warehouse", help="DSN of a login that may read.", metavar="DSN")]
_Schema = Annotated[str | None, typer.Option("--schema", help="Schema of the star tables.", metavar="NAME")]
_StateDir = Annotated[Path | None, typer.Option("--state-dir", help="Folder of the embedded stack.", metavar="DIR")]
_Port = Annotated[int | None, typer.Option("--port", help="TCP port on this machine.", metavar="N")]


@app.command()
def serve(
    *, warehouse: _Warehouse = None, schema: _Schema = None, state_dir: _StateDir = None, port: _Port = None
) -> None:
    """Serve the dashboards until Ctrl-C, on the warehouse named, else the running stack's, else one brought up."""
    options = DashboardOptions.of(
        analyst_dsn=warehouse or None, warehouse_schema=schema or None, state_dir=state_dir, dashboard_port=port
    )
    began = time.monotonic()

    def progress(sentence: str) -> None:
        typer.echo(f"{clock_of(time.monotonic() - began)}  {sentence}")

    with Interruption().installed() as interruption, ExitStack() as ending:
        found = free_port(options.dashboard_port)
        read = ending.enter_context(opened(options, progress))
        ending.callback(interruption.stopping)  # from then on nothing may disturb
        superset = Superset.installed(options.superset_dir, options.home, read)
        progress(f"Preparing Superset on {read.dsn.place}, schema {read.schema} (the first time half a minute)")
        superset.prepare()
        progress("Starting Superset")
        server = superset.serve(found)
        ending.callback(server.stop)
        interruption.watching()
        progress(f"Open {server.door}")
        progress(f"or sign in at {server.url} as totes with the password in {superset.home / 'password'}")
        progress("Ctrl-C ends it")
        _watch(server, interruption, superset.log)
        progress("Stopping")


@app.command()
def export(*, state_dir: _StateDir = None) -> None:
    """Write what was edited in Superset into the files that it is made from, to be reviewed and committed."""
    options = DashboardOptions.of(state_dir=state_dir)
    with opened(options, typer.echo) as read:
        texts = Superset.installed(options.superset_dir, options.home, read).exported()
    here = {path.relative_to(ASSETS).as_posix(): path.read_text("utf-8") for path in sorted(ASSETS.rglob("*.yaml"))}
    changed = _write(here, readable(texts, known_names(here)))
    typer.echo("\n".join(changed) or "Nothing has changed.")


def _watch(server: Server, interruption: Interruption, log: Path) -> None:
    while not interruption.asked.is_set():
        if not server.running():
            raise PipelineError(f"Superset ended by itself: the end of {log} says why.")
        interruption.asked.wait(LOOK_SECONDS)


def _write(here: Mapping[str, str], texts: Mapping[str, str]) -> list[str]:
    """Make the folder hold these texts and no others; what that changed, in words."""
    for name in here.keys() - texts.keys():
        (ASSETS / name).unlink()
    changed = [name for name, text in texts.items() if here.get(name) != text]
    for name in changed:
        (ASSETS / name).parent.mkdir(parents=True, exist_ok=True)
        (ASSETS / name).write_text(texts[name], "utf-8")
    return sorted([*(f"removed {name}" for name in here.keys() - texts.keys()), *(f"wrote {name}" for name in changed)])


if __name__ == "__main__":
    app(prog_name="dashboard")
