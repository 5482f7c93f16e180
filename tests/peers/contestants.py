"""How each tool is called, at its fastest as its documentation has it. Pure: words in, a command out.

Invariant: backfill and update of one contestant write the same table, and no two contestants share one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KEY, MOVED = "sales_order_id", "last_updated"
TABLE = "sales_order"
DLT_CHUNK_ROWS = 100_000
"""Twice dlt's default: fewer, larger Arrow tables; more rows gain nothing and cost memory."""

DLT = {
    "dlt pyarrow": ("pyarrow", "csv"),
    "dlt pyarrow ADBC": ("pyarrow", "parquet"),
    "dlt connectorx ADBC": ("connectorx", "parquet"),
    "dlt default": ("sqlalchemy", "insert_values"),
}
"""Name -> backend and loader file format. Parquet goes by ADBC, which must be asked for; CSV is dlt's own choice."""


@dataclass(frozen=True)
class Places:
    """Both databases as `postgresql://user:password@host:port/database`."""

    source: str
    target: str


@dataclass(frozen=True)
class Command:
    """A process to run: its arguments, and what its environment holds beside PATH and HOME."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Line:
    """What a tool said, and how many seconds after its start."""

    seconds: float
    text: str


@dataclass(frozen=True)
class Contestant:
    """A tool with its two commands, the schema it fills, and its configuration in words."""

    name: str
    version: str
    schema: str
    configuration: str
    backfill: Command
    update: Command

    @property
    def table(self) -> str:
        """The table that both commands write."""
        return f"{self.schema}.{TABLE}"


def sling(binary: Path, version: str, places: Places, folder: Path) -> Contestant:
    """Sling's own binary, without the Python that the wheel wraps around it."""
    schema = "peer_sling"
    environment = {
        "SOURCE": f"{places.source}?sslmode=disable",
        "TARGET": f"{places.target}?sslmode=disable",
        "SLING_HOME_DIR": str(folder / "sling"),
        "SLING_DISABLE_TELEMETRY": "true",
    }
    common = (
        *(str(binary), "run", "--src-conn", "SOURCE", "--src-stream", f"public.{TABLE}"),
        *("--tgt-conn", "TARGET", "--tgt-object", f"{schema}.{TABLE}"),
    )
    keys = ("--primary-key", KEY, "--update-key", MOVED)
    return Contestant(
        name="Sling",
        version=version,
        schema=schema,
        configuration="bulk loading by COPY (its default); full-refresh, then incremental by primary and update key",
        backfill=Command((*common, "--mode", "full-refresh"), environment),
        update=Command((*common, "--mode", "incremental", *keys), environment),
    )


def dlt(python: Path, version: str, places: Places, folder: Path, *, name: str) -> Contestant:
    """dlt in one of the ways of DLT."""
    backend, file_format = DLT[name]
    schema = f"peer_{name.replace(' ', '_').lower()}"
    script = Path(__file__).with_name("dlt_pipeline.py")
    driver = "postgresql" if backend == "connectorx" else "postgresql+psycopg"
    command = Command(
        (str(python), str(script), backend, file_format, str(DLT_CHUNK_ROWS), schema, str(folder / schema)),
        {
            "PEER_SOURCE": places.source.replace("postgresql", driver, 1),
            "PEER_TARGET": places.target,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        },
    )
    return Contestant(
        name=name,
        version=version,
        schema=schema,
        configuration=f"backend {backend}, chunks of {DLT_CHUNK_ROWS:,} rows, loader file format {file_format}, "
        "merge (delete-insert) on the key, incremental on last_updated",
        backfill=command,
        update=command,
    )


def rotated(names: Sequence[str], run: int) -> list[str]:
    """The order of a run: each contestant comes first, second, … in turn, so that none is always warmed up for."""
    first = run % len(names)
    return [*names[first:], *names[:first]]


def seconds_at_work(contestant: str, lines: Sequence[Line]) -> float | None:
    """The seconds of a tool's work without its own start; None where it does not tell.

    Sling begins when it says that it connects to the source, dlt sums up its three steps.
    """
    if contestant == "Sling":
        begun = [line.seconds for line in lines if "connecting to source" in line.text]
        return lines[-1].seconds - begun[0] if begun else None
    told = [line.text for line in lines if line.text.startswith("{")]
    return sum(json.loads(told[-1]).values()) if told else None
