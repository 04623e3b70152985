# SPDX-License-Identifier: MIT
"""Commit batches of samples to one database, and keep the order of the samples.

Samples are read in the order in which they were added.  If that is the order of their keys, nothing
is stored for it.  The first sample out of order makes an index: the database
``order.index_name(db)``, with the key of each sample by its number.  The transaction that writes
the samples also writes the index, so both are right whenever the process ends.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from .._base.words import counted
from .._core_rules.database_flags import words_of
from .._environment import catalog as _catalog
from ..errors import BusyError, Error, IncompatibleError, InvalidParameterError, NotFoundError
from .layouts import order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..cursor import Cursor
    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction

_SLICE = 4096


class BatchWriter:
    """Commits the batches of one Writer to a database.

    :param ordered: True to keep the order of the samples if it is not that of the keys.
    :ivar index_name: the name of the index, which is not accepted as a key.
    :ivar count: the number of committed records; the names of databases do not count.
    """

    def __init__(self, env: Environment, name: bytes | None, ordered: bool) -> None:
        self.env, self._name, self._ordered = env, name, ordered
        self._db = env.open_db(name)
        self.index_name = order.index_name(name)
        self._index: Database | None = None
        self._check_flags()
        with env.begin() as txn:
            with suppress(NotFoundError):
                self._index = env.open_db(self.index_name, txn=txn, create=False)
            self._snapshot = txn.id()
            named = env.dbs(txn) if name is None else []
            self.count: int = int(txn.stat(self._db).entries) - len(named)
            if self._index is not None and txn.stat(self._index).entries != self.count:
                raise InvalidParameterError(
                    f"{env.path()!r} has {counted(self.count, 'record')}, but the database"
                    f" {self.index_name!r} has {txn.stat(self._index).entries}; it must have one"
                    " for each",
                    hint="drop that database to read the samples in the order of their keys",
                )

    def _check_flags(self) -> None:
        words = words_of(self._db.flags())
        if words:
            raise IncompatibleError(
                f"{self.env.path()!r}: the database has {', '.join(words)}; a Writer writes to"
                " databases without such flags"
            )

    def get(self, key: bytes) -> bytes | None:
        """Return the committed value of a key."""
        with self.env.begin() as txn:
            return txn.get(key, None, self._db)

    def commit(
        self, records: Iterable[tuple[bytes, Any]], others: Iterable[tuple[bytes, Any]] = ()
    ) -> None:
        """Commit records in key order.

        If a key occurs twice, the last value is stored at the position of the first.

        :param records: the samples.
        :param others: records that are not samples, such as the count.
        :raises BusyError: another program has written to the file.
        """
        found, others = dict(records), [*others]
        if not found and not others:
            return
        ordered = sorted(found)
        with self.env.begin(self._db, write=True) as txn:
            self._check_no_other_writer(txn)
            cursor = txn.cursor()
            if self._ordered:
                self._update_index(txn, cursor, [*found], ordered)
            before = txn.stat().entries
            append = bool(ordered) and (not cursor.last() or ordered[0] > cursor.key())
            written, _ = cursor.putmulti([(key, found[key]) for key in ordered], append=append)
            if written != len(ordered):
                raise Error(f"mdb_cursor_put wrote {written} of {counted(len(ordered), 'record')}")
            count = self.count + txn.stat().entries - before
            cursor.putmulti(others)
        self._snapshot, self.count = self._snapshot + 1, count

    def _check_no_other_writer(self, txn: Transaction[Any]) -> None:
        if txn.id() != self._snapshot + 1:
            raise BusyError(
                f"{self.env.path()!r}: another program has written to it; a data set has one Writer"
                " at a time",
                hint="this batch was not written; continue with another Writer(exist='extend')",
            )

    def _update_index(
        self, txn: Transaction[Any], cursor: Cursor[Any], added: list[bytes], ordered: list[bytes]
    ) -> None:
        """Add keys to the index, which is made when the first key is out of order."""
        last = cursor.key() if cursor.last() else b""
        if added == ordered and ordered[:1] > [last]:
            new, in_order = added, True
        else:
            new = [key for key in added if not cursor.set_key(key)]
            in_order = not new or (new[0] > last and new == sorted(new))
        if self._index is None and not in_order:
            self._index = self.env.open_db(self.index_name, txn=txn)
            databases = {*_catalog.keys(self.env, txn)} if self._name is None else ()
            keys = (key for key in txn.range(values=False, db=self._db) if key not in databases)
            self._append_to_index(txn, keys, 0)
        if self._index is not None:
            self._append_to_index(txn, new, self.count)

    def _append_to_index(self, txn: Transaction[Any], keys: Iterable[bytes], start: int) -> None:
        """Append keys to the index, with numbers from ``start`` on."""
        cursor = txn.cursor(self._index)
        records = order.index_records(keys, start)
        while batch := [*islice(records, _SLICE)]:
            cursor.putmulti(batch, append=True)
