# SPDX-License-Identifier: MIT
"""The records of a database as a source of ``merge.c``, which writes them to another database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._aliases import CData
    from .._engine import Engine
    from ..database import Database
    from ..transaction import Transaction


class DatabaseSource:
    """The records of a database: a source of a merge."""

    def __init__(self, reader: Transaction[Any], db: Database) -> None:
        self.reader = reader
        self.path = reader.env.path()
        self.cursor = reader.cursor(db)

    def __enter__(self) -> DatabaseSource:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cursor.close()

    def init(self, source: CData, engine: Engine) -> None:
        """Set the cursor and the move function of a ``struct pylmdb_source`` of ``engine``; both
        may be of another engine."""
        cast, other = engine.ffi.cast, self.cursor._engine
        if other.lib is not engine.lib:
            _guard_reads(engine, other)
        source.has_pages = other.lib is engine.lib
        address = other.ffi.addressof(other.lib, "pylmdb_source_move")
        source.move = cast("int (*)(struct pylmdb_source *)", _address(other, address))
        source.cursor = cast("MDB_cursor *", self.cursor._do(lambda ptr: _address(other, ptr)))

    def is_truncated(self) -> bool:
        """Return True if the file was truncated."""
        return bool(self.reader._engine.lib.pylmdb_env_is_truncated(self.reader._shared.ptr))


def _guard_reads(reads: CData, guards: CData) -> None:
    """Let the engine ``guards`` handle SIGBUS in the code of ``reads``, which reads its maps."""
    size = reads.ffi.new("size_t *")
    code = _address(reads, reads.lib.pylmdb_own_code(size))
    guards.lib.pylmdb_guard_code(guards.ffi.cast("void *", code), size[0])


def _address(engine: Engine, address: CData) -> int:
    return int(engine.ffi.cast("uintptr_t", address))
