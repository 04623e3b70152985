# SPDX-License-Identifier: MIT
"""What is installed: the versions of pylmdb and liblmdb, how they were built, the C API."""

from __future__ import annotations

import os

from .._base.integers import integer
from .._typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from typing import Any, Literal


@overload
def version(
    subpatch: Literal[False] = False, lib_version: int | None = None
) -> tuple[int, int, int]: ...
@overload
def version(
    subpatch: Literal[True], lib_version: int | None = None
) -> tuple[int, int, int, int]: ...
@overload
def version(subpatch: bool, lib_version: int | None = None) -> tuple[int, ...]: ...
def version(subpatch: bool = False, lib_version: int | None = None) -> tuple[int, ...]:
    """Return the version of a built-in liblmdb, as (major, minor, patch).

    >>> pylmdb.version(lib_version=0), pylmdb.version(lib_version=1)
    ((0, 9, 36), (1, 0, 2))

    :param subpatch: True to append 1 if it is hardened beyond its release, else 0.
    :param lib_version: 0 for the 0.9 engine, 1 for the 1.0 one; by default the
        engine for new files.
    :raises Error: the engine is not built in.
    :raises OverflowError: ``lib_version`` is negative.

    ``mdb_version``.
    """
    from .. import _engine

    if lib_version is None or lib_version == -1:
        engine = _engine.default()
    else:
        lib_version = integer("lib_version", lib_version)
        if lib_version < 0:
            raise OverflowError(f"lib_version must be 0 or 1, not {lib_version}")
        engine = _engine.of_major(lib_version)
    return (*engine.version, int(engine.hardened)) if subpatch else engine.version


def lib_versions() -> dict[int, tuple[int, int, int]]:
    """Return the versions of all built-in liblmdb, by what ``lib_version=`` of :func:`open`
    takes: ``{0: (0, 9, 36), 1: (1, 0, 2)}``.

    ``mdb_version``.
    """
    from .. import _engine

    return {engine.version[0]: engine.version for engine in _engine.engines()}


def build_info() -> dict[str, Any]:
    """Return how pylmdb was built, for reports of faults.

    The keys are ``version`` (of pylmdb), ``core`` (``"c"`` or ``"cffi"``), ``c_api`` (the major
    and minor number of the C API; None if this process has none), ``lib_versions``, ``hardened``
    (False if it was built against the system's liblmdb, without pylmdb's changes), and
    ``compiler`` (None without compiled core).  Later versions can add keys.
    """
    from .. import _engine
    from .._version import __version__
    from .._which_core import NAME, compiled

    return {
        "version": __version__,
        "core": NAME,
        "c_api": getattr(compiled, "C_API_VERSION", None) if NAME == "c" else None,
        "lib_versions": lib_versions(),
        "hardened": all(engine.hardened for engine in _engine.engines()),
        "compiler": getattr(compiled, "COMPILER", None),
    }


def get_include() -> str:
    """Return the directory of ``pylmdb.h``, the header of the C API, to compile extensions with.

    The C API needs CPython and the C core.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.join(package, "include")
