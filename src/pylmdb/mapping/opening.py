# SPDX-License-Identifier: MIT
"""Opening and closing a Map: dbm's flags, blocks in an open transaction, the closed state."""

from __future__ import annotations

from .._shared.options import require_data_file
from .._typing import TYPE_CHECKING
from ..environment import Environment
from ..errors import closed

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import Any, NoReturn, TypedDict

    from ..transaction import Transaction
    from ..types import Reader

    class OpenOptions(TypedDict, total=False):
        """The options of an Environment that :meth:`Map.open` passes on."""

        max_map_size: int | None
        subdir: bool | None
        readonly: bool
        metasync: bool
        sync: bool
        map_async: bool
        create: bool
        readahead: bool
        writemap: bool
        meminit: bool
        max_readers: int
        max_dbs: int | None
        max_spare_txns: int
        lock: bool
        lib_version: int | None
        page_size: int | None
        checksums: bool
        guard: bool
        verify: bool
        temporary: bool
        on_slow_reader: Callable[[Reader], object] | None
        slow_reader: tuple[int | None, float | None]

    class EnvironmentOptions(OpenOptions, total=False):
        """All options of an Environment."""

        map_size: int | None
        mode: int


def open_environment(
    path: str | bytes | PathLike[str] | PathLike[bytes], flag: str, options: EnvironmentOptions
) -> Environment:
    """Open an environment by one of dbm's flags: ``r``, ``w``, ``c`` or ``n``."""
    if flag in "rw":
        require_data_file("Map", path, options.get("subdir"))
        options = {**options, "create": False}
    if flag == "r":
        options = {**options, "readonly": True}
    return Environment(path, **options)


class ExistingTransaction:
    """A context manager that returns an open transaction, and does not end it."""

    __slots__ = ("_txn",)

    def __init__(self, txn: Transaction[Any]) -> None:
        self._txn = txn

    def __enter__(self) -> Transaction[Any]:
        return self._txn

    def __exit__(self, *exc: object) -> None:
        pass


class _ClosedEnvironment:
    """Replaces the environment of a closed Map; its methods raise ClosedError."""

    closed, readonly = True, False
    _shared = None

    def close(self) -> None:
        pass

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise closed("map", "make a new Map")

    begin = dbs = path = sync = _refuse


CLOSED: Any = _ClosedEnvironment()
