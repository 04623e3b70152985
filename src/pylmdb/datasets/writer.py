# SPDX-License-Identifier: MIT
"""Writer: writes samples to an LMDB file, from many threads, in batches."""

from __future__ import annotations

import errno
import os
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, Any

from .._base.integers import integer
from .._base.keywords import explains_keywords
from .._base.progress import Reporter
from .._base.words import counted
from .._shared.options import Options, locate
from ..environment import Environment
from ..errors import (
    BadValsizeError,
    ClosedError,
    ForkedError,
    InvalidParameterError,
    closed,
    path_error,
)
from ._atomic_replace import Replacement
from ._batch_writer import BatchWriter
from .layouts import layout_of, written_name
from .layouts.plain import as_key

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from os import PathLike
    from typing import Literal, NoReturn

    from typing_extensions import Self

    from .._base.progress import Progress
    from .layouts.plain import Label, PlainLayout, Value

__all__ = ["Writer"]

# When "auto" commits: whichever comes first.  A byte costs the same in all commits of 16 MiB and
# more, and two to four times as much in commits of 1 MiB.  Larger batches only take more memory,
# and lose more samples if the process is killed.
_AUTO_BYTES = 32 << 20
_AUTO_RECORDS = 100_000
_AUTO_SECONDS = 5.0
# the memory that a record takes besides its bytes, roughly
_RECORD_COST = 64


class Writer:
    """Writes samples to an LMDB file.

    A batch of samples is sorted by key and committed in a background thread, while the next batch
    is collected.  A process that is killed leaves complete batches: all samples of each batch that
    was committed.  ``exist="extend"`` continues after them, and ``len(writer)`` is the number of
    samples in the file.  Any thread may call any method.  A thread that adds samples faster than
    the disk writes them waits.

    As a context manager the writer closes itself at the end of the block.  When the block raises,
    samples that were added before are still written; with ``exist="replace"`` nothing is replaced.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> writer = datasets.Writer("features", progress=None)   # mostly in a with block
    >>> writer.append(numpy.zeros(3), name="first")           # the number of the sample
    0
    >>> writer.flush(), len(writer)
    (None, 1)

    :param path: a file or directory as for :class:`pylmdb.Environment`.
    :param commit_every: samples per commit, at least 1; ``"auto"`` for 32 MiB, 100,000 records or 5
        seconds, whichever comes first.
    :param exist: what to do if the data file exists: ``"error"`` to raise PathExistsError;
        ``"extend"`` to add samples; ``"replace"`` to replace it atomically when the writer is
        closed.  The new file is written under a temporary name, and programs that have the old
        file open keep it.
    :param progress: True for a progress bar of tqdm; or a function that is called with the number
        of samples added and ``total``.
    :param layout: how :meth:`append` stores samples: ``"plain"``, one record per sample, by name or
        number; ``"datum"`` or ``"caffe"``, Caffe's Datum messages; ``"numbered"``,
        ``"folder2lmdb"``, ``"ocr"``, ``"basicsr"`` or ``"mmsr"``, as the projects of these names
        read them.  docs/how-to/datasets.md has the table.
    :param key_format: the format that makes a key of a number, such as ``"%08d"``, the default, or
        ``"%010d"``.  For the layouts ``"plain"`` and ``"datum"``.
    :param total: how many samples will be added, for ``progress``.
    :param db: the name of a database, for ``layout="plain"``; None for the main one.
    :param subdir: False for a data file without a directory of its own.  This and the following
        parameters are those of :class:`pylmdb.Environment`.
    :param map_size: a limit for the size of the data, in bytes.
    :param sync: False to flush only when the writer is closed.  It is faster; until then a power
        failure can lose samples or damage the file.
    :param mode: the permissions of a new directory; its files get them without the execute bits.
    :param writemap: True to write through the memory map.
    :param max_dbs: how many named databases the file may have; 128 by default.
    :param lock: False to use no lock file.
    :param lib_version: the format of a new file: 0 for LMDB 0.9, 1 for 1.0.
    :param page_size: the page size of a new file in bytes, as for :func:`pylmdb.open`.
    :param checksums: True to give the pages of a new file checksums, which needs the format of
        LMDB 1.0.
    :raises PathExistsError: there is a data file, and ``exist`` is ``"error"``.
    :raises InvalidParameterError: an argument is not accepted, or the file has another layout.
    :raises IncompatibleError: the database has flags such as ``dupsort``.

    ``mdb_cursor_put``, ``mdb_txn_commit``.
    """

    _env: Environment | None = None
    _new: Replacement | None = None

    @explains_keywords
    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        commit_every: int | Literal["auto"] = "auto",
        exist: Literal["error", "extend", "replace"] = "error",
        progress: Progress = None,
        *,
        layout: str = "plain",
        key_format: str | None = None,
        total: int = 0,
        db: bytes | None = None,
        subdir: bool | None = None,
        map_size: int | None = None,
        sync: bool = True,
        mode: int = 0o755,
        writemap: bool = False,
        max_dbs: int | None = None,
        lock: bool = True,
        lib_version: int | None = None,
        page_size: int | None = None,
        checksums: bool = False,
    ) -> None:
        self._every = _checked_interval(commit_every)
        layout = written_name(layout)
        kind = _checked_layout(layout, key_format, db)
        self._pid, self._lock = os.getpid(), RLock()
        self._location = location = locate_data(path, exist, subdir)
        self._new = Replacement(location, mode) if exist == "replace" else None
        if self._new is not None:
            path, subdir = self._new.path, False
        try:
            self._env = Environment(
                path, map_size, subdir, sync=sync, mode=mode, writemap=writemap, max_dbs=max_dbs,
                lock=lock, lib_version=lib_version, page_size=page_size, checksums=checksums,
            )  # fmt: skip
            self._read_committed(self._env, kind, key_format, db)
            self._reporter = Reporter(progress, total, " samples")
        except BaseException:
            self._discard()
            raise
        self._kind = layout
        self._records: list[tuple[bytes, Any]] = []
        self._pending_bytes, self._batch_began, self._samples = 0, 0.0, 0
        self._thread = ThreadPoolExecutor(1, "pylmdb-datasets")
        self._committing: Future[None] | None = None
        self._failed: BaseException | None = None

    def _read_committed(
        self, env: Environment, kind: type[PlainLayout], key_format: str | None, db: bytes | None
    ) -> None:
        """Read what the file holds: its layout, and the number of its samples."""
        self._batch_writer = BatchWriter(env, db, kind.needs_index)
        self._layout = kind(self._batch_writer, key_format.encode() if key_format else None)
        self._longest = env.max_key_size()
        # samples that are committed or being committed, and the number of the next one
        self._count: int = self._layout.count()
        self._next = self._count

    # -- samples ------------------------------------------------------------------

    def append(self, value: Value, label: Label = None, name: str | bytes | None = None) -> int:
        """Add a sample after the others.

        >>> writer.append(b"any bytes"), writer.append(numpy.ones(2), name="named")
        (1, 2)
        >>> writer.close()

        :param value: bytes, such as the content of an image file; or an array, which is stored in
            ``.npy`` format or as the layout stores arrays.  It is copied.
        :param label: an int; with ``layout="ocr"`` a str.  None for no label.
        :param name: the key, instead of the number (``"plain"``, ``"basicsr"``, ``"mmsr"``), or
            after it (``"datum"``); other layouts ignore it.
        :return: the number of the sample, from 0 on.
        :raises InvalidParameterError: the layout cannot store such a sample.
        :raises BadValsizeError: the key is empty or too long.
        :raises BusyError: another program has written to the file; the batch is lost.
        :raises ClosedError: the writer is closed, or a commit has failed.
        """
        with self._locked():
            self._check()
            number: int = self._next
            self._add(self._layout.records(number, value, label, name))
            return number

    def write(self, key: bytes, value: Value) -> None:
        """Add a sample with a given key, or replace the value of that key.

        >>> writer.write(b"key", b"value")
        >>> writer.close()
        >>> datasets.Dataset("features").keys()
        [b'first', b'key']

        :param key: of bytes.
        :param value: as for :meth:`append`.
        :raises InvalidParameterError: the layout is not ``"plain"``.
        :raises BadValsizeError: the key is empty or too long.
        :raises BusyError: another program has written to the file; the batch is lost.
        :raises ClosedError: the writer is closed, or a commit has failed.
        """
        with self._locked():
            self._check()
            if self._kind != "plain":
                raise InvalidParameterError(
                    f"the layout {self._kind!r} makes its own keys", hint="use append()"
                )
            self._add([(as_key(key), self._layout.stored(as_key(key), value))])

    def __len__(self) -> int:
        """Return the number of samples: those in the file, and those added.

        A key that was written twice counts once, as soon as its batch is committed.
        """
        with self._locked():
            return self._count + self._samples if self._layout.one_record else self._next

    def _add(self, records: list[tuple[bytes, Any]]) -> None:
        size = 0
        for key, value in records:
            if not 0 < len(key) <= self._longest:
                raise BadValsizeError(
                    f"the key {key[:64]!r} has {counted(len(key), 'byte')}; this file allows 1 to"
                    f" {self._longest}"
                )
            if key == self._batch_writer.index_name:
                raise InvalidParameterError(
                    f"{key!r} is the name of the database with the order of samples; use another"
                    " key"
                )
            size += len(key) + len(value) + _RECORD_COST
        if not self._records:
            self._batch_began = time.monotonic()
        # In this order: an exception in between leaves no sample counted that is not there.
        self._records += records
        self._next += 1
        self._samples += 1
        self._pending_bytes += size
        self._reporter.add(1)
        if self._commit_is_due():
            self._commit()

    def _commit_is_due(self) -> bool:
        if self._every is not None:
            return self._samples >= self._every
        return (
            self._pending_bytes >= _AUTO_BYTES
            or len(self._records) >= _AUTO_RECORDS
            or time.monotonic() - self._batch_began >= _AUTO_SECONDS
        )

    # -- commits ------------------------------------------------------------------

    def flush(self) -> None:
        """Commit the samples that were added, and wait until they are on disk.

        With ``sync=False`` it does not wait for the disk.

        :raises Error: a commit has failed; the writer accepts no more samples.
        """
        with self._locked():
            self._check()
            self._commit()
            self._wait_for_commit()

    def _commit(self) -> None:
        """Submit the batch to the thread, after it has committed the batch before.

        An exception here ends the writer: after a batch that was not submitted, none may follow.
        """
        try:
            self._wait_for_commit()
            if self._records:
                records, self._records = self._records, []
                self._count, self._samples, self._pending_bytes = self._count + self._samples, 0, 0
                others = self._layout.commit_records(self._next)
                self._committing = self._thread.submit(self._batch_writer.commit, records, others)
        except BaseException as problem:
            self._failed = problem
            raise

    def _wait_for_commit(self) -> None:
        """Wait for the batch that is being committed."""
        if self._committing is not None:
            try:
                self._committing.result()
            except BaseException as problem:
                self._failed = problem
                raise
            self._committing = None
            if self._layout.one_record:
                self._count = self._batch_writer.count

    def _locked(self) -> AbstractContextManager[bool]:
        """Return the lock.  In a forked child it is a copy of the parent's, which is refused."""
        if self._pid != os.getpid():
            raise ForkedError(
                "this writer belongs to the parent process", hint="make another one here"
            )
        return self._lock

    def _check(self) -> None:
        self._open_env()
        if self._failed is not None:
            raise ClosedError(
                f"the writer has failed: {self._failed}",
                hint="the batches before are in the file; exist='extend' continues after them",
            ) from self._failed

    # -- closing ------------------------------------------------------------------

    @property
    def env(self) -> Environment:
        """The environment that it writes to; with ``exist="replace"``, the new one.

        :raises ClosedError: the writer is closed.
        """
        return self._open_env()

    def _open_env(self) -> Environment:
        if self._env is None:
            raise closed("writer", "make another one")
        return self._env

    @property
    def closed(self) -> bool:
        """True once the writer is closed."""
        return self._env is None

    def close(self) -> None:
        """Commit the samples that were added, complete the data set and close it; repeatable.

        All samples are on disk when this returns, also with ``sync=False``.

        :raises Error: a commit has failed.
        """
        with self._locked():
            if self._env is None:
                return
            try:
                self._check()
                self._commit()
                self._wait_for_commit()
                self._batch_writer.commit([], self._layout.finish(self._next))
                if self._new is not None:
                    self._new.publish(self._env)
                else:
                    self._env.sync(True)  # sync=False has left flushes to the system
            finally:
                self._discard()

    def _end(self) -> None:
        with suppress(RuntimeError):  # the garbage collector runs in that very thread
            self._thread.shutdown()
        self._reporter.__exit__()

    def _discard(self) -> None:
        """Close without writing, and remove a file that was to replace another; repeatable."""
        if self._pid != os.getpid():
            return
        if self._env is not None:
            if hasattr(self, "_failed"):  # __init__ assigns it last
                self._end()
            self._env.close()
        if self._new is not None:
            self._new.end()
        self._env = None

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with self._locked():
            if kind is not None and (self._new is not None or self._failed is not None):
                self._discard()
            else:
                self.close()

    def __del__(self) -> None:
        if self._env is None or self._pid != os.getpid():
            return
        try:
            if hasattr(self, "_failed"):
                message = f"{self!r} was not closed: its last batch is lost; use a with block"
                warnings.warn(message, ResourceWarning, stacklevel=2)
        finally:
            self._discard()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Writer cannot be pickled or copied; make another one in each process")

    def __repr__(self) -> str:
        state = "closed" if self._env is None else counted(len(self), "sample")
        return f"<pylmdb.datasets.Writer {self._location.given_path!r} {state}>"


def _checked_interval(commit_every: int | Literal["auto"]) -> int | None:
    if commit_every == "auto":
        return None
    interval = integer("commit_every", commit_every, " or 'auto'")
    if interval < 1:
        raise InvalidParameterError(
            f"commit_every must be 'auto' or at least 1, not {commit_every!r}"
        )
    return interval


def _checked_layout(layout: str, key_format: str | None, db: bytes | None) -> type[PlainLayout]:
    if db is not None and layout != "plain":
        raise InvalidParameterError(
            f"db is {db!r}; the layout {layout!r} is written to the main database, db=None"
        )
    kind = layout_of(layout)
    if key_format is not None:
        if not kind.takes_key_format:
            raise InvalidParameterError(
                f"key_format is {key_format!r}; the layout {layout!r} has its own keys"
            )
        try:
            distinct = key_format % 1 != key_format % 2
        except (TypeError, ValueError):
            distinct = False
        if not distinct:
            raise InvalidParameterError(
                f"key_format must be a format of one number, such as '%08d', not {key_format!r}"
            )
    return kind


def locate_data(
    path: str | bytes | PathLike[str] | PathLike[bytes], exist: str, subdir: bool | None
) -> Options:
    """Return the files of the environment, by the rules of Environment.

    :raises PathExistsError: the data file exists, and ``exist`` is ``"error"``.
    :raises InvalidParameterError: ``exist`` is not accepted.
    """
    if exist not in ("error", "extend", "replace"):
        raise InvalidParameterError(f"exist must be 'error', 'extend' or 'replace', not {exist!r}")
    absolute, given_path, subdir = locate(path, subdir)
    location = Options({"path": absolute, "given_path": given_path, "subdir": subdir})
    if exist == "error" and os.path.exists(location.data_path):
        hint = "exist='extend' adds samples to it, exist='replace' replaces it"
        raise path_error("Writer", location.given_path, errno.EEXIST, "exists", hint)
    return location
