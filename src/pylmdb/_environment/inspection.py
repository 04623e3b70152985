# SPDX-License-Identifier: MIT
"""Sizes, limits and readers of an environment."""

from __future__ import annotations

import os

from .._base.words import counted
from .._core_rules.failures import read_error
from .._typing import TYPE_CHECKING
from ..errors import ReadersFullError
from ..types import EnvFlags, EnvInfo, Reader, Stat, info_fields, stat_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._shared.environment import SharedEnv
    from ..environment import Environment


def stat(shared: SharedEnv) -> Stat:
    """``Environment.stat``."""
    out = shared.engine.ffi.new("size_t[]", shared.engine.lib.PYLMDB_STAT_SIZE)
    shared.call("mdb_env_stat", shared.engine.lib.pylmdb_env_stat, out)
    return Stat(zip(stat_fields, map(int, out), strict=True))


def info(shared: SharedEnv) -> EnvInfo:
    """``Environment.info``."""
    found = _numbers(shared)
    found["free_pages"] = free_pages(shared)[1]
    return found


def _numbers(shared: SharedEnv) -> EnvInfo:
    """What ``info`` returns, without the number of free pages, which must be counted."""
    out = shared.engine.ffi.new("size_t[]", shared.engine.lib.PYLMDB_INFO_SIZE)
    shared.call("mdb_env_info", shared.engine.lib.pylmdb_env_info, out)
    found = EnvInfo(zip(info_fields[:-1], map(int, out), strict=True))
    found["pinned"] = len(shared.pinned())
    return found


def free_pages(shared: SharedEnv) -> tuple[int, int | None]:
    """Return the number of the newest snapshot, and how many pages are free in it.

    The second is None if no reader slot is left, which counting needs.
    """
    newest, found = _pages_freed(shared, [0])
    return newest, found[0]


def max_key_size(shared: SharedEnv) -> int:
    """``Environment.max_key_size``."""
    return int(shared.run(shared.engine.lib.mdb_env_get_maxkeysize))


def max_readers(shared: SharedEnv) -> int:
    """``Environment.max_readers``."""
    out = shared.engine.ffi.new("unsigned int *")
    shared.call("mdb_env_get_maxreaders", shared.engine.lib.mdb_env_get_maxreaders, out)
    return int(out[0])


# What a core asks for if it cannot call liblmdb at once, by the name of Environment's method.
ANSWERS: dict[str, Callable[[SharedEnv], object]] = {
    "stat": stat,
    "info": info,
    "free_pages": free_pages,
    "max_key_size": max_key_size,
    "max_readers": max_readers,
}


def flags(env: Environment) -> EnvFlags:
    """``Environment.flags``."""
    env._use()
    names = ("subdir", "readonly", "metasync", "sync", "map_async", "readahead")
    fields = {name: getattr(env._options, name) for name in names}
    fields.update(sync=env._sync, metasync=env._metasync)
    for name in ("writemap", "meminit", "lock"):
        fields[name] = getattr(env._options, name)
    return EnvFlags(fields)


def readers(shared: SharedEnv) -> str:
    """``Environment.readers``."""
    lines = []
    for line in shared.engine.reader_text(shared).splitlines(keepends=True):
        number = line.split(maxsplit=1)[0]
        if number.isdigit():
            line = f"{process(shared, int(number)):10d}" + line.partition(number)[2]
        lines.append(line)
    return "".join(lines)


def process(shared: SharedEnv, number: int) -> int:
    """The process number for a number in the reader table, which is that of a namespace."""
    return int(shared.run(shared.engine.lib.pylmdb_env_process, number))


def reader_slots(shared: SharedEnv) -> list[tuple[int, str, int | None]]:
    """The number of the process, the thread and the snapshot of each reader slot in use."""
    rows = [line.split() for line in shared.engine.reader_text(shared).splitlines()]
    return [
        (int(row[0]), row[1], None if row[2] == "-" else int(row[2]))
        for row in rows
        if len(row) == 3 and row[0].isdigit()
    ]


def reader_list(shared: SharedEnv) -> list[Reader]:
    """``Environment.reader_list``."""
    own = shared.run(shared.engine.lib.pylmdb_env_number)
    readers = [
        Reader(pid=process(shared, number), own=number == own, thread=thread, txnid=txnid)
        for number, thread, txnid in reader_slots(shared)
    ]
    snapshots = {reader.txnid for reader in readers if reader.txnid is not None}
    pages: dict[int | None, int | None] = _pages_freed(shared, snapshots)[1] if snapshots else {}
    for reader in readers:
        reader["pages"] = pages.get(reader.txnid, 0)
        reader["held_since"] = None
    # Reader slots with the same snapshot are alike, so any of them can get the time.
    for number, since in shared.pinned():
        for reader in readers:
            if (reader.own, reader.txnid, reader.held_since) == (True, number, None):
                reader["held_since"] = since
                break
    return readers


def _pages_freed(
    shared: SharedEnv, snapshots: Iterable[int]
) -> tuple[int, dict[int | None, int | None]]:
    """Return the number of the newest snapshot, and how many pages were freed since each snapshot.

    The latter are None if no reader slot is left, which looking them up needs.
    """
    lib, out = shared.engine.lib, shared.engine.ffi.new("size_t *")
    handle = shared.engine.ffi.new("struct pylmdb_txn *")
    found: dict[int | None, int | None] = {}
    slots = _numbers(shared).num_readers
    try:
        shared.begin_reader(handle)
    except ReadersFullError:
        return 0, dict.fromkeys(snapshots)
    try:
        newest = int(lib.mdb_txn_id(handle.ptr))
        for snapshot in snapshots:
            code = lib.pylmdb_pages_freed(handle.ptr, snapshot, out)
            if code:
                raise read_error("mdb_cursor_get", "info", code, shared)
            found[snapshot] = int(out[0])
    finally:
        shared.end_reader(handle)
        shared.run(lambda env: lib.pylmdb_env_forget_slots(env, slots) or 0)
    return newest, found


def reader_check(shared: SharedEnv) -> int:
    """``Environment.reader_check``."""
    out = shared.engine.ffi.new("int *")
    shared.call("mdb_reader_check", shared.engine.lib.mdb_reader_check, out)
    shared.note_dead_readers(out[0])
    shared.log_notes()
    return int(out[0])


def html(env: Environment) -> str:
    """Return what notebooks show.  It reads nothing in a transaction, so it waits for nothing."""
    from .._base.html import table  # imported late: few programs need it

    title, options, shared = "pylmdb.Environment", env._options, env._shared
    if options is None or shared is None:
        return table(f"{title}, {'never opened' if options is None else 'closed'}", {})
    try:
        size = counted(os.stat(options.data_path).st_size, "byte", ",")
    except OSError as missing:
        size = str(missing.strerror)
    rows = {
        "path": options.given_path,
        "data file": size,
        "opened for": "reading" if options.readonly else "reading and writing",
        "liblmdb": ".".join(map(str, shared.engine.version)),
    }
    return table(title, rows)
