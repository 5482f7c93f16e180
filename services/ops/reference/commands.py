"""The page of the `totes` command: each with its arguments and options, from the objects that parse them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from services.ops.contracts.documents.text import table

INTRODUCTION = """\
# Commands

Every command says the same of itself with `--help`. It begins with `.venv/bin/totes`, or `totes` where the environment
is active. What a command must not do without being told it asks, or wants `--yes`.
"""


@dataclass(frozen=True)
class Named:
    """A command under the words by which it is called."""

    words: str
    command: TyperCommand


def page(app: typer.Typer) -> str:
    """The whole page."""
    root = get_command(app)
    if not isinstance(root, TyperGroup):
        raise TypeError(f"Expected a group of commands, found {type(root).__name__}.")
    named = tuple(_commands("totes", root))
    return "\n".join((INTRODUCTION, _overview(named), _common(root), *(_section(each) for each in named)))


def _commands(words: str, group: TyperGroup) -> Iterator[Named]:
    """All commands that can be run, those of groups in the group's place."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(f"{words} {name}", command)
        elif isinstance(command, TyperCommand) and not command.hidden:
            yield Named(f"{words} {name}", command)


def _overview(named: tuple[Named, ...]) -> str:
    rows = [(f"[`{each.words}`](#{_anchor(each.words)})", _paragraphs(each.command)[0]) for each in named]
    return table(("command", "what it does"), rows)


def _anchor(words: str) -> str:
    return words.replace(" ", "-")


def _common(root: TyperGroup) -> str:
    """What stands before a command's name, and the exit codes of all."""
    return f"## Before every command\n\n{_options(root)}\n{root.epilog or ''}\n"


def _section(each: Named) -> str:
    said = "\n\n".join(_paragraphs(each.command))
    taken = _options(each.command)
    return f"## {each.words}\n\n```text\n{_usage(each)}\n```\n\n{said}\n" + f"\n{taken}" * bool(taken)


def _paragraphs(command: TyperCommand) -> list[str]:
    """The help's paragraphs, each in one line."""
    return [" ".join(each.split()) for each in (command.help or "").split("\n\n")]


def _usage(each: Named) -> str:
    arguments = [_argument(taken) for taken in each.command.params if isinstance(taken, TyperArgument)]
    options = any(isinstance(taken, TyperOption) for taken in each.command.params)
    return " ".join((each.words, *arguments, *["[OPTIONS]"] * options))


def _argument(taken: TyperArgument) -> str:
    name = taken.metavar or (taken.name or "").upper()
    return name if taken.required else f"[{name}]"


def _options(command: TyperCommand | TyperGroup) -> str:
    rows = [_cells(taken) for taken in command.params if not getattr(taken, "hidden", False)]
    return table(("argument or option", "meaning", "default"), rows) if rows else ""


def _cells(taken: object) -> tuple[str, str, str]:
    if isinstance(taken, TyperArgument):
        return (f"`{_argument(taken)}`", taken.help or "", "")
    if not isinstance(taken, TyperOption):
        raise TypeError(f"Expected an argument or option, found {type(taken).__name__}.")
    names = ", ".join(f"`{name}`" for name in (*taken.opts, *taken.secondary_opts))
    value = "" if taken.is_flag else f" `{taken.metavar or (taken.name or '').upper()}`"
    variable = f" Variable: `{taken.envvar}`." if taken.envvar else ""
    return (f"{names}{value}", f"{taken.help or ''}{variable}", _default(taken))


def _default(taken: TyperOption) -> str:
    """A flag is off unless it is given; an option that overrides a setting says the setting's default itself."""
    unsaid = taken.is_flag or not taken.show_default or taken.default is None
    return "" if unsaid else f"`{taken.default}`"
