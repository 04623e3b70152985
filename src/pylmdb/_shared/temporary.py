# SPDX-License-Identifier: MIT
"""The directory of a temporary environment, which is removed with the last user.

It is removed when the process closes the native environment, when the interpreter exits, or if
opening fails.  A forked child never removes it.  After a crash the directory stays.
"""

from __future__ import annotations

import atexit
import errno
import os
from itertools import starmap

from .._base.owners import Owner
from .._core_rules.system_errors import Explained
from .._typing import TYPE_CHECKING
from ..errors import path_error
from .opening import no_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    Path = str | bytes | PathLike[str] | PathLike[bytes]


def check_options(
    path: Path | None, temporary: bool, readonly: bool, create: bool, subdir: bool | None
) -> None:
    """Check the options of ``open`` with regard to ``temporary``, or to a path that is left out.

    :raises TypeError: the path is left out without ``temporary``.
    :raises ValueError: options contradict each other.
    """
    if not temporary:
        if path is None:
            raise TypeError(
                "open: path is missing; temporary=True opens an environment without one, which is"
                " removed when it is closed"
            )
        return
    for is_wrong, option, means in (
        (readonly, "readonly=True", "creates a new environment"),
        (not create, "create=False", "creates a new environment"),
        (subdir is not None and not subdir, "subdir=False", "creates a directory"),
    ):
        if is_wrong:
            raise ValueError(f"open: temporary=True {means}; leave {option} out")


class TemporaryDirectory(Owner):
    """Owns a new directory, and removes it with the files of an environment in it.

    :param path: of the directory, which must not exist; None for one in the system's directory
        for temporary files.
    """

    __slots__ = ("_is_private", "_made", "_path", "_pid", "path")

    def __init__(self, path: Path | None) -> None:
        self._is_private = path is None
        if path is None:
            import tempfile  # imported late: it takes milliseconds, and few programs need it

            path = os.path.join(tempfile.gettempdir(), f"pylmdb-{os.urandom(8).hex()}")
        self.path, self._path = path, os.path.abspath(os.fsencode(path))
        self._pid = os.getpid()
        self._made: list[None] = []
        self._is_entered = True  # so that it ends when it is freed

    def make(self, mode: int) -> None:
        """Create it.  In the system's directory for temporary files it is private.

        :param mode: its permissions elsewhere.
        :raises Error: it exists already.
        :raises PathNotFoundError: its parent does not exist.
        """
        atexit.register(self.end)
        name = os.fsdecode(self.path)
        try:
            with Explained("open", name, "created", self._path):
                # one call of C makes it and notes that
                self._made.extend(
                    starmap(os.mkdir, [(self._path, 0o700 if self._is_private else mode)])
                )
        except FileExistsError:
            hint = "temporary=True uses no existing directory, because it removes it at the end"
            raise path_error("open", name, errno.EEXIST, "exists already", hint) from None
        except FileNotFoundError:
            problem = "cannot be opened: its parent directory does not exist"
            raise no_files(name, problem, "create it first") from None

    # It can be called when the interpreter exits and has set the globals of modules to None, so
    # what it needs is bound in parameters.
    def end(
        self,
        getpid: Callable[[], int] = os.getpid,
        unlink: Callable[[bytes], None] = os.unlink,
        rmdir: Callable[[bytes], None] = os.rmdir,
        unregister: Callable[..., None] = atexit.unregister,
    ) -> None:
        """Remove it.  What else was put there stays, and the directory with it."""
        path = self._path
        if self._made and getpid() == self._pid:
            steps = (unlink, path + b"/data.mdb"), (unlink, path + b"/lock.mdb"), (rmdir, path)
            for remove, name in steps:
                try:
                    remove(name)
                except OSError:
                    continue
            self._made.clear()
        unregister(self.end)
