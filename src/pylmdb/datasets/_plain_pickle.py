# SPDX-License-Identifier: MIT
"""Pickles of plain data, read without running what they say.

Old layouts pickle a number, a list of keys, a dict of them, or a pair of bytes and a label.
A pickle is a program: one from a stranger can do anything.  Here it can build None, booleans,
numbers, strings, bytes, tuples, lists, dicts and sets, and anything else is refused.

The unpickler is the one that is written in Python: the compiled one makes room for as many
notes as a pickle claims to have, which would let ten bytes take all memory.
"""

from __future__ import annotations

import io
import pickle
import struct
from pickle import _Unpickler as PickleMachine
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_MODULES = ("builtins", "__builtin__")
# what the unpickler raises for text that is no pickle
_MALFORMED = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    AssertionError, ImportError, OverflowError, UnicodeError, RecursionError, MemoryError,
    struct.error,
)  # fmt: skip


def _latin1(text: object, encoding: object) -> bytes:
    """How Python 3 pickles bytes in protocols that had none."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it calls codecs.encode for something else than bytes")
    return text.encode("latin1")


def _nothing(*given: object) -> bytes:
    """Empty bytes, in the same protocols."""
    if given:
        raise pickle.UnpicklingError("it makes bytes of something")
    return b""


def _bytearray(content: object = b"", encoding: object = "latin-1") -> bytearray:
    """From bytes, or in the same protocols from text; a number would be a size."""
    if isinstance(content, str) and encoding == "latin-1":
        content = content.encode("latin1")
    if not isinstance(content, bytes):
        raise pickle.UnpicklingError("it makes a bytearray of something else than bytes")
    return bytearray(content)


_CLASSES: dict[str, Callable[..., Any]] = {
    "bytearray": _bytearray, "bytes": _nothing, "set": set, "frozenset": frozenset,
    "complex": complex,
}  # fmt: skip


class _Unpickler(PickleMachine):
    """The unpickler for a value of so many bytes."""

    dispatch: ClassVar[dict[int, Any]] = {**PickleMachine.dispatch}

    def __init__(self, value: bytes | memoryview) -> None:
        super().__init__(io.BytesIO(value))
        self._left = len(value)

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) == ("_codecs", "encode"):
            return self._counted(_latin1)
        if module in _MODULES and name in _CLASSES:
            return self._counted(_CLASSES[name])
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A pickle says each content once.  One that has a content copied again and again could
        make a million times as many bytes as it has."""

        def call(*given: Any) -> object:
            self._left -= sum(len(each) for each in given if hasattr(each, "__len__"))
            if self._left < 0:
                raise pickle.UnpicklingError("it makes more than it holds")
            return function(*given)

        return call

    def _load_bytearray(self: Any) -> None:
        """The standard one makes room for as many bytes as are claimed before it reads any."""
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray

    def persistent_load(self, pid: object) -> NoReturn:
        raise pickle.UnpicklingError("it refers to objects elsewhere")


def loads(value: bytes | memoryview) -> Any:
    """The plain data in a pickle.

    :raises InvalidParameterError: it is none, or holds something else.
    """
    try:
        return _Unpickler(value).load()
    except _MALFORMED as problem:
        raise InvalidParameterError(f"the value is not a pickle of plain data: {problem}") from None
