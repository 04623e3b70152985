# SPDX-License-Identifier: MIT
"""Opening the environment of a command: read-only unless the command writes."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from ..environment import Environment
from ..errors import NotFoundError
from ..tools.destination import is_new
from ..tools.sources import open_source, open_unlocked_if_safe, open_whole, with_room
from ._output import visible

if TYPE_CHECKING:
    import argparse

    from ..database import Database
    from ..transaction import Transaction


def reading(
    args: argparse.Namespace, whole: bool = False, subdir: bool | None = None
) -> Environment:
    """Open the environment of a command that only reads.

    :param whole: True if the command may open all databases, which must be counted for that.
    """
    require(args.path)
    opens = partial(open_whole if whole else open_source, args.path, subdir)
    if args.no_lock:
        return opens(lock=False)
    return open_unlocked_if_safe(args.path, opens, partial(_print_notice, args))


def _print_notice(args: argparse.Namespace, text: str) -> None:
    print(f"pylmdb {args.command}: {visible(text)}", file=sys.stderr, flush=True)


def writing(args: argparse.Namespace, whole: bool = False) -> Environment:
    """Open the environment of a command that writes; create it only with ``--create``."""
    create = getattr(args, "create", False)
    if not create:
        require(args.path)
    opens = partial(Environment, args.path, create=create, lock=not args.no_lock)
    return with_room(opens, more=1) if whole else opens()


def require(path: str) -> None:
    """Raise FileNotFoundError if the environment does not exist."""
    if os.path.isdir(path) and is_new(path):
        raise FileNotFoundError(f"the directory {path!r} has no data.mdb")
    if is_new(path):
        raise FileNotFoundError(f"{path!r} does not exist")


def database(
    env: Environment, args: argparse.Namespace, txn: Transaction[Any] | None = None
) -> Database:
    """Open the database that ``--db`` names."""
    name = None if args.db is None else os.fsencode(args.db)
    try:
        return env.open_db(name, txn, create=getattr(args, "create", False))
    except NotFoundError:
        raise NotFoundError(
            f"the database {args.db!r} does not exist; 'pylmdb ls' lists the databases"
        ) from None
