# SPDX-License-Identifier: MIT
"""The options that functions pass on to :class:`Writer`, by name.

A function that makes a data set accepts the options of a Writer besides its own.  Type checkers
read their names from a TypedDict.  At run time a decorator gives the signature and the
documentation, and refuses names that are misspelt.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

from .._base.keywords import refuse_unknown
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike
    from typing import Literal

    from .._base.progress import Progress
    from ._images import Axes, Mode

    Function = TypeVar("Function", bound=Callable[..., Any])


_OPTIONS = re.compile(r"^:param options:.*(\n .*)*", re.MULTILINE)
_PARAMETER = re.compile(r"^:param (\w+):.*(?:\n .*)*", re.MULTILINE)


class WriterOptions(TypedDict, total=False):
    """The options of a Writer that functions pass on."""

    commit_every: int | Literal["auto"]
    progress: Progress
    exist: Literal["error", "extend", "replace"]
    key_format: str | None
    db: bytes | None
    subdir: bool | None
    map_size: int | None
    sync: bool
    writemap: bool
    max_dbs: int | None
    lock: bool
    lib_version: int | None
    page_size: int | None
    checksums: bool


class PackOptions(WriterOptions, total=False):
    """The options of :func:`from_images`, without the layout, and those of a Writer."""

    keys: Literal["name", "stem", "number"] | Callable[[str], str] | None
    decode: bool | None
    mode: Mode | None
    axes: Axes | None
    resize: tuple[int, int] | None
    check_size: bool
    shuffle: bool
    seed: int
    errors: Literal["raise", "skip"]
    resume: bool
    threads: int


def accepts(options: object, *receivers: Callable[..., Any]) -> Callable[[Function], Function]:
    """Return a decorator for a function whose ``**options`` a TypedDict names.

    :param options: the TypedDict.
    :param receivers: the functions that the options are passed to, which have their defaults.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind != each.VAR_KEYWORD]
        known = {
            name: each
            for receiver in receivers
            for name, each in inspect.signature(receiver).parameters.items()
        }
        passed = [
            known[name].replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name in options.__annotations__
        ]
        named = signature.replace(parameters=[*own, *passed])

        @functools.wraps(function)
        def call(*args: object, **given: object) -> object:
            refuse_unknown(function.__name__, given, named.parameters)
            return function(*args, **given)

        call.__signature__ = named  # type: ignore[attr-defined]
        explained = {name: text for each in receivers for name, text in _explained(each)}
        texts = [explained[name] for name in options.__annotations__ if name in explained]
        call.__doc__ = re.sub(_OPTIONS, lambda _: "\n".join(texts), inspect.getdoc(function) or "")
        return cast("Function", call)

    return decorate


def nothing_in(
    function: str, source: str | PathLike[str], what: str, hint: str = ""
) -> InvalidParameterError:
    """Return the exception for a source of which an empty data set would be made."""
    name = os.fspath(source)
    return InvalidParameterError(f"{function}: {name!r} has no {what}", hint=hint)


def _explained(function: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Yield the names of parameters, and what a docstring says about them."""
    for found in _PARAMETER.finditer(inspect.getdoc(function) or ""):
        yield found[1], found[0]
