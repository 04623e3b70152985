# SPDX-License-Identifier: MIT
"""The check of a whole data file, which may be damaged or hostile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._base.keywords import explains_keywords
from .._base.progress import Reporter
from .._environment.report import CheckedDatabase, Finding, Report
from .._environment.verification import verify_file
from .._shared.options import data_path, locate

if TYPE_CHECKING:
    from .._base.progress import Progress

__all__ = ["CheckedDatabase", "Finding", "Report", "verify"]


@explains_keywords
def verify(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    *,
    subdir: bool | None = None,
    progress: Progress = None,
    deep: bool = False,
) -> Report:
    """Check a data file: its meta pages, every page of every tree, the order of the keys, the
    counters, large values, and the list of free pages.

    The check does not use liblmdb and does not trust the file, so a damaged or hostile file
    results in a report.  It knows both data formats, with pages of 256 bytes to 64 KiB.  For
    files of 32-bit programs, of machines with the other byte order, and for encrypted files it
    reports that it cannot check them.  If the pages have checksums (``checksums=True`` of
    ``open``), these are checked; otherwise the bytes of values are not.

    The file is only read, and no lock is taken.  If another process writes to the file
    meanwhile, the check is of the snapshot at its beginning.  If that snapshot seems damaged,
    the file is checked again, up to three times, and ``changed`` is True: the findings may be
    caused by the writes.

    >>> with pylmdb.open("fruit") as env, env.begin(write=True) as txn:
    ...     txn.put(b"apple", b"red")
    True
    >>> pylmdb.verify("fruit").ok
    True

    :param path: as for :func:`pylmdb.open`; str, bytes or PathLike.
    :param subdir: True if ``path`` is a directory with ``data.mdb``, False if it is the data
        file; by default the path decides.
    :param progress: a function that is called, at intervals and at the end, with the number of
        pages that are done and their total number; an exception of it ends the check.  True
        shows a bar (tqdm).
    :param deep: True to read large values, too, which are on pages of their own, and check the
        checksums of these.  ``read`` and ``seconds`` of the report tell the speed.
    :return: a :class:`Report`, whose ``ok`` is True if nothing is damaged.
    :raises PathNotFoundError: the file does not exist.
    :raises OSError: it cannot be opened.
    :raises InvalidError: the file is not a regular file.

    The formats are those of ``MDB_DATA_VERSION`` 1 (LMDB 0.9) and 3 (LMDB 1.0).
    """
    absolute, given_path, is_directory = locate(path, subdir)
    with Reporter(progress, 0, " pages") as reporter:
        return verify_file(
            data_path(absolute, is_directory), given_path, reporter.reach, bool(deep)
        )
