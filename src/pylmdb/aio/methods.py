# SPDX-License-Identifier: MIT
"""Decorators that make asynchronous methods with the signature and docstring of others."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from .executors import collect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator
    from typing import Concatenate

    from typing_extensions import ParamSpec

    from .executors import TransactionExecutor

    P = ParamSpec("P")

T = TypeVar("T")
Function = TypeVar("Function", bound="Callable[..., Any]")


def without_examples(text: str | None) -> str | None:
    """Return a docstring without its examples, which do not await."""
    if text is None:
        return None
    return "\n\n".join(each for each in text.split("\n\n") if not each.lstrip().startswith(">>>"))


def documented_by(method: Callable[..., Any]) -> Callable[[Function], Function]:
    """Return a decorator that gives a function the signature and docstring of a method."""

    def adopt(function: Function) -> Function:
        wraps(method)(function)  # it changes the function, and returns it
        function.__doc__ = without_examples(method.__doc__)
        return function

    return adopt


def short_call(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Make an asynchronous method of one that takes microseconds; it runs at once if possible."""
    name = method.__name__

    @documented_by(method)
    async def coroutine(self: Wrapper, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call: Callable[P, T] = getattr(self._wrapped, name)
        if self._executor.can_run_inline():
            return call(*args, **kwargs)
        return await self._executor.run_short(call, *args, **kwargs)

    return coroutine


def long_call(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Make an asynchronous method of one that may take long; it runs in a thread."""
    name = method.__name__

    @documented_by(method)
    async def coroutine(self: Wrapper, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call: Callable[P, T] = getattr(self._wrapped, name)
        return await self._executor.run_long(call, *args, **kwargs)

    return coroutine


def blocking_call(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Make a method that is not awaited."""
    name = method.__name__

    @documented_by(method)
    def function(self: Wrapper, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call: Callable[P, T] = getattr(self._wrapped, name)
        return self._executor.run_blocking(lambda: call(*args, **kwargs))

    return function


def record_iteration(
    method: Callable[Concatenate[Any, P], Iterator[Any]],
) -> Callable[Concatenate[Any, P], Records[Any]]:
    """Make a method that returns :class:`Records`."""
    name = method.__name__

    @documented_by(method)
    def function(self: Wrapper, /, *args: P.args, **kwargs: P.kwargs) -> Records[Any]:
        return Records(self._executor, lambda: getattr(self._wrapped, name)(*args, **kwargs))

    return function


class Asynchronous:
    """Base of what is used with ``async``: says so where that was forgotten."""

    __slots__ = ()

    if not TYPE_CHECKING:  # where these do not exist, type checkers find the mistake

        def __enter__(self):
            raise TypeError(f"{_kind(self)} needs 'async with', not 'with'")

        def __exit__(self, *exc):
            raise TypeError(f"{_kind(self)} needs 'async with', not 'with'")

        def __iter__(self):
            raise TypeError(f"{_kind(self)} needs 'async for' or 'await', not 'for'")


def _kind(awaited: object) -> str:
    return f"pylmdb.aio: {type(awaited).__name__}"


class DeferredCoroutine(Asynchronous, Coroutine[Any, Any, T]):
    """A coroutine that starts when it is awaited, or when a task runs it.

    Awaiting it again starts a new run.  If it is never awaited, nothing happens, and Python does
    not warn.
    """

    __slots__ = ("_make", "_started")

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._make = make
        self._started: Coroutine[Any, Any, T] | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._make().__await__()

    def _coroutine(self) -> Coroutine[Any, Any, T]:
        if self._started is None:
            self._started = self._make()
        return self._started

    def send(self, value: object) -> object:
        return self._coroutine().send(value)

    def throw(self, *exc: Any) -> object:
        return self._coroutine().throw(*exc)

    def close(self) -> None:
        if self._started is not None:
            self._started.close()


class Records(DeferredCoroutine[list[T]]):
    """The records of an iteration: ``async for`` yields them one by one, ``await`` returns a list.

    Each of the two starts a new iteration at the position of the cursor.
    """

    __slots__ = ("_executor", "_iterate")

    def __init__(self, executor: TransactionExecutor, iterate: Callable[[], Iterator[T]]) -> None:
        super().__init__(lambda: executor.run_long(collect, iterate))
        self._executor, self._iterate = executor, iterate

    def __aiter__(self) -> AsyncIterator[T]:
        return self._executor.iterate(self._iterate)


class AwaitableContext(DeferredCoroutine[T]):
    """Makes an object: ``await`` returns it, ``async with`` also ends it after the block."""

    __slots__ = ("_entered",)

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            raise AttributeError(
                f"{_kind(self)} has no attribute {name!r}; 'await' it, or use it with 'async with'"
            )

    async def __aenter__(self) -> T:
        self._entered: Any = await self._make()
        made: T = self._entered
        return made

    async def __aexit__(self, *exc: object) -> None:
        await self._entered.__aexit__(*exc)


class Wrapper(Asynchronous):
    """Base of classes that wrap a synchronous object; its plain attributes can be read."""

    __slots__ = ()

    _wrapped: Any
    _executor: TransactionExecutor  # not in AsyncEnvironment

    if not TYPE_CHECKING:  # type checkers know the attributes, and would accept any name

        def __getattr__(self, name):
            if name.startswith("_"):
                raise AttributeError(name)
            attribute = getattr(self._wrapped, name)
            if callable(attribute):
                raise AttributeError(
                    f"{type(self).__name__} has no {name}(); call the synchronous one in a thread"
                )
            return attribute

    def __repr__(self) -> str:
        return f"<pylmdb.aio.{type(self).__name__} of {self._wrapped!r}>"
