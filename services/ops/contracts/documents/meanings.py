"""What a model's fields mean: the sentence that stands below each of them in the model's own source.

A field without one means what the name says by which it is annotated, where the same module explains that name
(`created_at: CreatedAt`). pydantic's own `use_attribute_docstrings` reads the same, but while the model is imported,
and a cold start would wait 28 ms for it. Invariant: a sentence is one line of text, however it is wrapped there.
"""

import ast
import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from textwrap import dedent
from types import ModuleType

from pydantic import BaseModel


@cache
def meanings(model: type[BaseModel]) -> Mapping[str, str]:
    """Field -> its meaning, those of the model's bases too. A field that is explained nowhere is missing."""
    said: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            said |= _own(base)
    return {name: said[name] for name in model.model_fields if name in said}


@cache
def constants(module: ModuleType) -> Mapping[str, str]:
    """A module's names with the sentence below each."""
    return _below(_parsed(module))


def sentence(model: type[BaseModel]) -> str:
    """What a model is: the first paragraph of its docstring, in one line."""
    return _one_line((model.__doc__ or "").partition("\n\n")[0])


def _own(model: type[BaseModel]) -> Mapping[str, str]:
    """What a class says of its own fields."""
    module = inspect.getmodule(model) or inspect
    definition, named = _classes(module).get(model.__qualname__) or _alone(model), constants(module)
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    by_name = {
        field: named[name]
        for statement in body
        if isinstance(statement, ast.AnnAssign) and (field := _target(statement))
        for name in _names(statement.annotation)
        if name in named
    }
    return by_name | _below(body)


@cache
def _parsed(module: ModuleType) -> Sequence[ast.stmt]:
    return ast.parse(inspect.getsource(module)).body


@cache
def _classes(module: ModuleType) -> Mapping[str, ast.ClassDef]:
    """A module's own classes: it is read once, where `inspect` would read it again for each of them."""
    return {each.name: each for each in _parsed(module) if isinstance(each, ast.ClassDef)}


def _alone(model: type[BaseModel]) -> ast.stmt:
    """The definition of a class that stands inside another or in a function."""
    return ast.parse(dedent(inspect.getsource(model))).body[0]


def _below(body: Sequence[ast.stmt]) -> dict[str, str]:
    """Name -> the text right below the statement that assigns or declares it."""
    return {
        name: _one_line(text)
        for above, below in pairwise(body)
        if (name := _target(above)) and (text := _text(below)) is not None
    }


def _target(statement: ast.stmt) -> str | None:
    """The one name that a statement assigns or declares."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _text(statement: ast.stmt) -> str | None:
    """What a statement says that is nothing but a text."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _names(annotation: ast.expr) -> list[str]:
    return [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)]


def _one_line(text: str) -> str:
    return " ".join(text.split())
