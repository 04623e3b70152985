# SPDX-License-Identifier: MIT
"""Opening what a command is about: read-only unless it must write, and never a new one."""

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
    """The environment of a command that changes nothing; ``whole`` if it may open all of its
    databases, which takes counting them."""
    require(args.path)
    opens = partial(open_whole if whole else open_source, args.path, subdir)
    if args.no_lock:
        return opens(lock=False)
    return open_unlocked_if_safe(args.path, opens, partial(_print_notice, args))


def _print_notice(args: argparse.Namespace, text: str) -> None:
    print(f"pylmdb {args.command}: {visible(text)}", file=sys.stderr, flush=True)


def writing(args: argparse.Namespace, whole: bool = False) -> Environment:
    """That of a command that changes it; a new one only where that was asked for."""
    create = getattr(args, "create", False)
    if not create:
        require(args.path)
    opens = partial(Environment, args.path, create=create, lock=not args.no_lock)
    return with_room(opens, more=1) if whole else opens()


def require(path: str) -> None:
    """Raise unless there is an environment."""
    if os.path.isdir(path) and is_new(path):
        raise FileNotFoundError(f"the directory {path!r} has no data.mdb")
    if is_new(path):
        raise FileNotFoundError(f"{path!r} does not exist")


def database(
    env: Environment, args: argparse.Namespace, txn: Transaction[Any] | None = None
) -> Database:
    """The database that ``--db`` names."""
    name = None if args.db is None else os.fsencode(args.db)
    try:
        return env.open_db(name, txn, create=getattr(args, "create", False))
    except NotFoundError:
        raise NotFoundError(f"there is no database {args.db!r}") from None
