# SPDX-License-Identifier: MIT
"""Messages for keywords that a function does not have.

Python's own message names only the keyword, and for a class its ``__init__``.  Here the message
also has the parameter that was probably meant, or all of them.  Nothing is looked up before a call
has failed.
"""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from .causes import raised_in_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, ParamSpec, TypeVar

    Parameters = ParamSpec("Parameters")
    Result = TypeVar("Result")

_TAKES_ALL_KEYWORDS = 0x08  # CO_VARKEYWORDS: the function has **options, and checks them itself
_COPIED = ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__")


def unexpected(function: str, keyword: object, known: Iterable[str]) -> TypeError:
    """Return the exception for a keyword that a function does not have.

    :param function: its name, for the message.
    :param known: its parameters.
    """
    names = [name for name in known if name not in ("self", "cls")]
    text = f"{function}() got an unexpected keyword argument {keyword!r}"
    meant = closest(str(keyword), names)
    if meant is not None:
        return TypeError(f"{text}; did you mean {meant}?")
    return TypeError(f"{text}; it has {', '.join(names) or 'no parameters'}")


def closest(word: str, known: list[str]) -> str | None:
    """Return the name that was probably meant; None if there is none."""
    from difflib import get_close_matches  # imported late: only failures need it

    by_letters = {name.replace("_", ""): name for name in known}
    close = get_close_matches(word.replace("_", "").lower(), by_letters, 1, 0.7)
    return by_letters[close[0]] if close else None


def parameters(*functions: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters of functions, each name once."""
    names: dict[str, None] = {}
    for function in functions:
        code = getattr(function, "__wrapped__", function).__code__
        names.update(dict.fromkeys(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]))
    return [*names]


def refuse_unknown(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError if one of the keywords ``given`` is not among those that are known."""
    for keyword in given:
        if keyword not in known:
            raise unexpected(function, keyword, known)


def explains_keywords(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a function: a call with a keyword that it lacks raises what :func:`unexpected` says.

    A class is named instead of its ``__init__``.
    """

    def call(*args: Parameters.args, **given: Parameters.kwargs) -> Result:
        try:
            return function(*args, **given)
        except TypeError as failure:
            # A call that does not reach the function leaves no frame of it.
            if (
                not raised_in_python(failure)
                and not function.__code__.co_flags & _TAKES_ALL_KEYWORDS
            ):
                name = call.__qualname__.removesuffix(".__init__")
                refuse_unknown(name, given, parameters(function))
            raise

    for name in _COPIED:
        setattr(call, name, getattr(function, name))
    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call
