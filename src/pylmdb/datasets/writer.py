# SPDX-License-Identifier: MIT
"""Writer: samples into an LMDB file, from many threads, in batches.

>>> with Writer("faces", layout="datum") as writer:
...     for image, label in samples:
...         writer.append(image, label)
"""

from __future__ import annotations

import os
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from operator import index
from threading import RLock
from typing import TYPE_CHECKING, Any

from .._shared.options import Options, locate
from ..environment import Environment
from ..errors import BadValsizeError, ClosedError, ForkedError, InvalidParameterError, closed
from ..tools.progress import Reporter
from ._atomic_replace import Replacement
from ._batch_writer import BatchWriter
from .layouts import layout_of, written_name
from .layouts.plain import as_key

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from os import PathLike
    from typing import Literal, NoReturn

    from typing_extensions import Self

    from ..tools.progress import Progress
    from .layouts.plain import Label, PlainLayout, Value

__all__ = ["Writer"]

# When "auto" commits: whichever comes first.  Bytes cost the same in all commits from 16 MiB on,
# and two to four times as much in those of 1 MiB; more only takes memory and makes more to lose.
_AUTO_BYTES = 32 << 20
_AUTO_RECORDS = 100_000
_AUTO_SECONDS = 5.0
# what a record takes in memory beside its bytes, roughly
_RECORD_COST = 64


class Writer:
    """Writes samples to an LMDB file.

    What is written is gathered, sorted by key and committed by the batch, in a thread of the
    writer's own, while the next batch is gathered.  A process that is killed leaves all batches
    that were committed, whole, and ``exist="extend"`` goes on behind them: ``len(writer)`` is
    the number of samples that are there.  All methods may be called from any thread; threads
    that come faster than the disk wait.

    As a context manager it closes itself at the end of the block.  When the block raises, what
    was added before is still written, but with ``exist="replace"`` nothing is replaced.

    :param path: a file or directory as for :class:`pylmdb.Environment`.
    :param commit_every: samples per commit; ``"auto"`` for 32 MiB, 100,000 records or 5
        seconds, whichever comes first.
    :param exist: what to do about a file that is there: ``"error"``; ``"extend"`` it;
        or ``"replace"`` it, when the block ends, by the new one, which until then is written
        beside it, so that those who read the old one can go on.
    :param progress: True for a progress bar of tqdm; or a function that is called with
        the number of samples added and ``total``.
    :param layout: what :meth:`append` writes: ``"plain"``, one record per sample, by name or
        number; ``"datum"`` or ``"caffe"``, Caffe's; ``"numbered"``, ``"folder2lmdb"``,
        ``"ocr"``, ``"basicsr"``
        and ``"mmsr"``, as the projects of these names read them; docs/datasets.md has the table.
    :param key_format: how :meth:`append` makes a key of a number: a format as ``"%08d"``, the
        default, or ``"%010d"``.  For the layouts ``"plain"`` and ``"datum"``.
    :param total: how many samples will come, for ``progress``.
    :param db: the name of a database, for ``layout="plain"``; None for the main one.
    :param subdir: False for a data file that is not in a directory of its own.  This and what
        follows is for :class:`pylmdb.Environment`, which describes it.
    :param map_size: a limit for the size of the data.
    :param sync: False to leave flushes to the system until the writer is closed.
    :param mode: permissions of a new directory, and without the execute bits of its files.
    :param writemap: True to write through the memory map.
    :param max_dbs: how many named databases the file may have; 128 by default.
    :param lock: False to do without the lock file.
    :param lib_version: which LMDB's format a new file has: 0 for 0.9, 1 for 1.0.
    :raises FileExistsError: there is a data file, and ``exist`` is ``"error"``.
    :raises InvalidParameterError: an argument does not fit, or the file has another layout.

    ``mdb_cursor_put``, ``mdb_txn_commit``.
    """

    _env: Environment | None = None
    _new: Replacement | None = None

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
    ) -> None:
        self._every = _checked_interval(commit_every)
        layout = written_name(layout)
        kind = _checked_layout(layout, key_format, db)
        self._pid, self._lock = os.getpid(), RLock()
        self._location = location = _locate(path, exist, subdir)
        self._new = Replacement(location, mode) if exist == "replace" else None
        if self._new is not None:
            path, subdir = self._new.path, False
        try:
            self._env = Environment(
                path, map_size, subdir, sync=sync, mode=mode, writemap=writemap, max_dbs=max_dbs,
                lock=lock, lib_version=lib_version,
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
        """See what is there."""
        self._batch_writer = BatchWriter(env, db, kind.needs_index)
        self._layout = kind(self._batch_writer, key_format.encode() if key_format else None)
        self._longest = env.max_key_size()
        # samples committed and being committed, and the number of the next one
        self._count: int = self._layout.count()
        self._next = self._count

    # -- samples ------------------------------------------------------------------

    def append(self, value: Value, label: Label = None, name: str | bytes | None = None) -> int:
        """Add a sample behind the others.

        :param value: bytes, such as the content of an image file; or an array, stored in ``.npy``
            format, or as the layout does it.  It is taken as it is now.
        :param label: an int; with ``layout="ocr"`` a text.  None for none.
        :param name: the key instead of the number (``"plain"``, ``"basicsr"``, ``"mmsr"``), or
            behind it (``"datum"``); elsewhere not looked at.
        :return: the number of the sample.
        :raises InvalidParameterError: the layout has no place for such a sample.
        :raises BadValsizeError: the key is empty or too long.
        """
        with self._locked():
            self._check()
            number: int = self._next
            self._add(self._layout.records(number, value, label, name))
            return number

    def write(self, key: bytes, value: Value) -> None:
        """Add a sample with a key of your own, or another value for a key that is there.

        :param value: as for :meth:`append`.
        :raises InvalidParameterError: the layout has keys of its own.
        """
        with self._locked():
            self._check()
            if self._kind != "plain":
                raise InvalidParameterError(
                    f"the layout {self._kind!r} makes its own keys", hint="use append()"
                )
            self._add([(as_key(key), self._layout.stored(as_key(key), value))])

    def __len__(self) -> int:
        """How many samples there are: those that were there, and those added.

        A key that was given twice counts once, as soon as its batch is committed.
        """
        with self._locked():
            return self._count + self._samples if self._layout.one_record else self._next

    def _add(self, records: list[tuple[bytes, Any]]) -> None:
        size = 0
        for key, value in records:
            if not 0 < len(key) <= self._longest:
                raise BadValsizeError(f"a key of {len(key)} bytes: {key[:40]!r}")
            if key == self._batch_writer.index_name:
                raise InvalidParameterError(f"{key!r} is the name of a database, and no key")
            size += len(key) + len(value) + _RECORD_COST
        if not self._records:
            self._batch_began = time.monotonic()
        # in this order: whatever interrupts it, no more samples are counted than are there
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
        """Commit what was added; on disk when this returns.

        :raises Error: it could not be written; the writer is of no use any more.
        """
        with self._locked():
            self._check()
            self._commit()
            self._wait_for_commit()

    def _commit(self) -> None:
        """Hand the batch to the thread, once that has committed the one before.

        Whatever interrupts it is the end of the writer: of a batch that was taken and not handed
        over nothing may follow.
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
        """The lock, unless it is a copy of the parent's."""
        if self._pid != os.getpid():
            raise ForkedError("this writer belongs to the parent process", hint="make one here")
        return self._lock

    def _check(self) -> None:
        self._open_env()
        if self._failed is not None:
            raise ClosedError(
                f"the writer has failed: {self._failed}",
                hint="what it had committed is there; exist='extend' goes on behind it",
            ) from self._failed

    # -- life ---------------------------------------------------------------------

    @property
    def env(self) -> Environment:
        """The environment that is written to: with ``exist="replace"``, the new one."""
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
        """Commit what was added, complete the data set and close it; repeatable.

        Then it is on disk, with ``sync=False``, too.

        :raises Error: it could not be written.
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
                    self._env.sync(True)  # what sync=False has left to the system
            finally:
                self._discard()

    def _end(self) -> None:
        with suppress(RuntimeError):  # the collector runs in that thread, which cannot join itself
            self._thread.shutdown()
        self._reporter.__exit__()

    def _discard(self) -> None:
        """Close without writing any more; what was to replace a file is removed.  Repeatable."""
        if self._pid != os.getpid():
            return
        if self._env is not None:
            if hasattr(self, "_failed"):  # the last thing that is made
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
                what = f"{self!r} was not closed: its last batch is lost"
                warnings.warn(what, ResourceWarning, stacklevel=2)
        finally:
            self._discard()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a writer cannot be pickled or copied; make one where it is needed")

    def __repr__(self) -> str:
        state = "closed" if self._env is None else f"{len(self)} samples"
        return f"<pylmdb.datasets.Writer {self._location.given_path!r} {state}>"


def _checked_interval(commit_every: Any) -> int | None:
    if commit_every == "auto":
        return None
    if index(commit_every) < 1:
        raise InvalidParameterError(f"commit_every must be at least 1, not {commit_every}")
    return index(commit_every)


def _checked_layout(layout: str, key_format: str | None, db: bytes | None) -> type[PlainLayout]:
    if db is not None and layout != "plain":
        raise InvalidParameterError(f"the layout {layout!r} is that of a main database")
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
                f"key_format must have a place for a number, such as '%08d', not {key_format!r}"
            )
    return kind


def _locate(
    path: str | bytes | PathLike[str] | PathLike[bytes], exist: str, subdir: bool | None
) -> Options:
    """Where the environment is to be, by the rules of Environment."""
    if exist not in ("error", "extend", "replace"):
        raise InvalidParameterError(f"exist must be 'error', 'extend' or 'replace', not {exist!r}")
    absolute, given_path, subdir = locate(path, subdir)
    location = Options({"path": absolute, "given_path": given_path, "subdir": subdir})
    if exist == "error" and os.path.exists(location.data_path):
        raise FileExistsError(
            f"{location.given_path!r} exists; exist='extend' adds samples to it, exist='replace'"
            " replaces it"
        )
    return location
