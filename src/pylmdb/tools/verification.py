# SPDX-License-Identifier: MIT
"""The check of a data file, from end to end and without trust in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._environment.report import CheckedDatabase, Finding, Report
from .._environment.verification import verify_file
from .._shared.options import data_path, locate
from .progress import Reporter

if TYPE_CHECKING:
    from .progress import Progress

__all__ = ["CheckedDatabase", "Finding", "Report", "verify"]


def verify(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    *,
    subdir: bool | None = None,
    progress: Progress = None,
) -> Report:
    """Check a data file: its meta pages, every page of every tree, the order of the keys, the
    counters, large values, and the list of free pages.

    liblmdb has no part in it, and what the file says is not believed, so a damaged or hostile
    file ends in a report.  Both formats are known, with pages of 256 bytes to 64 KiB; files of
    32-bit programs, of machines with the other byte order, and encrypted ones are refused with a
    finding.  The bytes of values are not looked at: LMDB keeps no checksum of them.

    No lock is taken, and the file is only read.  A file that is written to meanwhile is checked
    as it was at the beginning; if it seems damaged then, it is checked again, up to three times,
    and ``changed`` says that what was found may be due to that.

    :param path: as for :func:`pylmdb.open`; str, bytes or PathLike.
    :param subdir: True if ``path`` is a directory with ``data.mdb`` in it, False if it is the
        data file; left out, the path decides.
    :param progress: is called with the number of pages that are done and that of all, now and
        then and at the end; what it raises ends the check.  True shows a bar (tqdm).
    :return: a :class:`Report`, whose ``ok`` is True if nothing is damaged.
    :raises OSError: the file cannot be opened; FileNotFoundError if there is none.
    :raises InvalidError: it is not a regular file.

    The formats are those of ``MDB_DATA_VERSION`` 1 (LMDB 0.9) and 3 (LMDB 1.0).
    """
    absolute, given_path, is_directory = locate(path, subdir)
    with Reporter(progress, 0, " pages") as reporter:
        tell = reporter.reach if progress else None
        return verify_file(data_path(absolute, is_directory), given_path, tell)
