# SPDX-License-Identifier: MIT
"""Look-ups that tell which layout a database has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..._base.words import counted
from ..._environment import catalog as _catalog
from ...errors import BadValsizeError, CorruptedError, InvalidParameterError
from .. import _plain_pickle

if TYPE_CHECKING:
    from ...database import Database
    from ...environment import Environment
    from ...transaction import Transaction
    from .._ordering import Order

#: up to this many records that are not samples are accepted in a database of numbered samples
EXTRA_RECORDS = 16
# what LMDB stores for each record besides its key and value, in bytes
_RECORD_HEADER = 8
# a longer value is not a count
_LONGEST_COUNT = 100


class Recognised(NamedTuple):
    """The layout that a database was found to have.

    :ivar layout: the name of the layout.
    :ivar order: which keys each sample has.
    :ivar sample: what a sample is stored as: ``"value"``, a value in its own format; ``"datum"``, a
        Datum message; ``"pair"``, an image and a text; ``"pairs"``, two values, each in its own
        format; ``"pickle"``, a pickle of plain data.
    """

    layout: str
    order: Order
    sample: str = "value"


class Probe:
    """Look-ups in one database, in a read transaction.

    :ivar flags: the flags of the database, by name.
    :ivar name: the name of the database; None for the main one.
    :ivar entries: the number of records.
    :ivar folder: the directory of the data file, where sidecar files are.
    """

    def __init__(self, env: Environment, txn: Transaction[bytes], db: Database | None) -> None:
        self.env, self.txn, self.db = env, txn, db
        handle = env.open_db() if db is None else db
        self.flags = handle.flags()
        self.name = handle.name
        self.entries = _plausible_entries(env, int(txn.stat(db).entries))
        self.folder = folder_of(env.path())

    def get(self, key: bytes) -> bytes | None:
        return self.txn.get(key, None, self.db)

    def has(self, key: bytes) -> bool:
        try:
            return self.txn.view(key, None, self.db) is not None
        except BadValsizeError:  # no database can have a key of this size
            return False

    def count_in(self, key: bytes) -> int | None:
        """Return the count that a record holds, in digits or pickled; None if it holds none."""
        value = self.get(key)
        if value is None or len(value) > _LONGEST_COUNT:
            return None
        if value.isdigit():
            return int(value)
        try:
            number = _plain_pickle.loads(value)
        except InvalidParameterError:
            return None
        return number if type(number) is int and number >= 0 else None

    def bounds(self, low: bytes, high: bytes) -> tuple[bytes, bytes] | None:
        """Return the first key and the last key with ``low <= key < high``, or None."""
        with self.txn.cursor(self.db) as cursor:
            if not cursor.set_range(low) or cursor.key() >= high:
                return None
            first = cursor.key()
            (cursor.prev if cursor.set_range(high) else cursor.last)()
            return first, cursor.key()

    def ends(self) -> tuple[bytes, bytes] | None:
        """Return the first key and the last key in the order of the database, or None."""
        with self.txn.cursor(self.db) as cursor:
            if not cursor.first():
                return None
            first = cursor.key()
            cursor.last()
            return first, cursor.key()

    def sample_keys(self, prefix: bytes = b"") -> list[bytes]:
        """Return all keys but the names of named databases.  Reads keys, and no values.

        :param prefix: keys without this prefix may be left out.
        """
        names = {*_catalog.keys(self.env, self.txn)} if self.name is None else ()
        by_first_bytes = not (self.flags["integerkey"] or self.flags["reverse_key"])
        keys = self.txn.range(
            prefix=prefix if prefix and by_first_bytes else None, values=False, db=self.db
        )
        return [key for key in keys if key not in names]


def folder_of(path: str) -> str:
    """Return the directory of the sidecar files of an environment, by the path of that."""
    return path if os.path.isdir(path) else os.path.dirname(path)


def _plausible_entries(env: Environment, claimed: int) -> int:
    """Return the number of records that a database claims: that many samples take memory.

    :raises CorruptedError: the file is too small for so many records.
    """
    size = (env.info().last_pgno + 1) * env.stat().psize
    most = size // _RECORD_HEADER
    if claimed > most:
        raise CorruptedError(
            f"{env.path()!r} claims {counted(claimed, 'record')}; its {size} bytes hold at"
            f" most {most}"
        )
    return claimed
