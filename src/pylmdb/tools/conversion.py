# SPDX-License-Identifier: MIT
"""From one data format to the other."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ..errors import error
from .destination import is_new
from .merging import merge

if TYPE_CHECKING:
    from os import PathLike

    from .progress import Progress
    from .sources import Source


def convert(
    source: Source,
    dest: str | bytes | PathLike[str] | PathLike[bytes],
    lib_version: int,
    progress: Progress = None,
    *,
    subdir: bool | None = None,
) -> int:
    """Write a new environment in the data format of another LMDB release line.

    It has the same databases with the same flags and records, and no free pages.

    :param source: a path or an open Environment; it is not changed.
    :param dest: a path at which there is nothing yet.
    :param lib_version: 0 for the format of LMDB 0.9, which every LMDB program reads; 1 for
        that of 1.0.
    :param progress: as for :func:`pylmdb.merge`.
    :param subdir: whether the new one is a directory; by default as the source is.
    :returns: the number of records.
    :raises Error: ``dest`` exists.
    :raises BadValsizeError: a key is longer than 511 bytes, the most that 0.9 takes.
    """
    if not is_new(dest):
        raise error(
            "convert: the destination", errno.EEXIST, "name a path at which there is nothing yet"
        )
    return merge([source], dest, progress=progress, subdir=subdir, lib_version=lib_version)
