# SPDX-License-Identifier: MIT
"""Opening the environment of a command: read-only unless the command writes."""

from __future__ import annotations

import argparse
import os
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .._base.flags import DATABASE_FLAGS
from ..environment import Environment
from ..errors import NotFoundError
from ..tools.destination import is_new
from ..tools.sources import open_source, open_unlocked_if_safe, open_whole, with_room
from ._data import NAME
from ._output import print_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..database import Database
    from ..transaction import Transaction

# the flags of databases, as the keywords of open_db
FLAGS = tuple(DATABASE_FLAGS)

_CREATES = "; --create creates it"


def reading(args: argparse.Namespace, whole: bool = False, path: str | None = None) -> Environment:
    """Open the environment of a command that only reads.

    :param whole: True if the command may open all databases, which must be counted for that.
    :param path: another one than ``args.path``.
    """
    chosen: str = args.path if path is None else path
    require(chosen)
    opens = partial(open_whole if whole else open_source, chosen, False if args.single else None)
    if args.no_lock:
        return opens(lock=False)
    return open_unlocked_if_safe(chosen, opens, partial(print_error, args))


def writing(args: argparse.Namespace, whole: bool = False) -> Environment:
    """Open the environment of a command that writes; create it only with ``--create``."""
    refuse_to_write(args)
    create = getattr(args, "create", False)
    if not create:
        require(args.path, creatable=hasattr(args, "create"))
    opens = partial(
        Environment, args.path, create=create, lock=not args.no_lock,
        subdir=False if args.single else None, **new_file(args),
    )  # fmt: skip
    return with_room(opens, more=1) if whole else opens()


def refuse_to_write(args: argparse.Namespace) -> None:
    """Raise ValueError if ``--read`` is given."""
    if args.read:
        raise ValueError(f"{args.command} writes to the environment; leave out --read")


def require(path: str, creatable: bool = False) -> None:
    """Raise FileNotFoundError if the environment does not exist.

    :param creatable: True if the command has ``--create``.
    """
    hint = _CREATES if creatable else ""
    if os.path.isdir(path) and not os.access(path, os.X_OK):
        raise PermissionError(f"{path!r}: this process has no permission to search the directory")
    if os.path.isdir(path) and is_new(path):
        raise FileNotFoundError(f"the directory {path!r} has no data.mdb{hint}")
    if is_new(path):
        raise FileNotFoundError(f"{path!r} does not exist{hint}")


def name_of(text: str | None) -> bytes | None:
    """Return the name of a database that is given as an argument; None is the main one."""
    return None if text is None else NAME.read(text)


def database(
    env: Environment, args: argparse.Namespace, txn: Transaction[Any] | None = None
) -> Database:
    """Open the database that ``--db`` names; ``--create`` creates it, with its ``--flags``."""
    create = getattr(args, "create", False)
    flags = getattr(args, "flags", None) or {}
    return open_database(env, args.db, txn, create, flags, creatable=hasattr(args, "create"))


def open_database(
    env: Environment, name: str | None, txn: Transaction[Any] | None = None, create: bool = False,
    flags: Mapping[str, bool] = MappingProxyType({}), creatable: bool = False,
) -> Database:  # fmt: skip
    """Open a database by its name as it is shown and typed.

    :param creatable: True if the command has ``--create``.
    """
    try:
        return env.open_db(name_of(name), txn, create=create, **flags)
    except NotFoundError:
        raise NotFoundError(
            f"the database {name!r} does not exist; 'pylmdb ls' lists the databases"
            f"{_CREATES if creatable else ''}"
        ) from None


def database_flags(text: str) -> dict[str, bool]:
    """Parse an argument that is a list of the flags of ``open_db``."""
    words = text.replace(",", " ").split()
    if not words or {*words} - {*FLAGS}:
        raise argparse.ArgumentTypeError(f"flags are {', '.join(FLAGS)}, not {text!r}")
    return dict.fromkeys(words, True)


def add_new_file(command: argparse.ArgumentParser) -> None:
    """Add the options that say what a new environment is like."""
    command.add_argument(
        "--page-size", type=int, metavar="BYTES",
        help="page size of a new environment: a power of two; by default that of the system",
    )  # fmt: skip
    command.add_argument(
        "--checksums", action="store_const", const=True,
        help="give the pages of a new environment checksums (LMDB 1.0)",
    )  # fmt: skip


def new_file(args: argparse.Namespace) -> dict[str, Any]:
    """Return what :func:`add_new_file` has parsed, as options of ``open``."""
    return {
        "page_size": getattr(args, "page_size", None),
        "checksums": bool(getattr(args, "checksums", None)),
    }


def add_flags(command: argparse.ArgumentParser) -> None:
    """Add the option for the flags of a database."""
    command.add_argument(
        "--flags", type=database_flags, metavar="WORDS",
        help=f"flags of a database that is created: {', '.join(FLAGS)}, separated by commas",
    )  # fmt: skip
