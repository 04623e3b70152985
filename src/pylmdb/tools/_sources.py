# SPDX-License-Identifier: MIT
"""Environments that are only read: opened by path, or again where they are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._options import DEFAULT_MAX_DBS
from ..environment import Environment

if TYPE_CHECKING:
    from os import PathLike

    Source = Environment | str | bytes | PathLike[str] | PathLike[bytes]


def open_source(source: Source, subdir: bool | None = None, *, lock: bool = True) -> Environment:
    """A read-only Environment of one's own, with room for all named databases."""
    if isinstance(source, Environment):
        flags = source.flags()
        return _open(source.path(), subdir=flags.subdir, lock=flags.lock)
    return _open(source, subdir=subdir, lock=lock)


def _open(path: Any, **options: Any) -> Environment:
    options.update(readonly=True, create=False, map_size=0)
    env = Environment(path, **options)
    count = len(env.dbs())
    if count > DEFAULT_MAX_DBS:
        env.close()
        env = Environment(path, max_dbs=count, **options)
    return env


def data_path(env: Environment) -> bytes:
    """The file that holds the pages."""
    path: bytes = env._options.data_path
    return path
