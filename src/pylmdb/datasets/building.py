# SPDX-License-Identifier: MIT
"""build(): records made by many workers, each writing files of its own.

LMDB has one writer per file.  So the items are cut into parts, and each part becomes a
shard: a whole LMDB file, written under a temporary name where the worker is, and renamed
when it is on the disk.  A worker that dies leaves no shard, and its part is given to another.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed, wait
from contextlib import suppress
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from .._base.buffers import as_buffer
from .._base.fsync import fsync_path
from .._base.new_files import Temporary, replacing
from .._base.owners import Descriptor, Owner
from ..environment import Environment
from ..errors import InvalidParameterError, KeyExistsError
from ..tools.merging import merge as merge_shards
from ..tools.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from os import PathLike

    from ..tools.progress import Progress

# what a worker gathers before it sorts and writes it
_BATCH_BYTES = 32 << 20
# what a record takes beside its value
_RECORD_COST = 64
# how often the workers may die
_ATTEMPTS = 3
_SHARD = "shard-%05d.lmdb"


def build(
    items: Iterable[Any],
    func: Callable[[Any], Any],
    path: str | PathLike[str],
    workers: int | None = None,
    executor: Executor | None = None,
    shards: int | None = None,
    merge: bool = True,
    progress: Progress = True,
    *,
    scratch: str | PathLike[str] | None = None,
) -> int:
    """Make the records of a new data set in many processes, or on many machines.

    ``func(item)`` returns a record, ``(key, value)``, or an iterable of records, which may be a
    generator.  A Dataset of the result has them in the order of the keys; with ``merge=False``
    in that of the items' parts, and in each of these in the order of the keys.

    :param items: what ``func`` is called with; a list is made of them.
    :param func: with the default executor, and with others that have processes, a function that
        pickles: one that a module defines, or :func:`functools.partial` of one.
    :param path: of the LMDB file, or with ``merge=False`` of a directory of shards, which
        :class:`Dataset` reads as one.  It appears when all is done.
    :param workers: how many processes work; as many as there are processors by default.
    :param executor: anything with ``submit`` that returns futures, instead of processes here: an
        executor of :mod:`concurrent.futures`, or ``distributed.Client(...).get_executor()``
        of Dask.  Its workers must see ``path``, over a network, say.
    :param shards: how many parts the items are cut into; by default four for each worker.
    :param merge: False to leave the shards as they are.
    :param progress: True for a bar of tqdm; or a function that is called with how many items
        are done and how many there are.
    :param scratch: a directory on a disk of the worker's own, in which shards are
        written before they are moved to ``path``.  LMDB does not work on network file systems.
    :return: how many records there are.
    :raises FileExistsError: there is something at ``path``.
    :raises KeyExistsError: a key has two values.
    :raises BrokenExecutor: processes died again and again.  An exception of ``func`` is raised
        here as it is; nothing is left then.

    ``mdb_cursor_put``.
    """
    path = os.path.abspath(path)
    if os.path.lexists(path):
        raise FileExistsError(f"{path!r} exists already")
    items = items if isinstance(items, Sequence) else list(items)
    count = workers if workers is not None else os.cpu_count() or 1
    if count < 1 or (shards is not None and shards < 1):
        raise InvalidParameterError("there must be at least one worker and one shard")
    parts = _split(items, shards or 4 * count)
    folder = _ShardFolder(path, scratch)
    with folder, folder:
        folder.make()
        jobs = {
            os.path.join(folder.path, _SHARD % i): (func, part, folder.scratch)
            for i, part in enumerate(parts)
        }
        names = list(jobs)
        with Reporter(progress, len(items), " items") as reporter:
            written = _run(jobs, count, executor, reporter)
        if merge:
            return merge_shards(names, path, subdir=True)
        whole = os.path.join(folder.path, "set")
        os.mkdir(whole)
        for name in names:
            os.rename(name, os.path.join(whole, os.path.basename(name)))
        fsync_path(whole)
        os.rename(whole, path)
        fsync_path(os.path.dirname(path))
        return written


class _ShardFolder(Owner):
    """Where the shards are until all is done: beside the result, under a temporary name."""

    def __init__(self, path: str, scratch: str | PathLike[str] | None) -> None:
        self._new = Temporary(os.fsencode(path))
        self.path = os.fsdecode(self._new.name)
        self.scratch: str = self.path if scratch is None else os.path.abspath(scratch)

    def make(self) -> None:
        """Make it; a file in it is locked for as long as this process is at work."""
        self._new.make_environment(True, (0o600, 0o700))

    def end(self) -> None:
        """Remove it, and what workers on this machine that died have left."""
        self._new.end()
        if not self._new.is_mine:
            return
        pattern = glob.escape(os.path.join(self.scratch, os.path.basename(self.path))) + "*"
        for left in glob.glob(pattern):
            with suppress(FileNotFoundError):
                os.unlink(left)


def _split(items: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """So many parts, one behind the other; none is empty, unless there are no items."""
    count = max(1, min(count, len(items)))
    ends = [len(items) * i // count for i in range(count + 1)]
    return [items[begin:end] for begin, end in pairwise(ends)]


# -- the workers --------------------------------------------------------------------------


def _run(jobs: dict[str, Any], workers: int, executor: Executor | None, reporter: Reporter) -> int:
    """Do all jobs, and forget those that are done; those of processes that die are done again.

    :return: how many records were written.
    """
    written: list[int] = []
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            if executor is not None:
                attempts_left = 0  # it knows itself what to do about its workers
                _submit(jobs, executor, reporter, written)
            else:
                with ProcessPoolExecutor(min(workers, len(jobs))) as pool:
                    _submit(jobs, pool, reporter, written)
        except BrokenExecutor:
            if not attempts_left:
                raise
        if not jobs:
            break
    return sum(written)


def _submit(
    jobs: dict[str, Any], executor: Executor, reporter: Reporter, written: list[int]
) -> None:
    futures = {executor.submit(write_shard, name, *job): name for name, job in jobs.items()}
    try:
        for future in as_completed(futures):
            written.append(future.result())
            reporter.add(len(jobs.pop(futures[future])[1]))
    finally:
        # those that are running write on, into a directory that will go
        wait([future for future in futures if not future.cancel()])


def write_shard(path: str, func: Callable[[Any], Any], items: Iterable[Any], scratch: str) -> int:
    """In a worker: the records of some items as a file at ``path``, whole or not at all.

    :return: how many there are.
    """
    name = f"{os.path.basename(os.path.dirname(path))}-{uuid.uuid4().hex}"
    temporary, count = os.path.join(scratch, name), 0
    file = Descriptor()
    try:
        with file, file:
            file.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with Environment(temporary, subdir=False, sync=False, lock=False) as env:
            for records in _batches(func, items):
                count += _write(env, records)
            env.sync(True)
        _move(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    return count


def _batches(func: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[list[tuple[Any, Any]]]:
    """What the items give, in lists of about 32 MiB."""
    records: list[tuple[Any, Any]] = []
    size = 0
    for item in items:
        for key, value in _records(func(item)):
            records.append((bytes(as_buffer("key", key)), as_buffer("value", value)))
            size += memoryview(records[-1][1]).nbytes + _RECORD_COST
            if size >= _BATCH_BYTES:
                yield records
                records, size = [], 0
    yield records


def _records(found: Any) -> Iterable[Any]:
    """One record, or several."""
    if isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], (bytes, bytearray)):
        return [found]
    if found is None or isinstance(found, (bytes, str)):
        raise TypeError(
            f"func must return (key, value) with a key of bytes, or an iterable of such, not"
            f" {type(found).__name__}"
        )
    records: Iterable[Any] = found
    return records


def _write(env: Environment, records: list[tuple[Any, Any]]) -> int:
    """Write records, and say how many of them are new."""
    records.sort(key=itemgetter(0))
    count = 0
    with env.begin(write=True) as txn:
        for key, value in records:
            if txn.put(key, value, overwrite=False):
                count += 1
            elif txn.get(key) != bytes(value):
                raise KeyExistsError(f"build: the key {key!r} has two values")
    return count


def _move(temporary: str, path: str) -> None:
    """From one disk to another, if need be; what appears at ``path`` is whole."""
    try:
        os.replace(temporary, path)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        with replacing(path) as copy, open(temporary, "rb") as shard:
            shutil.copyfileobj(shard, copy, 1 << 20)
