# SPDX-License-Identifier: MIT
"""The versions of the built-in liblmdb."""

from __future__ import annotations

from .._typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from typing import Literal


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
        if lib_version < 0:
            raise OverflowError(f"lib_version must be 0 or 1, not {lib_version}")
        engine = _engine.of_major(lib_version)
    return (*engine.version, int(engine.hardened)) if subpatch else engine.version
