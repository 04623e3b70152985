# SPDX-License-Identifier: MIT
"""Storing records in any order: they are sorted first, and written in key order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from struct import calcsize, pack, unpack
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from .._base.buffers import freeze_bytes
from .._base.flags import DATABASE_FLAGS, MDB_INTEGERKEY
from .._base.keywords import explains_keywords, parameters, refuse_unknown
from .._base.owners import enter
from .._base.progress import Reporter
from .._base.words import counted
from .._core_rules.database_flags import flags_from
from .._core_rules.failures import database_error
from .._environment import catalog as _catalog
from .._which_core import pack_records
from ..database import Database
from ..errors import InvalidParameterError
from .destination import Destination, NewFile
from .merging import check_conflict
from .sorting import BATCH_MEMORY, Sorting, parse_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .._aliases import CData
    from .._array_methods import Keys
    from .._base.progress import Progress
    from .._core import DbSlot
    from ..transaction import Transaction
    from ..types import BytesLike
    from .sources import Source

    Records = Iterable[tuple[BytesLike, BytesLike]] | tuple[Keys, NDArray[Any]]

# bytes of a batch of records, and of a size_t
_BATCH_SIZE, _WIDTH = BATCH_MEMORY // 4, calcsize("N")
# how many databases load_sections() may write; the number is known only at the end
_MAX_DATABASES = 1 << 16


@explains_keywords
def bulk_load(
    dest: Source,
    records: Records,
    db: bytes | Database | None = None,
    *,
    memory: int | str = "1 GiB",
    on_conflict: Literal["error", "first", "last"] = "last",
    progress: Progress = None,
    key_format: str | bytes | None = None,
    subdir: bool = True,
    lib_version: int | None = None,
    page_size: int | None = None,
    checksums: bool = False,
    **flags: bool,
) -> int:
    """Store records in any order and of any number: all or none.

    They are sorted first, then written in key order.  So pages are full, and each is written
    once.  A new environment gets its name when it is complete.  Into an existing one everything
    is written in one transaction, which begins when all records have been read.

    >>> records = [(b"b", b"2"), (b"a", b"1"), (b"b", b"3")]         # or a generator
    >>> pylmdb.bulk_load("loaded", records, on_conflict="first")
    2

    :param dest: a path or an open Environment.
    :param records: an iterable of pairs of key and value.  Or a tuple of two: keys as
        :meth:`Transaction.put_arrays` takes them, and a numpy array with a row for each key.
    :param db: the database: its name, a handle of ``dest``, or None for the main one.  It is
        created if it does not exist.
    :param memory: how much memory is used for records: bytes, or a text such as ``"512 MiB"``.
        If they need more, they are sorted in parts, which are stored in temporary files beside
        the destination.  In addition, a transaction needs memory for the pages that it writes,
        and a record of more than 1 MiB three times its size while it is read.
    :param on_conflict: what happens to a key with different values: ``"last"`` and ``"first"``
        keep the last or the first value, ``"error"`` raises.  A value that the database has
        already counts as before all records.  A database with duplicates keeps all values.
    :param progress: a function that is called with the number of steps that are done and their
        number; True shows a bar (tqdm).  Each record is one step when it is read, and one when
        it is written.  The number of steps is 0 until it is known.
    :param key_format: makes text of keys that are integers, as for ``put_arrays``.
    :param subdir: False to make a new environment as a single file.
    :param lib_version: the data format of a new environment, as for ``open``.
    :param page_size: the page size of a new environment, as for ``open``.
    :param checksums: True to give the pages of a new environment checksums, as for ``open``.
    :param flags: ``reverse_key``, ``dupsort``, ``integerkey``, ``integerdup``, ``dupfixed`` as for
        :meth:`Environment.open_db`.  Without any, an existing database keeps those that it has.
    :return: the number of records written; of several with one key, only one may be.
    :raises TypeError: a record is not a pair of bytes; the message has its number (from 0).
    :raises BadValsizeError: the database does not take a key or a value.
    :raises KeyExistsError: a key has different values, and ``on_conflict`` is ``"error"``.
    :raises IncompatibleError: the database exists with other flags.
    """
    check_conflict("bulk_load", on_conflict)
    room = parse_memory(memory) - BATCH_MEMORY
    new_file = NewFile(lib_version, page_size, bool(checksums))
    name, wanted = _database(dest, db, flags)
    if isinstance(records, Mapping) or not isinstance(records, Iterable):
        hint = "; use its items()" if isinstance(records, Mapping) else ""
        raise TypeError(
            "bulk_load: records must be an iterable of pairs of key and value, not"
            f" {type(records).__name__}{hint}"
        )
    arrays = _pair_of_arrays(records)
    with ExitStack() as stack:
        target = enter(stack, Destination(dest, subdir, new_file, name is not None))
        target.open()
        if name is not None:
            name = _catalog.checked_name(name, target.env.lib_version()[0])
        slot = target.slot("bulk_load", name, wanted)
        reporter = stack.enter_context(Reporter(progress, 0, " records"))
        sorting = stack.enter_context(
            Sorting("bulk_load", target, name, slot.flags, on_conflict, room, reporter)
        )
        loading = _Loading("bulk_load", target, sorting, slot)
        if arrays is not None:
            loading.prepare(*arrays, key_format)
        with target.paused():
            if arrays is not None:
                loading.read_arrays()
            else:
                loading.read(cast("Iterable[tuple[BytesLike, BytesLike]]", records))
        written = sorting.write()
        target.finish()
        return written


class Section(NamedTuple):
    """A database for :func:`load_sections`.

    :ivar name: None for the main database.
    :ivar flags: of a new database; an existing one must have them.  None: any.
    :ivar records: a function that is called with the transaction and the database, and returns
        an iterable of pairs of key and value.
    """

    name: bytes | None
    flags: int | None
    records: Callable[[Transaction[Any], Database], Iterable[tuple[bytes, bytes]]]


def load_sections(
    dest: Source,
    sections: Iterable[Section],
    *,
    memory: int | str = "1 GiB",
    on_conflict: Literal["error", "first", "last"] = "last",
    progress: Progress = None,
    subdir: bool = True,
    lib_version: int | None = None,
    page_size: int | None = None,
    checksums: bool = False,
) -> int:
    """Store the records of several databases, as :func:`bulk_load` does: all or none.

    The records of each section are read before the next section.
    """
    room, written = parse_memory(memory) - BATCH_MEMORY, 0
    new_file = NewFile(lib_version, page_size, bool(checksums))
    with ExitStack() as stack:
        target = enter(stack, Destination(dest, subdir, new_file, _MAX_DATABASES))
        target.open()
        reporter = stack.enter_context(Reporter(progress, 0, " records"))
        for section in sections:
            name = section.name
            if name is not None:
                name = _catalog.checked_name(name, target.env.lib_version()[0])
            slot = target.slot("load", name, section.flags)
            with Sorting("load", target, name, slot.flags, on_conflict, room, reporter) as sorting:
                db = target.env.open_db(name, target.txn, create=False)
                _Loading("load", target, sorting, slot).read(section.records(target.txn, db))
                written += sorting.write()
        target.finish()
        return written


def _database(
    dest: Source, db: bytes | Database | None, flags: dict[str, bool]
) -> tuple[bytes | None, int | None]:
    """Return the name of the database, and its flags, None if the caller gives none."""
    if isinstance(db, Database):
        if db._env is not dest:
            raise InvalidParameterError(
                "bulk_load: the database handle belongs to another environment than dest",
                hint="give the name of the database",
            )
        db.flags()
        name = db.name
    else:
        name = db
    refuse_unknown("bulk_load", flags, [*parameters(bulk_load), *DATABASE_FLAGS])
    return name, flags_from(**dict.fromkeys(DATABASE_FLAGS, False) | flags) if flags else None


def _pair_of_arrays(records: Records) -> tuple[Keys, NDArray[Any]] | None:
    """Return ``records`` if it is a pair of keys and an array, else None."""
    if isinstance(records, tuple) and len(records) == 2:
        keys, values = records
        if hasattr(type(values), "__array_interface__"):
            return cast("tuple[Keys, NDArray[Any]]", (keys, values))
    return None


class _Loading:
    """Reads records and adds them to a :class:`Sorting`."""

    def __init__(self, what: str, target: Destination, sorting: Sorting, slot: DbSlot) -> None:
        self._what, self._target, self._sorting, self._slot = what, target, sorting, slot
        self._engine = target.env._use().engine

    # -- an iterable of pairs --

    def read(self, records: Iterable[tuple[BytesLike, BytesLike]]) -> None:
        """Add all records of an iterable."""
        iterator, number = iter(records), 0
        while True:
            keys, key_ends, values, value_ends, other = pack_records(iterator, _BATCH_SIZE)
            count = len(key_ends) // _WIDTH
            self._add_packed(keys, key_ends, values, value_ends, number)
            number += count
            if other is not None:
                key, value = _pair_of(number, other[0])
                ends = pack("N", len(key)), pack("N", len(value))
                self._add_packed(key, ends[0], value, ends[1], number)
                number += 1
            elif not count:
                return

    def _add_packed(
        self, keys: bytes, key_ends: bytes, values: bytes, value_ends: bytes, number: int
    ) -> None:
        count = len(key_ends) // _WIDTH
        added, code = self._add(self._block(keys, key_ends), self._block(values, value_ends), count)
        if code:
            parts = [
                data[ends[added - 1] if added else 0 : ends[added]]
                for data, ends in (
                    (keys, unpack(f"{count}N", key_ends)),
                    (values, unpack(f"{count}N", value_ends)),
                )
            ]
            raise self._refused(code, number + added, parts[0], len(parts[1]))

    def _block(self, data: bytes, ends: bytes) -> tuple[CData, ...]:
        """Return a ``struct pylmdb_keys *``, and the objects that it points to."""
        ffi, count = self._engine.ffi, len(ends) // _WIDTH
        begin, stops = ffi.from_buffer(data), ffi.from_buffer("size_t[]", ends)
        fields = {"bytes": begin, "ends": stops, "count": count}
        return ffi.new("struct pylmdb_keys *", fields), begin, stops

    def _add(self, keys: tuple[Any, ...], values: tuple[Any, ...], count: int) -> tuple[int, int]:
        """Add records; return how many were added, and the code of the one after them."""
        function = self._engine.lib.pylmdb_sorter_add_rows

        def add(sorter: CData, first: int, done: CData) -> int:
            return int(function(sorter, keys[0], values[0], first, done))

        return self._sorting.add(add, count)

    def _refused(self, code: int, number: int, key: bytes, size: int) -> Exception:
        if code == self._engine.lib.MDB_BAD_VALSIZE:
            what = f"{self._what}: record {number}, key {key[:64]!r}"
            return database_error(what, code, self._slot, key, size, what)
        return MemoryError()

    # -- arrays --

    def prepare(self, keys: Keys, values: NDArray[Any], key_format: str | bytes | None) -> None:
        """Check the arguments while there is a transaction."""
        from ..arrays import keys as array_keys
        from ..arrays import npy

        values = npy.storable(values)
        if values.ndim < 1 or len(values) != len(keys):
            raise InvalidParameterError(
                f"bulk_load: values has shape {values.shape}; it must have a row for each of"
                f" {counted(len(keys), 'key')}"
            )
        self._keys, self._values, self._key_format = keys, values, key_format
        first = array_keys.batch(keys[:1], key_format, self._engine)
        self._width = 0
        if isinstance(first, array_keys.Numbers) and self._slot.flags & MDB_INTEGERKEY:
            self._width = self._target.txn._do(
                lambda ptr: array_keys.for_database(first, ptr, self._slot, self._engine).width
            )

    def read_arrays(self) -> None:
        """Add the records of the arrays."""
        from ..arrays import keys as array_keys
        from ..arrays import npy

        values, ffi = self._values, self._engine.ffi
        size = values[:1].nbytes
        step = max(1, _BATCH_SIZE // (size + 16))
        for begin in range(0, len(values), step):
            end = begin + step
            batch = array_keys.batch(self._keys[begin:end], self._key_format, self._engine)
            keys = batch.keys(self._width) if isinstance(batch, array_keys.Numbers) else batch
            data = ffi.from_buffer(npy.without_fields(values[begin:end]).tobytes())
            fields = {"bytes": data, "count": keys.count, "width": size}
            block = ffi.new("struct pylmdb_keys *", fields)
            added, code = self._add(keys.native(ffi), (block, data), keys.count)
            if code:
                raise self._refused(code, begin + added, keys[added], size)


def _pair_of(number: int, record: Iterable[BytesLike]) -> tuple[bytes, bytes]:
    """Return the key and the value of a record that is not a tuple, or refuse it."""
    try:
        key, value = record
    except (TypeError, ValueError) as problem:
        found = type(record).__name__
        if isinstance(record, (tuple, list)):
            found = f"a {found} of {len(record)}"
        raise TypeError(
            f"bulk_load: record {number} must be a pair of key and value, not {found}"
        ) from problem
    try:
        return freeze_bytes("key", key), freeze_bytes("value", value)
    except TypeError as problem:
        raise TypeError(f"bulk_load: record {number}: {problem}") from None
