# SPDX-License-Identifier: MIT
"""Database: a handle to one named database, or to the main one."""

from __future__ import annotations

from ._typing import TYPE_CHECKING
from ._which_core import DatabaseCore, publish

# Other modules are imported in functions, so that the import of pylmdb is fast.
if TYPE_CHECKING:
    from typing import Any

    from ._aliases import CData
    from ._core import DbSlot
    from ._shared.environment import SharedEnv
    from .environment import Environment
    from .transaction import Transaction
    from .types import DbFlags


@publish
class Database(DatabaseCore):
    """A handle to a database (``MDB_dbi``), returned by :meth:`Environment.open_db`.

    It has a name and flags, and works in every transaction of its environment and
    in every thread.  It pickles as the environment and the name, and finds its
    database again in a forked or another process.  It is dead once the database was
    dropped or renamed, the transaction that created the database was aborted, or the
    environment was closed.  Using a dead handle raises :class:`InvalidParameterError` or
    :class:`ClosedError`, even if a database with the same name exists again.

    >>> env = pylmdb.open("fruit")
    >>> tags = env.open_db(b"tags", dupsort=True)
    >>> tags.name, tags.flags().dupsort
    (b'tags', True)
    """

    __slots__ = ()

    def __init__(self, env: Environment, name: bytes | None, slot: DbSlot | None) -> None:
        if self._env is not None:
            from .errors import Error

            raise Error("this handle was opened already", hint="open another one with open_db()")
        self._env = env
        self._name = name
        self._slot = slot

    @property
    def name(self) -> bytes | None:
        """The name, or None for the main database."""
        return self._name

    @property
    def closed(self) -> bool:
        """True once the handle is dead, or its environment closed."""
        slot = self._slot
        if self._env is None or self._env.closed:
            return True
        return slot is not None and not slot.alive and not slot.shared.left_behind

    def flags(self, txn: object = None, /) -> DbFlags:
        """Return the database's flags, as the keywords of ``open_db``.

        :param txn: not used; it is accepted because py-lmdb has it.
        :raises ClosedError: the handle is dead, or its environment closed.

        ``mdb_dbi_flags``.
        """
        from ._core_rules.database_flags import flag_words

        env = self._usable()
        if self._slot is None:
            with env.begin() as reader:
                reader._do(self._load, reader)
        return flag_words(self._flags)

    @property
    def _flags(self) -> int:
        return 0 if self._slot is None else self._slot.flags

    def _usable(self) -> Environment:
        if self._env is None or self.closed:
            from .errors import closed

            raise closed("database handle", "open the database again with open_db()")
        return self._env

    def _load(self, ptr: CData, txn: Transaction[Any]) -> None:
        txn._slot_in(ptr, self)

    def _slot_for(self, shared: SharedEnv, ptr: CData, txn: Any) -> DbSlot:
        """The slot in ``shared``; it is looked up again after fork, compact() or unpickling."""
        slot = self._slot
        if slot is not None and slot.alive and slot.shared is shared:
            return slot
        if slot is not None and not slot.shared.left_behind:
            if slot.shared is shared:
                return slot
            raise _belongs_elsewhere()
        if self._usable()._use() is not shared:
            raise _belongs_elsewhere()
        slot = self._slot = shared.slot_of(ptr, txn, self._name, 0)
        return slot

    def __reduce__(self) -> tuple[Any, ...]:
        return Database, (self._usable(), self._name, None)

    def __repr__(self) -> str:
        if self._env is None:
            return "<pylmdb.Database never opened>"
        from ._core_rules.database_flags import flag_words, words_of

        words = " ".join([self._label, *words_of(flag_words(self._flags))])
        state = " closed" if self.closed else ""
        return f"<pylmdb.Database {words} of {self._env._options.given_path!r}{state}>"

    @property
    def _label(self) -> str:
        """The name as ``repr`` shows it."""
        from ._base.buffers import short_repr

        return "main" if self._name is None else short_repr(self._name)


def _belongs_elsewhere() -> Exception:
    from .errors import InvalidParameterError

    return InvalidParameterError(
        "the database handle belongs to another environment",
        hint="open it in this one with open_db()",
    )
