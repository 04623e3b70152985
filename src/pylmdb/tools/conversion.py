# SPDX-License-Identifier: MIT
"""Conversion of an environment to another data format or page size, or with checksums."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from .._base.keywords import explains_keywords
from ..environment import Environment
from ..errors import error
from .destination import is_new
from .merging import write_all
from .sources import require_source

if TYPE_CHECKING:
    from os import PathLike

    from .._base.progress import Progress
    from .sources import Source


@explains_keywords
def convert(
    source: Source,
    dest: str | bytes | PathLike[str] | PathLike[bytes],
    lib_version: int | None = None,
    progress: Progress = None,
    *,
    subdir: bool | None = None,
    page_size: int | None = None,
    checksums: bool | None = None,
) -> int:
    """Write a new environment in another data format, with another page size, or with checksums.

    The new environment has the same databases, flags and records, and no free pages.

    >>> with pylmdb.open("fruit") as env, env.begin(write=True) as txn:
    ...     txn.put(b"apple", b"red")
    True
    >>> pylmdb.convert("fruit", "newer", lib_version=1)      # the number of records
    1

    :param source: a path or an open Environment; it is not changed.
    :param dest: a path that does not exist, or a directory without ``data.mdb``.
    :param lib_version: 0 for the format of LMDB 0.9, which every LMDB program reads; 1 for
        that of 1.0; left out, the format of the source.
    :param progress: as for :func:`pylmdb.merge`.
    :param subdir: True to make a directory, False for a single file; by default as the source.
    :param page_size: in bytes, as for ``open``; left out, the page size of the system.
    :param checksums: True to give the pages checksums, False to leave them out; by default as the
        source, if the data format can.
    :return: the number of records.
    :raises PathNotFoundError: ``source`` does not exist.
    :raises PathExistsError: ``dest`` exists.
    :raises BadValsizeError: a key is longer than the new environment allows: 511 bytes with 0.9,
        less than half of a page with 1.0.
    """
    require_source("convert", source)
    if not is_new(dest):
        path = dest.path() if isinstance(dest, Environment) else os.fsdecode(dest)
        raise error(f"convert: {path!r}", errno.EEXIST, "name a path that does not exist")
    return write_all(
        "convert", [source], dest, "error", progress, subdir=subdir, lib_version=lib_version,
        page_size=page_size, checksums=checksums,
    )  # fmt: skip
