"""What a function's start does not pay for, each in an interpreter of its own."""

import json
import subprocess
import sys

import pytest

from services.local.topology import topology

LOOK = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
from contracts.source import Row
from contracts.star import StarRow
built = [model.__name__ for base in (Row, StarRow) for model in base.__subclasses__() if model.__pydantic_complete__]
print(json.dumps([built, sorted(sys.modules)]))
"""
NEVER = {"argparse", "dotenv", "moto", "psutil", "pydantic_settings", "rich", "typer", "yaml"}
NOT_WITHOUT_PARQUET = {"asyncio", "fastparquet", "numpy", "pandas"}


@pytest.mark.parametrize("name", topology().functions)
def test_a_start_builds_no_row_model_and_imports_nothing_of_the_command(name: str):
    function = topology().functions[name]
    module = function.handler.rpartition(".")[0]

    answer = subprocess.run([sys.executable, "-c", LOOK, module], capture_output=True, text=True, check=True)

    built, modules = json.loads(answer.stdout)
    refused = NEVER if function.layers else NEVER | NOT_WITHOUT_PARQUET
    assert built == []
    assert refused.isdisjoint(modules), refused.intersection(modules)
