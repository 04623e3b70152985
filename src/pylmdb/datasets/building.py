# SPDX-License-Identifier: MIT
"""build(): many workers make records, and each writes files of its own.

LMDB has one writer per file.  So the items are split into parts, and each part becomes a shard, an
LMDB file.  A worker writes it under a temporary name and renames it when it is on disk.  A worker
that dies leaves no shard, and another worker gets its part.
"""

from __future__ import annotations

import errno
import glob
import os
import pickle
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
from .._base.integers import integer
from .._base.keywords import explains_keywords
from .._base.new_files import Temporary, replacing
from .._base.owners import Descriptor, Owner
from .._base.progress import Reporter
from .._core_rules.system_errors import Explained
from ..environment import Environment
from ..errors import InvalidParameterError, KeyExistsError, path_error
from ..tools.destination import NewFile
from ..tools.merging import merge as merge_shards

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from os import PathLike

    from .._base.progress import Progress

# the size of the batches that a worker sorts and writes
_BATCH_BYTES = 32 << 20
# the memory that a record takes besides its value
_RECORD_COST = 64
# how often a pool of workers is started
_ATTEMPTS = 3
_SHARD = "shard-%05d.lmdb"


@explains_keywords
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
    lib_version: int | None = None,
    page_size: int | None = None,
    checksums: bool = False,
) -> int:
    """Build a data set in many processes, or on many machines.

    ``func(item)`` returns a record, ``(key, value)``, or an iterable of records, which may be a
    generator.  A Dataset of the result has the records in key order; with ``merge=False``, it has
    them by the parts of the items, and in key order within each part.  An exception of ``func`` is
    raised here, and no file is left.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from pylmdb import datasets
    >>> def record(number):
    ...     return b"%08d" % number, bytes(number)
    >>> with ThreadPoolExecutor(2) as threads:             # by default processes
    ...     datasets.build(range(10), record, "built", executor=threads, progress=None)
    10

    :param items: the arguments of ``func``; an iterable is made a list.
    :param func: a function that pickles, if workers are processes: one that a module defines, or
        :func:`functools.partial` of one.
    :param path: of the LMDB file; with ``merge=False``, of a directory of shards, which
        :class:`Dataset` reads as one data set.  It is renamed to this name when it is complete.
    :param workers: the number of processes; None for the number of processors.
    :param executor: used instead of processes of its own: an executor of :mod:`concurrent.futures`,
        ``distributed.Client(...).get_executor()`` of Dask, or any object whose ``submit`` returns
        futures.  Its workers must be able to write to ``path``, for example over a network.
    :param shards: the number of parts that items are split into; None for four per worker.
    :param merge: False to keep the shards.
    :param progress: True for a progress bar of tqdm; or a function that is called with the number
        of items done and the number of all.
    :param scratch: a directory on a local disk of the worker, where shards are written before they
        are moved to ``path``.  Use it if ``path`` is on a network file system, where LMDB does not
        work.
    :param lib_version: the format of the files: 0 for LMDB 0.9, 1 for 1.0.
    :param page_size: the page size of the files in bytes, as for :func:`pylmdb.open`.
    :param checksums: True to give the pages of the files checksums, which needs the format of
        LMDB 1.0.
    :return: the number of records.
    :raises PathExistsError: ``path`` exists.
    :raises PathNotFoundError: its parent directory does not exist.
    :raises InvalidParameterError: ``workers`` or ``shards`` is less than 1.
    :raises ValueError: ``page_size`` or ``lib_version`` does not go with the rest.
    :raises KeyExistsError: a key has two values.
    :raises TypeError: a result of ``func`` is not a record and not an iterable.
    :raises BrokenExecutor: worker processes died repeatedly.

    ``mdb_cursor_put``.
    """
    path = os.path.abspath(path)
    if os.path.lexists(path):
        raise path_error("build", path, errno.EEXIST, "exists", "give the path of a new data set")
    if not os.path.isdir(os.path.dirname(path)):
        problem = "cannot be written: its parent directory does not exist"
        raise path_error("build", path, errno.ENOENT, problem, "create it first")
    items = items if isinstance(items, Sequence) else list(items)
    count = os.cpu_count() or 1 if workers is None else integer("workers", workers)
    pieces = 4 * count if shards is None else integer("shards", shards)
    if count < 1 or pieces < 1:
        raise InvalidParameterError(
            f"workers is {workers} and shards is {shards}; there must be at least one of each"
        )
    parts = _split(items, pieces)
    new_file = NewFile(lib_version, page_size, bool(checksums))
    folder = _ShardFolder(path, scratch)
    with folder, folder:
        with Explained("build", path, "created"):
            folder.make()
        jobs = {
            os.path.join(folder.path, _SHARD % i): (func, part, folder.scratch, new_file)
            for i, part in enumerate(parts)
        }
        names = list(jobs)
        with Reporter(progress, len(items), " items") as reporter:
            written = _run(jobs, count, executor, reporter)
        if merge:
            return merge_shards(names, path, subdir=True, **new_file.options())
        whole = os.path.join(folder.path, "set")
        os.mkdir(whole)
        for name in names:
            os.rename(name, os.path.join(whole, os.path.basename(name)))
        fsync_path(whole)
        os.rename(whole, path)
        fsync_path(os.path.dirname(path))
        return written


class _ShardFolder(Owner):
    """The temporary folder of the shards, in the folder of the result."""

    def __init__(self, path: str, scratch: str | PathLike[str] | None) -> None:
        self._new = Temporary(os.fsencode(path))
        self.path = os.fsdecode(self._new.name)
        self.scratch: str = self.path if scratch is None else os.path.abspath(scratch)

    def make(self) -> None:
        """Make it, with a file that this process keeps locked until the end."""
        self._new.make_environment(True, (0o600, 0o700))

    def end(self) -> None:
        """Remove it, and the files that dead workers of this machine have left."""
        self._new.end()
        if not self._new.is_mine:
            return
        pattern = glob.escape(os.path.join(self.scratch, os.path.basename(self.path))) + "*"
        for left in glob.glob(pattern):
            with suppress(FileNotFoundError):
                os.unlink(left)


def _split(items: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """Split items into consecutive parts.  None is empty, unless there are no items."""
    count = max(1, min(count, len(items)))
    ends = [len(items) * i // count for i in range(count + 1)]
    return [items[begin:end] for begin, end in pairwise(ends)]


# -- the workers --------------------------------------------------------------------------


def _run(jobs: dict[str, Any], workers: int, executor: Executor | None, reporter: Reporter) -> int:
    """Run all jobs, and remove those that are done.  Jobs of processes that die run again.

    :return: the number of records that were written.
    """
    written: list[int] = []
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            if executor is not None:
                attempts_left = 0  # an executor of the caller restarts its workers itself
                _submit(jobs, executor, reporter, written)
            else:
                with ProcessPoolExecutor(min(workers, len(jobs))) as pool:
                    _submit(jobs, pool, reporter, written)
        except (pickle.PicklingError, AttributeError, TypeError) as failure:
            if jobs:
                _check_pickles(next(iter(jobs.values()))[0], failure)
            raise
        except BrokenExecutor:
            if not attempts_left:
                raise
        if not jobs:
            break
    return sum(written)


def _check_pickles(func: Callable[[Any], Any], failure: Exception) -> None:
    """Raise TypeError if ``failure`` is that ``func`` cannot be sent to worker processes."""
    try:
        pickle.dumps(func)
    except Exception:
        raise TypeError(
            f"build: func cannot be sent to worker processes: {func!r}; define it in a module, not"
            " as a lambda or inside of another function"
        ) from failure


def _submit(
    jobs: dict[str, Any], executor: Executor, reporter: Reporter, written: list[int]
) -> None:
    futures = {executor.submit(write_shard, name, *job): name for name, job in jobs.items()}
    try:
        for future in as_completed(futures):
            written.append(future.result())
            reporter.add(len(jobs.pop(futures[future])[1]))
    finally:
        # running jobs still write to the folder, which is removed next
        wait([future for future in futures if not future.cancel()])


def write_shard(
    path: str, func: Callable[[Any], Any], items: Iterable[Any], scratch: str, new_file: NewFile
) -> int:
    """In a worker: write the records of some items to a file, atomically.

    :return: the number of records.
    """
    name = f"{os.path.basename(os.path.dirname(path))}-{uuid.uuid4().hex}"
    temporary, count = os.path.join(scratch, name), 0
    file = Descriptor()
    try:
        with file, file:
            file.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with Environment(
            temporary, subdir=False, sync=False, lock=False, **new_file.options()
        ) as env:
            for records in _batches(func, items):
                count += _write(env, records)
            env.sync(True)
        _move(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    return count


def _batches(func: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[list[tuple[Any, Any]]]:
    """Yield the records of the items, in lists of about 32 MiB."""
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
    """Return the records of a result of ``func``, which is one record or an iterable of them."""
    if isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], (bytes, bytearray)):
        return [found]
    if found is None or isinstance(found, (bytes, str)):
        raise TypeError(
            f"func returned {type(found).__name__}; it must return (key, value), with a key of"
            " bytes, or an iterable of these"
        )
    records: Iterable[Any] = found
    return records


def _write(env: Environment, records: list[tuple[Any, Any]]) -> int:
    """Write records in key order.  Return how many of them are new."""
    records.sort(key=itemgetter(0))
    count = 0
    with env.begin(write=True) as txn:
        for key, value in records:
            if txn.put(key, value, overwrite=False):
                count += 1
            elif txn.get(key) != bytes(value):
                raise KeyExistsError(
                    f"build: the key {key[:64]!r} has two values; func must make each key once"
                )
    return count


def _move(temporary: str, path: str) -> None:
    """Rename a file to ``path``; if that is on another disk, copy it there atomically."""
    try:
        os.replace(temporary, path)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        with replacing(path) as copy, open(temporary, "rb") as shard:
            shutil.copyfileobj(shard, copy, 1 << 20)
