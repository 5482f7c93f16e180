"""The topology's requirements are what the functions' code imports: no more, and nothing is missing."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from services.local.code import code_root
from services.local.topology import topology

OURS = ("contracts", "shared", "services")
NOT_IMPORTED = {"tzdata"}
"""Read by the standard library's zoneinfo."""
COMES_WITH = {"botocore": "boto3", "pydantic-core": "pydantic"}
"""Imported beside the distribution that is required, which pins it."""


def module_file(module: str) -> Path | None:
    path = code_root() / module.replace(".", "/")
    return next((found for found in (path.with_suffix(".py"), path / "__init__.py") if found.exists()), None)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file may import, also what is imported from a package and may be one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{node.module}"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def imported(module: str) -> set[str]:
    """The foreign modules that a module of ours imports in the end, by their first word."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen and (path := module_file(name)):
            seen.add(name)
            waiting.extend(each for each in imports(path) if each.split(".")[0] in OURS)
    files = [path for name in seen if (path := module_file(name))]
    return {each.split(".")[0] for path in files for each in imports(path)} - {*OURS, *sys.stdlib_module_names}


@pytest.mark.parametrize("name", topology().functions)
def test_a_function_and_its_layers_require_what_its_code_imports(name: str):
    function = topology().functions[name]
    by_module = packages_distributions()
    layered = {each for layer in function.layers for each in topology().layers[layer].requirements}

    found = {canonicalize_name(by_module[module][0]) for module in imported(function.handler.rpartition(".")[0])}

    assert {COMES_WITH.get(each, each) for each in found} == {*function.requirements, *layered} - NOT_IMPORTED
