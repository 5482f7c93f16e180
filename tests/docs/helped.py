"""What a command's own `--help` says, asked in this process: the documents name some sixty, each a second to start."""

from functools import cache

from typer.testing import CliRunner

from services.ops.cli import app

WIDE = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


@cache
def helped(*words: str) -> str:
    """The help of a command, wide enough that no option is cut. Fails where there is no such command."""
    answer = CliRunner().invoke(app, [*words, "--help"], prog_name="totes", env=WIDE)
    assert answer.exit_code == 0, f"totes {' '.join(words)}: {answer.output}"
    return answer.output
