# SPDX-License-Identifier: MIT
"""The order of arguments.

argparse does not find all operands if there are options between them, and the command of py-lmdb
takes options before its own commands, and the environment as an option.  So the words are put in
the order in which argparse understands them: the command, its options, ``--``, its operands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Mapping

# options that may be before the command, those of py-lmdb's command and two of many commands:
# those with a value, and switches
_WITH_VALUE = {
    "-e": "--env", "-d": "--db", "-S": "--map_size", "-M": "--max-dbs", "-E": "--target_env",
    "--out-fd": "", "--set": "", "--set-file": "", "--add": "", "--add-file": "", "--delete": "",
    "--interval": "", "--window": "",
}  # fmt: skip
_SWITCHES = {
    "-r": "--read", "-s": "--use-single-file", "-a": "--all", "-x": "--xxd", "-c": "--clean",
    "--compact": "", "--csv": "", "--json": "", "--no-lock": "",
}  # fmt: skip
_VALUES = {long or short for short, long in _WITH_VALUE.items()}
_FLAGS = {long or short for short, long in _SWITCHES.items()}
_NUMBER = re.compile(r"-\d+\Z|-\d*\.\d+\Z")


def command_first(words: list[str], commands: Collection[str]) -> list[str]:
    """Move options that are before the command behind it, in their long forms.

    Words that are none of the options above are left for argparse to refuse.
    """
    moved: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in commands:
            return [word, *moved, *rest]
        found = _long_forms(word, rest)
        if found is None:
            break
        moved.extend(found)
    return words


def _long_forms(word: str, rest: Iterator[str]) -> list[str] | None:
    """Return the long forms of an option, which may take its value from ``rest``, or of several
    switches in one word; None if it is not known."""
    if word.startswith("--"):
        name, equals, _ = word.partition("=")
        if name in _FLAGS or (name in _VALUES and equals):
            return [word]
        return [f"{name}={next(rest, '')}"] if name in _VALUES else None
    found: list[str] = []
    for at in range(1, len(word)):
        letter = f"-{word[at]}"
        if letter in _WITH_VALUE:
            return [*found, f"{_WITH_VALUE[letter]}={word[at + 1 :] or next(rest, '')}"]
        if letter not in _SWITCHES:
            return None
        found.append(_SWITCHES[letter])
    return found or None


def options_first(
    words: list[str], options: Mapping[str, argparse.Action], positions: Mapping[str, int]
) -> list[str]:
    """Put options before the operands of a command.

    :param options: the options of the command: from each way to write one to its action.
    :param positions: options whose values are operands: from the name of the value to its index.
    :raises ValueError: an operand is ``--``, which argparse would drop.
    """
    chosen: list[str] = []
    operands: list[str] = []
    values: dict[int, str] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            operands.extend(rest)
            break
        action, value = _option(word, options)
        if action is None or not _takes_value(action):
            (chosen if action or _is_option(word) else operands).append(word)
            continue
        parts = [word]
        if value is None and (value := next(rest, None)) is not None:
            parts.append(value)
        if value is not None and action.dest in positions:
            values[positions[action.dest]] = value
        else:
            chosen += parts  # argparse says if the value is missing
    if "--" in operands:
        raise ValueError("'--' cannot be an operand; as a key or a value it is 0x2d2d")
    for index, value in sorted(values.items()):
        operands.insert(index, value)
    return [*chosen, "--", *operands] if operands else chosen


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and " " not in word and not _NUMBER.match(word)


def _takes_value(action: argparse.Action) -> bool:
    return action.nargs is None


def _option(
    word: str, options: Mapping[str, argparse.Action]
) -> tuple[argparse.Action | None, str | None]:
    """Return the option that a word is, or the one that ends it, and its value in the same word."""
    if word in options:
        return options[word], None
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        names = [name] if name in options else [each for each in options if each.startswith(name)]
        found = {id(options[each]): options[each] for each in names}
        action = found.popitem()[1] if len(found) == 1 else None
        return action, value if equals else None
    action = None
    for at in range(1, len(word) if word.startswith("-") else 0):
        action = options.get(f"-{word[at]}")
        if action is None or _takes_value(action):
            return action, word[at + 1 :] or None
    return action, None
