# SPDX-License-Identifier: MIT
"""Read pickles of plain data, without running code.

Some layouts pickle a number, a list of keys, a dict of them, or a pair of bytes and a label.  A
pickle is a program, which can do anything.  This unpickler builds None, booleans, numbers, strings,
bytes, tuples, lists, dicts and sets, and refuses everything else.

It is derived from the unpickler in Python.  The compiled one allocates as many memo entries as a
pickle claims to have, so ten bytes could take all memory.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sized
from pickle import _Unpickler as PickleMachine
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_MODULES = ("builtins", "__builtin__")
# what the unpickler raises for bytes that are not a pickle
_MALFORMED = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    AssertionError, ImportError, OverflowError, UnicodeError, RecursionError, MemoryError,
    struct.error,
)  # fmt: skip


def _latin1(text: object, encoding: object) -> bytes:
    """Encode bytes that protocols before 3 pickle as text."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it calls codecs.encode for something other than bytes")
    return text.encode("latin1")


def _nothing(*given: object) -> bytes:
    """Return empty bytes, as the same protocols pickle them."""
    if given:
        raise pickle.UnpicklingError("it calls bytes() with arguments")
    return b""


def _bytearray(content: object = b"", encoding: object = "latin-1") -> bytearray:
    """Return a bytearray of bytes, or of text as the same protocols pickle it.

    A number would be a size, and is refused.
    """
    if isinstance(content, str) and encoding == "latin-1":
        content = content.encode("latin1")
    if not isinstance(content, bytes):
        raise pickle.UnpicklingError("it makes a bytearray of something other than bytes")
    return bytearray(content)


_CLASSES: dict[str, Callable[..., Any]] = {
    "bytearray": _bytearray, "bytes": _nothing, "set": set, "frozenset": frozenset,
    "complex": complex,
}  # fmt: skip


class _Unpickler(PickleMachine):
    """An unpickler that makes no more bytes than the pickle has."""

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
        """Wrap a function, to limit the bytes that it copies to the size of the pickle.

        A pickle holds each content once.  One that copies a content repeatedly could make a million
        times as many bytes as it has.
        """

        def call(*given: object) -> object:
            self._left -= sum(len(each) for each in given if isinstance(each, Sized))
            if self._left < 0:
                raise pickle.UnpicklingError("it makes more than it holds")
            return function(*given)

        return call

    def _load_bytearray(self: Any) -> None:
        """Read a bytearray.  The standard method allocates the claimed size before it reads."""
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray

    def persistent_load(self, pid: object) -> NoReturn:
        raise pickle.UnpicklingError("it refers to objects elsewhere")


def loads(value: bytes | memoryview) -> Any:
    """Return the plain data in a pickle.

    :raises InvalidParameterError: it is not a pickle, or holds something other than plain data.
    """
    try:
        return _Unpickler(value).load()
    except _MALFORMED as problem:
        raise InvalidParameterError(f"the value is not a pickle of plain data: {problem}") from None
