# SPDX-License-Identifier: MIT
"""The words of messages: a user of the command line sees its commands and options.

Messages of pylmdb name functions and their keywords.  Here ``overwrite=True`` becomes
``--overwrite``, if the command has that option, ``pylmdb.salvage()`` becomes ``'pylmdb salvage'``,
and the name of the function that a message begins with is left out.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from ..cursor import Cursor
from ..environment import Environment
from ..transaction import Transaction
from ._data import literals_as_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection

# what has no option of the same name
_SENTENCES = {
    "extensions= chooses the files, by default": "the extensions of images are",
    "readonly=True opens it for reading": "it can be read",
    "if no process writes meanwhile, readonly=True, lock=False reads the files":
        "if no process writes meanwhile, --no-lock reads the files",
    "open it with readonly=True, or load a dump": "load a dump",
    "opening it without readonly=True creates a new environment":
        "a command with --create makes it a new environment",
    "open_db(dupsort=True) creates": "--create --flags dupsort creates",
    "env.dbs() lists": "'pylmdb ls' lists",
    "open() creates": "pylmdb creates",
    "give the backups first, and then the path of the environment":
        "give the path of the environment first, and then the backups",
    "which reader_list() lists": "which 'pylmdb readers' lists",
    "drop() it first": "drop it first",
    "(lib_version=1)": "('pylmdb convert' makes one)",
    " (max_key_size())": "",
    "give names to append(), or another key_format to the Writer": "give another key_format",
    "from_npz()": "'pylmdb import npz'",
}  # fmt: skip
# keywords whose options have other names
_OPTIONS = {
    "subdir=False": "--use-single-file", "subdir": "--use-single-file", "lock=False": "--no-lock",
    "overwrite=False": "--no-overwrite",
}  # fmt: skip
_MODULES = "pylmdb", "pylmdb.datasets"
# keys, names and paths are left as they are
_QUOTED = r"""(?<![\w=])(?:b?'(?:[^'\\]|\\.)*'|b?"(?:[^"\\]|\\.)*")"""
_KEYWORD = r"\b(?P<name>[a-z]\w*)=(?P<value>'[^']*'(?: or '[^']*')*|[\w.:+-]*\w)?"
_LEFT_OUT = r"\bleave (?P<left>\w+) out\b"
_BARE = r"\b(?P<bare>[a-z]+_\w+)\b(?!\()"
_BEGIN = re.compile(r"(\w+): ")


def as_typed(text: str, args: argparse.Namespace) -> str:
    """Return a message with the words of the command, and keys and names as they are typed."""
    for sentence, words in _SENTENCES.items():
        text = text.replace(sentence, words)
    begin = _BEGIN.match(text)
    if begin and (begin[1] in args.commands or _is_function(begin[1])):
        text = text[begin.end() :]
    return literals_as_text(_with_options(text, args.options, args.commands))


def _is_function(name: str) -> bool:
    owners = Environment, Transaction, Cursor, *map(sys.modules.get, _MODULES)
    return any(hasattr(owner, name) for owner in owners)


def _with_options(text: str, options: Collection[str], commands: Collection[str]) -> str:
    """
    :param options: those of the command, such as ``--overwrite``.
    :param commands: the names of all commands.
    """
    names = "|".join(name.replace("-", "_") for name in commands)
    call = rf"\b(?:pylmdb\.)?(?P<command>{names})\((?P<arguments>[^()]*)\)"
    pattern = re.compile(f"{_QUOTED}|{call}|{_LEFT_OUT}|{_KEYWORD}|{_BARE}")

    def replaced(found: re.Match[str]) -> str:
        if found["command"]:
            command = " ".join([found["command"].replace("_", "-"), found["arguments"]]).strip()
            return f"'pylmdb {re.sub(_KEYWORD, lambda each: _option(each), command)}'"
        name = found["name"] or found["left"] or found["bare"]
        if not name:
            return found[0]
        option = _option(found) if found["name"] else _OPTIONS.get(name, _long(name))
        if option.split()[0] not in options:
            return found[0]
        return f"leave {option} out" if found["left"] else option

    return pattern.sub(replaced, text)


def _option(keyword: re.Match[str]) -> str:
    """Return a keyword and its value as they are typed."""
    value = keyword["value"] or ""
    if special := _OPTIONS.get(keyword[0]):
        return special
    if value == "True":
        return _long(keyword["name"])
    return f"{_long(keyword['name'])} {value.replace(chr(39), '')}".rstrip()


def _long(name: str) -> str:
    return "--" + name.replace("_", "-")
