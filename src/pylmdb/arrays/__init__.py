# SPDX-License-Identifier: MIT
"""Arrays in and out of values, beside the methods that Transaction, Cursor and
Environment have for them.

    >>> env = pylmdb.open("/tmp/vectors")
    >>> with env.begin(write=True) as txn:
    ...     txn.put_array(b"one", numpy.arange(3))
    ...     txn.put_arrays(range(1000), numpy.random.rand(1000, 512), key_format="%08d")
    >>> with env.begin() as txn:
    ...     batch = txn.take([7, 3, 5], "f8", (512,), key_format="%08d")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import npy as _npy
from .snapshot import Snapshot

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


__all__ = ["Snapshot", "dumps", "loads"]


def dumps(array: ArrayLike) -> bytes:
    """An array as bytes in ``.npy`` format, without padding: what ``loads`` and
    ``numpy.load`` read.

    :raises TypeError: the array holds Python objects.
    """
    array = _npy.storable(array)
    plan = _npy.plan(array, None, 0)
    value: bytes = plan.header + _npy.without_fields(array).tobytes(plan.order)
    return value


def loads(value: Any) -> NDArray[Any]:
    """The array in a value in ``.npy`` format: an ndarray that shows the memory of
    ``value``, a bytes-like object, and is writable if that is.

    :raises InvalidParameterError: it is not in that format, or too short.
    """
    return _npy.decode(memoryview(value).cast("B"))
