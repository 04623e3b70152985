# SPDX-License-Identifier: MIT
"""Types of results: dicts with named fields.

py-lmdb returns plain dicts, so these are dicts and print like dicts.  Each key can also be read
as an attribute: ``env.stat()["entries"]`` and ``env.stat().entries`` are the same.
"""

from __future__ import annotations

from ._base.public_names import directory
from ._typing import TYPE_CHECKING

__all__ = [
    "BytesLike", "DbFlags", "EnvFlags", "EnvInfo", "Reader", "Record", "Stat", "ValueT"
]  # fmt: skip
__dir__ = directory(__all__)

if TYPE_CHECKING:
    from typing import Literal, TypeVar, overload

    from ._aliases import BytesLike as BytesLike
    from ._aliases import ValueT as ValueT

    _V = TypeVar("_V")
else:
    _V = "V"

    def __getattr__(name):
        if name not in ("BytesLike", "ValueT"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import _aliases  # imported late: it takes milliseconds, and few programs need it

        return getattr(_aliases, name)


class Record(dict[str, _V]):
    """A dict whose keys can be read as attributes."""

    __slots__ = ()

    if not TYPE_CHECKING:  # type checkers know the fields, and would accept any name

        def __getattr__(self, name):
            try:
                return self[name]
            except KeyError:
                raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]


class Stat(Record[int]):
    """Statistics of one database (``MDB_stat``): the page size in bytes, the depth of the tree,
    and the numbers of pages and entries."""

    __slots__ = ()
    psize: int
    depth: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int


class EnvInfo(Record["int | None"]):
    """State of an environment (``MDB_envinfo``); sizes are in bytes, ``free_pages`` in pages."""

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
    page_size: int
    free_pages: int | None

    if TYPE_CHECKING:

        @overload
        def __getitem__(  # type: ignore[overload-overlap]
            self, name: Literal["free_pages"], /
        ) -> int | None: ...
        @overload
        def __getitem__(self, name: str, /) -> int: ...
        def __getitem__(self, name: str, /) -> int | None: ...


# In the order in which plain/numbers.c fills arrays; the last of info_fields is not in its array.
stat_fields = tuple(Stat.__annotations__)
info_fields = tuple(EnvInfo.__annotations__)


class EnvFlags(Record[bool]):
    """The options with which an environment was opened (``mdb_env_get_flags``)."""

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


class DbFlags(Record[bool]):
    """The flags of a database, with the names of the parameters of ``open_db``
    (``mdb_dbi_flags``)."""

    __slots__ = ()
    reverse_key: bool
    dupsort: bool
    integerkey: bool
    integerdup: bool
    dupfixed: bool


class Reader(Record["int | str | float | None"]):
    """One slot of the reader table (``mdb_reader_list``).

    - ``pid``: the process ID, as the process itself sees it.
    - ``own``: True if it is a slot of this process.
    - ``thread``: the ID of the thread, in hexadecimal.
    - ``txnid``: the ID of the snapshot that is read; None if the slot is idle.
    - ``pages``: how many pages were freed since that snapshot and cannot be reused because of
      it; 0 if the slot is idle; None if no reader slot is free to count them.
    - ``held_since``: the time, in seconds of Unix time, at which the transaction ended in this
      process, if views or arrays still pin its snapshot; else None.
    """

    __slots__ = ()
    pid: int
    own: bool
    thread: str
    txnid: int | None
    pages: int | None
    held_since: float | None

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, name: Literal["pid"], /) -> int: ...
        @overload
        def __getitem__(self, name: Literal["own"], /) -> bool: ...
        @overload
        def __getitem__(self, name: Literal["thread"], /) -> str: ...
        @overload
        def __getitem__(self, name: Literal["txnid", "pages"], /) -> int | None: ...
        @overload
        def __getitem__(self, name: Literal["held_since"], /) -> float | None: ...
        @overload
        def __getitem__(self, name: str, /) -> int | str | float | None: ...
        def __getitem__(self, name: str, /) -> int | str | float | None: ...
