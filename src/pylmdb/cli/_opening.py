# SPDX-License-Identifier: MIT
"""Opening what a command is about: read-only unless it must write, and never a new one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .._options import DEFAULT_MAX_DBS
from ..environment import Environment
from ..errors import NotFoundError
from ..tools._destination import is_new
from ..tools._sources import open_source

if TYPE_CHECKING:
    import argparse


def reading(args: argparse.Namespace) -> Environment:
    """The environment of a command that changes nothing."""
    require(args.path)
    return open_source(args.path, lock=not args.no_lock)


def writing(args: argparse.Namespace) -> Environment:
    """That of a command that changes it; a new one only where that was asked for."""
    create = getattr(args, "create", False)
    if not create:
        require(args.path)
    options: dict[str, Any] = {"create": create, "lock": not args.no_lock}
    env = Environment(args.path, **options)
    count = len(env.dbs())
    if count >= DEFAULT_MAX_DBS:
        env.close()
        env = Environment(args.path, max_dbs=count + 1, **options)
    return env


def require(path: str) -> None:
    """Raise unless there is an environment."""
    if is_new(path):
        there = "a directory without data.mdb" if os.path.isdir(path) else "nothing"
        raise FileNotFoundError(f"{path!r} is no environment: there is {there}")


def database(env: Environment, args: argparse.Namespace, txn: Any = None) -> Any:
    """The database that ``--db`` names."""
    name = None if args.db is None else os.fsencode(args.db)
    try:
        return env.open_db(name, txn, create=getattr(args, "create", False))
    except NotFoundError:
        raise NotFoundError(f"there is no database {args.db!r}") from None
