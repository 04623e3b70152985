# SPDX-License-Identifier: MIT
"""The command completion: scripts with which shells complete commands, options and files."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._commands import Commands

_BASH = """\
_pylmdb() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]}}
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
        return
    fi
    if [[ $word == -* ]]; then
        case $command in
{cases}
        esac
        return
    fi
    COMPREPLY=()
}}
complete -o default -F _pylmdb pylmdb
"""
_ZSH = """\
#compdef pylmdb
_pylmdb() {{
    if (( CURRENT == 2 )); then
        local -a commands=(
{described}
        )
        _describe command commands
        return
    fi
    if [[ $words[CURRENT] == -* ]]; then
        case $words[2] in
{cases}
        esac
        return
    fi
    _files
}}
if [[ $funcstack[1] == _pylmdb ]]; then
    _pylmdb
else
    compdef _pylmdb pylmdb
fi
"""


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add(
        "completion", print_script, "Print a script with which a shell completes commands.", False,
        environment=None, examples="pylmdb completion bash > pylmdb-completion",
    )  # fmt: skip
    command.add_argument("shell", choices=[*_SCRIPTS], help="shell that is to run the script")


def print_script(args: argparse.Namespace) -> None:
    """``pylmdb completion``."""
    print(_SCRIPTS[args.shell](_described(args.parser)), end="")


def _described(
    parser: argparse.ArgumentParser,
) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return, for each command, its description and its options with their descriptions."""
    actions = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    helps = {each.dest: each.help or "" for each in actions[0]._choices_actions}
    return {
        name: (helps[name], [
            (option, action.help or "")
            for action in command._actions
            for option in action.option_strings
            if action.help != argparse.SUPPRESS
        ])
        for name, command in actions[0].choices.items()
    }  # fmt: skip


def _bash(commands: dict[str, tuple[str, list[tuple[str, str]]]]) -> str:
    cases = "\n".join(
        f'            {name}) COMPREPLY=($(compgen -W "{_words(options)}" -- "$word")) ;;'
        for name, (_, options) in commands.items()
    )
    return _BASH.format(commands=" ".join(commands), cases=cases)


def _words(options: list[tuple[str, str]]) -> str:
    return " ".join(option for option, _ in options)


def _zsh(commands: dict[str, tuple[str, list[tuple[str, str]]]]) -> str:
    described = "\n".join(f"            {_quoted(f'{n}:{t}')}" for n, (t, _) in commands.items())
    cases = "\n".join(
        f"            {name}) compadd -- {_words(options)} ;;"
        for name, (_, options) in commands.items()
    )
    return _ZSH.format(described=described, cases=cases)


def _fish(commands: dict[str, tuple[str, list[tuple[str, str]]]]) -> str:
    lines = []
    for name, (text, options) in commands.items():
        lines.append(f"complete -c pylmdb -n __fish_use_subcommand -a {name} -d {_quoted(text)}")
        for option, meaning in options:
            kind = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            seen = f"'__fish_seen_subcommand_from {name}'"
            lines.append(f"complete -c pylmdb -n {seen} {kind} -d {_quoted(meaning)}")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "").replace("%%", "%") + "'"


_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
