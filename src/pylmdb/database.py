# SPDX-License-Identifier: MIT
"""Database: a handle to one named database, or to the main one."""

from __future__ import annotations

from ._typing import TYPE_CHECKING
from .errors import Error, InvalidParameterError, closed
from .types import DbFlags

if TYPE_CHECKING:
    from typing import Any

    from ._aliases import CData
    from ._core import DbSlot
    from ._shared.environment import SharedEnv
    from .environment import Environment
    from .transaction import Transaction

REVERSEKEY, DUPSORT, INTEGERKEY, DUPFIXED, INTEGERDUP = 0x02, 0x04, 0x08, 0x10, 0x20

_FLAG_NAMES = {
    "reverse_key": REVERSEKEY,
    "dupsort": DUPSORT,
    "integerkey": INTEGERKEY,
    "integerdup": INTEGERDUP,
    "dupfixed": DUPFIXED,
}


def flags_from(**wanted: bool) -> int:
    """The ``mdb_dbi_open`` flags for the keywords of ``open_db``.

    Fixed-size values are duplicates, and integer values have a fixed size.
    """
    flags = 0
    for name, flag in _FLAG_NAMES.items():
        if wanted[name]:
            flags |= flag
    if flags & INTEGERDUP:
        flags |= DUPFIXED
    if flags & DUPFIXED:
        flags |= DUPSORT
    return flags


def flag_words(flags: int) -> DbFlags:
    """``flags`` as the keywords of ``open_db``."""
    return DbFlags({name: bool(flags & flag) for name, flag in _FLAG_NAMES.items()})


def words_of(flags: DbFlags) -> list[str]:
    """The flags that are set."""
    return [word for word, is_set in flags.items() if is_set]


class Database:
    """A handle to a database, returned by :meth:`Environment.open_db`.

    It is a name and flags, good for every transaction of its environment and in
    every thread.  It pickles as these, and finds its database again in a forked
    or another process.  It dies when the database is dropped, when the
    transaction that created it is aborted, and when the environment is closed;
    using it then raises :class:`InvalidParameterError`, also when a database of
    that name exists again.
    """

    # A handle that was never initialised is a closed one.
    _env: Environment | None = None
    _name: bytes | None = None
    _slot: DbSlot | None = None
    _flags = 0

    def __init__(self, env: Environment, name: bytes | None, slot: DbSlot | None) -> None:
        if self._env is not None:
            raise Error("this handle was made already", hint="make another one with open_db()")
        self._env = env
        self._name = name
        self._slot = slot
        self._flags = 0 if slot is None else slot.flags

    @property
    def name(self) -> bytes | None:
        """The name, or None for the main database."""
        return self._name

    @property
    def closed(self) -> bool:
        """True once the handle is dead."""
        slot = self._slot
        if self._env is None or self._env.closed:
            return True
        return slot is not None and not slot.alive and not slot.shared.left_behind

    def flags(self, txn: object = None, /) -> DbFlags:
        """The database's flags, as the keywords of ``open_db``.

        ``txn`` is accepted for compatibility and not used.
        """
        env = self._usable()
        if self._slot is None:
            with env.begin() as reader:
                reader._do(self._load, reader)
        return flag_words(self._flags)

    def _usable(self) -> Environment:
        if self._env is None or self.closed:
            raise closed("database handle", "open the database again with open_db()")
        return self._env

    def _load(self, ptr: CData, txn: Transaction[Any]) -> None:
        txn._slot_in(ptr, self)

    def _slot_for(self, shared: SharedEnv, ptr: CData, txn: Any) -> DbSlot:
        """The native handle in ``shared``; found anew after fork, compact() or unpickling."""
        slot = self._slot
        if slot is not None and slot.alive and slot.shared is shared:
            return slot
        if slot is not None and not slot.shared.left_behind:
            if slot.shared is shared:
                return slot
            raise InvalidParameterError(
                "the database handle belongs to another environment",
                hint="open it in this one with open_db()",
            )
        if self._usable()._use() is not shared:
            raise InvalidParameterError(
                "the database handle belongs to another environment",
                hint="open it in this one with open_db()",
            )
        self._slot = shared.slot_of(ptr, txn, self._name, 0)
        self._flags = self._slot.flags
        return self._slot

    def __reduce__(self) -> tuple[Any, ...]:
        return Database, (self._usable(), self._name, None)

    def __repr__(self) -> str:
        if self._env is None:
            return "<pylmdb.Database never opened>"
        name = "main" if self._name is None else repr(self._name)
        state = " closed" if self.closed else ""
        return f"<pylmdb.Database {' '.join([name, *words_of(flag_words(self._flags))])}{state}>"
