# SPDX-License-Identifier: MIT
"""The check of a data file: a function, and a module of the same name for py-lmdb's users.

``pylmdb.verify(path, *, subdir=None, progress=None, deep=False)`` returns a
:class:`~pylmdb.tools.verification.Report`, whose ``ok`` is True if nothing is damaged;
:func:`pylmdb.tools.verify` documents it.  ``pylmdb.verify.verify(path)`` returns what py-lmdb's
``lmdb.verify.verify`` returns: a list of problems, empty if nothing is damaged.

>>> pylmdb.open("fruit").close()
>>> pylmdb.verify("fruit").ok
True
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from ._base.public_names import directory
from .errors import InvalidError as VerifyError
from .tools import verify as __wrapped__

if TYPE_CHECKING:
    import os
    from typing import Any

    from .tools.verification import Report

__all__ = ["VerifyError", "verify"]
__dir__ = directory(__all__)


def verify(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes], subdir: bool | None = None
) -> list[str]:
    """Check a data file and return a list of problems, one line of text each.

    The list is empty if nothing is damaged.  Findings that are not damage, such as pages that
    nothing uses, are left out.

    :param path: as for :func:`pylmdb.open`; str, bytes or PathLike.
    :param subdir: True if ``path`` is a directory with ``data.mdb``, False if it is the data
        file; by default the path decides.
    :raises InvalidError: the file is not an LMDB data file of a known kind, so it cannot be
        checked.  ``VerifyError`` is another name of this class.
    :raises PathNotFoundError: the file does not exist.
    :raises OSError: it cannot be opened.
    """
    report = __wrapped__(path, subdir=subdir)
    problems = [str(finding) for finding in report.findings if finding.severity == "error"]
    if report.format is None:
        raise VerifyError(f"verify: {report.path!r}: {'; '.join(problems)}")
    if report.errors > len(problems):
        problems.append(f"{report.errors - len(problems):,} more problems")
    return problems


class _CallableModule(ModuleType):
    """A module that can be called like the function ``pylmdb.tools.verify``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Report:
        return __wrapped__(*args, **kwargs)


# inspect.signature() reads the function that is called from the attribute __wrapped__
sys.modules[__name__].__class__ = _CallableModule
