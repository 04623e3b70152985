# SPDX-License-Identifier: MIT
"""What the calls of pylmdb return beside bytes: dicts with named fields.

py-lmdb returns plain dicts, so these are dicts and print like dicts; each key can also be
read as an attribute: ``env.stat()["entries"]`` and ``env.stat().entries`` are the same.
"""

from __future__ import annotations

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from ._aliases import BytesLike as BytesLike
    from ._aliases import ValueT as ValueT
else:

    def __getattr__(name):
        if name not in ("BytesLike", "ValueT"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import _aliases  # costs milliseconds, and few programs ask

        return getattr(_aliases, name)


class Record(dict[str, "Any"]):
    """A dict whose keys can be read as attributes."""

    __slots__ = ()

    if not TYPE_CHECKING:  # which knows the fields of each, and would believe in any

        def __getattr__(self, name):
            try:
                return self[name]
            except KeyError:
                raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]


class Stat(Record):
    """Sizes of one database (``MDB_stat``): numbers of pages and of entries."""

    __slots__ = ()
    psize: int
    depth: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int


class EnvInfo(Record):
    """State of an environment (``MDB_envinfo``); sizes are in bytes."""

    __slots__ = ()
    map_addr: int
    map_size: int
    last_pgno: int
    last_txnid: int
    max_readers: int
    num_readers: int
    pinned: int
    max_map_size: int
    reserved: int
    used: int
    free_pages: int | None


class EnvFlags(Record):
    """The options that an environment was opened with."""

    __slots__ = ()
    subdir: bool
    readonly: bool
    metasync: bool
    sync: bool
    map_async: bool
    readahead: bool
    writemap: bool
    meminit: bool
    lock: bool


class DbFlags(Record):
    """The flags of a database, named as the parameters of ``open_db``."""

    __slots__ = ()
    reverse_key: bool
    dupsort: bool
    integerkey: bool
    integerdup: bool
    dupfixed: bool


class Reader(Record):
    """One slot of the reader table: ``pid``, the number by which the process knows itself,
    ``own``, whether it is this process, ``thread`` (hexadecimal), ``txnid``,
    the snapshot that it reads (None when idle), ``pages``, how many pages that were
    freed since it keeps from being used again, and ``held_since``: where its
    transaction has ended in this process and only views and arrays hold it, since
    when, in seconds of Unix time; else None."""

    __slots__ = ()
    pid: int
    own: bool
    thread: str
    txnid: int | None
    pages: int | None
    held_since: float | None
