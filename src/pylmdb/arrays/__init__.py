# SPDX-License-Identifier: MIT
"""Arrays as values, without a database; and snapshots by number.

The array methods are those of Transaction, Cursor and Environment.

    >>> import numpy
    >>> env = pylmdb.open("vectors")
    >>> with env.begin(write=True) as txn:
    ...     txn.put_arrays(range(1000), numpy.random.rand(1000, 512), key_format="%08d")
    1000
    >>> with env.begin() as txn:
    ...     txn.take([7, 3, 5], "f8", (512,), key_format="%08d").shape
    (3, 512)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._base.public_names import directory
from . import npy as _npy
from .snapshot import Snapshot

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    from ..types import BytesLike

__all__ = ["Snapshot", "dumps", "loads"]
__dir__ = directory(__all__)


def dumps(array: ArrayLike) -> bytes:
    """Return an array in ``.npy`` format (version 1.0; 3.0 if a field's name needs it).

    :func:`loads` and ``numpy.load`` read it.  It is not padded, so the data is not aligned.

    >>> import numpy
    >>> pylmdb.arrays.loads(pylmdb.arrays.dumps(numpy.arange(3)))
    array([0, 1, 2])

    :param array: of any shape and any dtype without Python objects.  Fortran order is kept; other
        strides become C order.
    :raises TypeError: the array holds Python objects.
    """
    array = _npy.storable(array)
    plan = _npy.plan(array, None, 0)
    value: bytes = plan.header + _npy.without_fields(array).tobytes(plan.order)
    return value


def loads(value: BytesLike) -> NDArray[Any]:
    """Return the array in a value in ``.npy`` format.

    The array shares the memory of ``value``, and is writable if that is.

    :param value: a bytes-like object.
    :raises InvalidParameterError: it is not in ``.npy`` format, or shorter than its header says.
    """
    return _npy.decode(memoryview(value).cast("B"))  # type: ignore[arg-type]
