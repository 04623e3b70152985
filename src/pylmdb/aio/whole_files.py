# SPDX-License-Identifier: MIT
"""The functions for whole files as coroutines: each runs in a thread.

A task that is cancelled ends its function, which undoes what it has done, and waits for that.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

from .. import tools
from .._base.progress import stoppable
from ..environment import Environment
from .methods import without_examples

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterator
    from concurrent.futures import Future
    from typing import Literal, ParamSpec

    from .._base.progress import Progress
    from ..database import Database
    from ..tools.bulk_loading import Records
    from ..tools.sources import Source
    from ..types import BytesLike
    from . import AsyncEnvironment

    P = ParamSpec("P")

T = TypeVar("T")
# how many records of an asynchronous iterable are fetched at once
_BATCH = 1000
_NOTE = """

    It runs in a thread.  When the task is cancelled, the function ends, undoes what it has done,
    and then CancelledError is raised.  A file that was complete by then stays.  A function given
    as ``progress`` is called in the thread.
    """


class _Cancelled(BaseException):
    """Ends a function in its thread; the task raises CancelledError."""


class _Call:
    """A function that runs in a thread for a task."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._is_cancelled = False
        # None: the default executor of the loop
        self._executor: ThreadPoolExecutor | None = None
        # the next records of an asynchronous iterable, which the thread waits for
        self._fetching: Future[Any] | None = None

    def check(self) -> None:
        """Raise in the thread if the task was cancelled."""
        if self._is_cancelled:
            raise _Cancelled

    def use_own_thread(self) -> None:
        """Run the function outside the loop's default executor.

        The function waits for coroutines, and these may need that executor, as ``to_thread()``
        and ``getaddrinfo()`` do.  If such functions had all its threads, all would wait for ever.
        """
        self._executor = ThreadPoolExecutor(1, "pylmdb-bulk-load")

    async def run(self, function: Callable[[], T]) -> T:
        running = self.loop.run_in_executor(self._executor, partial(self._run, function))
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._cancel()
            while not running.done():
                try:
                    await asyncio.wait([running])
                except asyncio.CancelledError:
                    continue
            if not running.cancelled():
                running.exception()  # else asyncio would log it
            raise

    def _run(self, function: Callable[[], T]) -> T:
        with stoppable(self.check):
            self.check()
            return function()

    def _cancel(self) -> None:
        self._is_cancelled = True
        if self._fetching is not None:
            self._fetching.cancel()

    # -- in the thread --

    def iterate(self, records: AsyncIterable[T]) -> Iterator[T]:
        """Iterate over an asynchronous iterable, which runs in the event loop."""
        iterator = aiter(records)
        while True:
            fetching = asyncio.run_coroutine_threadsafe(_next_batch(iterator), self.loop)
            self._fetching = fetching
            if self._is_cancelled:
                fetching.cancel()
            try:
                batch, failure = fetching.result()
            except BaseException:
                self.check()
                raise
            yield from batch
            if failure is not None:
                raise failure
            if len(batch) < _BATCH:
                return


async def _next_batch(iterator: AsyncIterator[T]) -> tuple[list[T], Exception | None]:
    """Return the next items, fewer at the end; and the exception after them."""
    batch: list[T] = []
    try:
        while len(batch) < _BATCH:
            batch.append(await anext(iterator))
    except StopAsyncIteration:
        pass
    except Exception as failure:
        return batch, failure
    return batch, None


def _synchronous(argument: object) -> object:
    """Return an argument as the function takes it: with environments instead of wrappers."""
    if isinstance(argument, (list, tuple)):
        return type(argument)(map(_synchronous, argument))
    wrapped = getattr(argument, "_wrapped", None)
    if wrapped is None:
        return argument
    argument._state().refuse_self_wait("this function")  # type: ignore[attr-defined]
    return wrapped


def _coroutine(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make a coroutine of a function for whole files."""

    @wraps(function)
    async def coroutine(*args: P.args, **kwargs: P.kwargs) -> T:
        given: list[Any] = [*map(_synchronous, args)]
        named: dict[str, Any] = {name: _synchronous(each) for name, each in kwargs.items()}
        return await _Call().run(partial(function, *given, **named))

    coroutine.__module__ = "pylmdb.aio"
    coroutine.__doc__ = f"{(without_examples(function.__doc__) or '').rstrip()}{_NOTE}"
    return coroutine


# a method of AsyncEnvironment
backup = _coroutine(Environment.backup)
backup_info = _coroutine(tools.backup_info)
convert = _coroutine(tools.convert)
dump = _coroutine(tools.dump)
load = _coroutine(tools.load)
merge = _coroutine(tools.merge)
restore = _coroutine(tools.restore)
salvage = _coroutine(tools.salvage)
verify = _coroutine(tools.verify)


async def bulk_load(
    dest: Source | AsyncEnvironment,
    records: Records | AsyncIterable[tuple[BytesLike, BytesLike]],
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

    It is :func:`pylmdb.bulk_load` in a thread.  When the task is cancelled, it undoes what it has
    done, and then CancelledError is raised.

    :param dest: a path, an open Environment, or an :class:`AsyncEnvironment`.
    :param records: as for :func:`pylmdb.bulk_load`; or an asynchronous iterable of pairs of key
        and value, which runs in the event loop.
    :param db: as for :func:`pylmdb.bulk_load`, and so are ``memory``, ``on_conflict``,
        ``key_format``, ``subdir``, ``lib_version``, ``page_size``, ``checksums`` and
        ``flags``.
    :param progress: as for :func:`pylmdb.bulk_load`; a function is called in the thread.
    :return: the number of records written.
    """
    call = _Call()
    given: Any = records
    if hasattr(type(given), "__aiter__"):
        call.use_own_thread()
        given = call.iterate(given)
    target: Any = _synchronous(dest)
    return await call.run(
        partial(
            tools.bulk_load, target, given, db, memory=memory, on_conflict=on_conflict,
            progress=progress, key_format=key_format, subdir=subdir, lib_version=lib_version,
            page_size=page_size, checksums=checksums, **flags,
        )
    )  # fmt: skip
