# SPDX-License-Identifier: MIT
"""Conversion of an environment from one data format to the other."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from .._base.keywords import explains_keywords
from ..environment import Environment
from ..errors import error
from .destination import is_new
from .merging import merge
from .sources import require_source

if TYPE_CHECKING:
    from os import PathLike

    from .._base.progress import Progress
    from .sources import Source


@explains_keywords
def convert(
    source: Source,
    dest: str | bytes | PathLike[str] | PathLike[bytes],
    lib_version: int,
    progress: Progress = None,
    *,
    subdir: bool | None = None,
) -> int:
    """Write a new environment in the data format of another LMDB release line.

    The new environment has the same databases, flags and records, and no free pages.

    :param source: a path or an open Environment; it is not changed.
    :param dest: a path that does not exist, or a directory without ``data.mdb``.
    :param lib_version: 0 for the format of LMDB 0.9, which every LMDB program reads; 1 for
        that of 1.0.
    :param progress: as for :func:`pylmdb.merge`.
    :param subdir: True to make a directory, False for a single file; by default as the source.
    :return: the number of records.
    :raises PathNotFoundError: ``source`` does not exist.
    :raises PathExistsError: ``dest`` exists.
    :raises BadValsizeError: a key is longer than 511 bytes, the limit of 0.9.
    """
    require_source("convert", source)
    if not is_new(dest):
        path = dest.path() if isinstance(dest, Environment) else os.fsdecode(dest)
        raise error(f"convert: {path!r}", errno.EEXIST, "name a path that does not exist")
    return merge([source], dest, progress=progress, subdir=subdir, lib_version=lib_version)
