# SPDX-License-Identifier: MIT
"""The ``.npy`` format of arrays as values, with padding that aligns the data.

A value is what ``numpy.save`` writes (format version 1.0, or 3.0 where a field's name needs it):
magic, version, length of the header, a dict with ``descr``, ``fortran_order`` and ``shape`` as
text, and the data.  Readers accept a header of any length.  So the header is padded so that the
data begins on a 64-byte boundary of the page:

- A value on overflow pages begins right after the header of the page, which has 16 bytes in LMDB
  0.9 and 24 in 1.0.
- A smaller value is in a node of a leaf page, after 8 bytes and the key.  LMDB places nodes from
  the end of the page towards its beginning.  If the size of each is a multiple of 64, each begins
  on a boundary.  So zeros, which readers ignore, follow the data up to such a size.  If the largest
  node is smaller than that, zeros make the value large enough for an overflow page.

So all arrays are aligned on pages that hold only arrays.  Other values on a leaf page can shift
them.  A database with duplicates moves its values, so they are not padded there.
"""

from __future__ import annotations

import ast
import builtins
import functools
import math
import re
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .._base.numpy import np
from .._base.words import counted
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..types import BytesLike

MAGIC = b"\x93NUMPY"
ALIGNMENT = 64
# how many parsed headers are cached, and how many plans
_MAX_CACHED = 4096
# by major version: the offset of the header's text, and its encoding
_VERSIONS = {1: (10, "latin1"), 2: (12, "latin1"), 3: (12, "utf8")}
_FIELDS = {"descr", "fortran_order", "shape"}


class PageLayout(NamedTuple):
    """The layout of the pages of an environment.

    :ivar page_header: the bytes before a value on an overflow page.
    :ivar node_max: the largest node of a leaf page, in bytes.
    :ivar even_keys: True if a key is padded to an even number of bytes.
    """

    page_header: int
    node_max: int
    even_keys: bool


@functools.cache
def page_layout(version: int, page_size: int) -> PageLayout:
    """Return the layout of LMDB 0.9 (``version`` 0) or 1.0 (1) on 64-bit systems."""
    page_header = 24 if version else 16
    return PageLayout(page_header, ((page_size - page_header) // 2 & ~1) - 2, bool(version))


# -- writing --------------------------------------------------------------------------


class Plan(NamedTuple):
    """How an array is stored: a header, the data in an order, and zeros up to a size."""

    header: bytes
    order: Literal["C", "F"]
    size: int


_plans: dict[Any, Plan] = {}


def storable(array: ArrayLike | BytesLike) -> NDArray[Any]:
    """Return ``array`` as an ndarray.

    :raises TypeError: it holds Python objects.
    """
    array = np.asarray(array)
    if array.dtype.hasobject:
        raise TypeError(
            f"an array of dtype {array.dtype} holds Python objects, which are not stored;"
            " give it another dtype with astype()"
        )
    return array


def without_fields(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of ``array`` with dtype ``V`` in place of fields.

    numpy does not copy the gaps between fields, so old content of the memory would stay there.
    """
    if array.dtype.names is None or not array.dtype.itemsize:
        return array
    return array.view(f"V{array.dtype.itemsize}")


def plan(array: NDArray[Any], page: PageLayout | None, key_size: int) -> Plan:
    """Return how to store ``array`` as the value of a key; without padding if ``page`` is None."""
    flags = array.flags
    order: Literal["C", "F"] = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    known = (array.dtype, array.shape, order, page, key_size)
    found = _plans.get(known)
    if found is None:
        if len(_plans) >= _MAX_CACHED:
            _plans.clear()
        found = _plans[known] = _make_plan(array, order, page, key_size)
    return found


def fill(target: bytearray | memoryview, plan: Plan, array: NDArray[Any]) -> None:
    """Write ``array`` as planned into a writable buffer of ``plan.size`` bytes."""
    begin, end = len(plan.header), len(plan.header) + array.nbytes
    target[:begin] = plan.header
    source = without_fields(array)
    np.copyto(np.ndarray(source.shape, source.dtype, target, begin, None, plan.order), source)
    target[end:] = bytes(plan.size - end)


def _make_plan(
    array: NDArray[Any], order: Literal["C", "F"], page: PageLayout | None, key_size: int
) -> Plan:
    check_extent("the array", array.dtype, array.shape)  # reading refuses it
    text = _text(array.dtype, order == "F", array.shape)
    if page is None:
        header = _framed(text, None)
        return Plan(header, order, len(header) + array.nbytes)
    before = 8 + key_size + (key_size & 1 if page.even_keys else 0)
    header = _framed(text, before)
    size = len(header) + array.nbytes
    padded = size + -(before + size) % ALIGNMENT
    if before + padded <= page.node_max:
        return Plan(header, order, padded)
    header = _framed(text, page.page_header)
    return Plan(header, order, max(len(header) + array.nbytes, page.node_max + 1 - before))


def header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Return the header of a ``.npy`` file with an array in C order."""
    return _framed(_text(dtype, False, shape), 0)


def _text(dtype: np.dtype[Any], fortran: bool, shape: tuple[int, ...]) -> str:
    fields = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": fortran,
        "shape": shape,
    }
    return "{" + "".join(f"{key!r}: {value!r}, " for key, value in fields.items()) + "}"


def _framed(text: str, offset: int | None) -> bytes:
    """Return the header with ``text``.

    :param offset: the header begins this many bytes after a boundary, and is padded so that the
        data begins on the next one; None for no padding.
    """
    try:
        raw, version = text.encode("latin1"), 1
    except UnicodeEncodeError:
        raw, version = text.encode("utf8"), 3
    if len(raw) > _MAX_HEADER - 2 * ALIGNMENT:
        raise InvalidParameterError(
            f"the description of the dtype and shape has {len(raw)} bytes; headers have at most"
            f" {_MAX_HEADER - 2 * ALIGNMENT}"
        )
    before = len(MAGIC) + (4 if version == 1 else 6)
    size = before + len(raw) + 1
    padding = 0 if offset is None else -(offset + size) % ALIGNMENT
    length = (size + padding - before).to_bytes(before - len(MAGIC) - 2, "little")
    return MAGIC + bytes([version, 0]) + length + raw + b" " * padding + b"\n"


# -- reading --------------------------------------------------------------------------


class Form(NamedTuple):
    """The dtype, shape and order that a header describes.

    :ivar header: the size of the header, in bytes.
    :ivar size: the size of the data, in bytes.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    header: int
    size: int


_forms: dict[bytes, Form] = {}


def form_of(value: memoryview) -> Form:
    """Parse the header at the start of ``value``, a memoryview of bytes.

    :raises InvalidParameterError: the header is not valid.
    """
    end = _header_end(value)
    header = bytes(value[:end])
    found = _forms.get(header)
    if found is None:
        if len(_forms) >= _MAX_CACHED:
            _forms.clear()
        found = _forms[header] = _parse(header)
    return found


def whole_form(value: memoryview) -> Form:
    """Parse the header of ``value``, and check that all of the data follows.

    :raises InvalidParameterError: the header is not valid, or data is missing.
    """
    form = form_of(value)
    if form.header + form.size > len(value):
        raise _not_npy(
            f"its header asks for {counted(form.size, 'byte')} of data;"
            f" {len(value) - form.header} follow"
        )
    return form


def decode(value: memoryview) -> NDArray[Any]:
    """Return the array in ``value``.  It shares the memory of that."""
    form = whole_form(value)
    try:
        return np.ndarray(form.shape, form.dtype, value, form.header, None, form.order)
    except ValueError as problem:
        raise _not_npy(str(problem)) from None


def _header_end(value: memoryview) -> int:
    if len(value) < 12 or value[:6] != MAGIC:
        raise _not_npy(f"it begins with {bytes(value[:6])!r}, not with {MAGIC!r}")
    major, minor = value[6], value[7]
    if major not in _VERSIONS or minor:
        raise _not_npy(f"its format version is {major}.{minor}; known are 1.0, 2.0 and 3.0")
    begin, _ = _VERSIONS[major]
    end = begin + int.from_bytes(value[8:begin], "little")
    if end - begin > _MAX_HEADER or end > len(value):
        raise _not_npy(
            f"its header claims {counted(end - begin, 'byte')}; the value has {len(value)},"
            f" and headers have at most {_MAX_HEADER}"
        )
    return end


def _parse(header: bytes) -> Form:
    """Parse a header, which is a literal of Python.  Nothing is executed."""
    begin, encoding = _VERSIONS[header[6]]
    try:
        text = header[begin:].decode(encoding)
        if not _LITERAL.fullmatch(text):
            raise ValueError("it must be a literal of strings, sizes, and True or False")
        fields = ast.literal_eval(text)
        if not isinstance(fields, dict) or set(fields) != _FIELDS:
            raise ValueError("its fields must be " + ", ".join(sorted(_FIELDS)))
        shape, fortran = fields["shape"], fields["fortran_order"]
        if not isinstance(fortran, bool):
            raise ValueError("fortran_order must be True or False")
        if not _is_shape(shape):
            raise ValueError("shape must be a tuple of integers of at least 0")
        _check_descr(fields["descr"])
        dtype = np.lib.format.descr_to_dtype(fields["descr"])
        if dtype.hasobject:
            raise ValueError(f"dtype {dtype} holds Python objects, which are never read")
        count = math.prod(shape)
        size = count * dtype.itemsize
        if max(count, size) > sys.maxsize or len(shape) > _DIMENSIONS:
            raise ValueError(
                f"the shape {shape} is too large; arrays have at most {_DIMENSIONS} dimensions and"
                f" {sys.maxsize} bytes"
            )
        check_extent("the array", dtype, shape)
        if not size:
            np.ndarray(shape, dtype)  # numpy refuses some shapes itself
    except _MALFORMED as problem:
        raise _not_npy(f"its header cannot be read: {problem}") from None
    return Form(dtype, shape, "F" if fortran else "C", len(header), size)


# Only literals that numpy writes: for others the parser warns, and it recurs for each operator.
# No two branches begin alike, so the search never backtracks.
_LITERAL = re.compile(
    r"""(?: [ \t\n0-9{}()\[\],:] | True | False
      | '(?: [^'\\\n] | \\['"\\nrt] | \\x[0-9a-f]{2} | \\u[0-9a-f]{4} | \\U[0-9a-f]{8} )*'
      | "(?: [^"\\\n] | \\['"\\nrt] | \\x[0-9a-f]{2} | \\u[0-9a-f]{4} | \\U[0-9a-f]{8} )*"
    )*""",
    re.VERBOSE,
)
# one type, with its byte order and size
_CODE = re.compile(r"[<>|=]?(?:\?|[biufcSUV]\d+|O\d*|[mM]8(?:\[\d*\w+\])?)")


def _is_shape(shape: int | tuple[int, ...]) -> bool:
    return type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape)


def _check_descr(descr: object) -> None:
    """Refuse a dtype that is neither a code nor a list of fields; numpy accepts other forms, too.

    :raises ValueError: it is neither.
    """
    if isinstance(descr, list):
        for field in descr:
            if type(field) is not tuple or len(field) not in (2, 3):
                raise ValueError(f"{field!r} is not a field")
            _, inner, *shape = field
            if not all(map(_is_shape, shape)):
                raise ValueError(f"{field!r} is not a field")
            _check_descr(inner)
    elif not isinstance(descr, str) or not _CODE.fullmatch(descr):
        raise ValueError(f"{descr!r} is not a dtype")


def check_extent(what: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Refuse a shape whose elements outnumber the bytes of the array.

    If an axis or the elements have size 0, the array has no bytes.  So the data does not limit what
    the other axes claim, and copying or printing the array loops over all of them.

    :raises InvalidParameterError: there are more such elements than are accepted.
    """
    steps = _steps(dtype, shape)
    if steps > max(math.prod(shape) * dtype.itemsize, _MAX_WITHOUT_DATA):
        raise InvalidParameterError(
            f"{what} of {dtype} and shape {shape} has {steps} elements without data; at most"
            f" {_MAX_WITHOUT_DATA} are accepted"
        )


def _steps(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    """Count the steps of a loop over all elements and their fields.

    An axis of length 0 ends the loops over the axes after it.
    """
    if 0 in shape:
        return math.prod(shape[: shape.index(0)])
    steps = math.prod(shape)
    if dtype.subdtype is not None:
        return steps * max(1, _steps(*dtype.subdtype))
    if dtype.fields is not None:
        fields = sum(_steps(field[0], ()) for field in dtype.fields.values())
        return steps * max(1, fields)
    return steps


# what literal_eval(), decoding and numpy raise for text that is not valid
_MALFORMED = (
    ValueError, TypeError, SyntaxError, IndexError, KeyError, OverflowError, AttributeError,
    builtins.MemoryError, RecursionError,
)  # fmt: skip
_DIMENSIONS = 64
# how many elements without data an array may have; a loop over them takes milliseconds
_MAX_WITHOUT_DATA = 1 << 20
# the longest header that is accepted; numpy accepts 10,000 bytes
_MAX_HEADER = 64 * 1024
#: the size of magic, version, length and the longest header
MAX_HEADER = 12 + _MAX_HEADER


def _not_npy(why: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"the value is not an array in .npy format: {why}",
        hint="get() returns the bytes; put_array() stores arrays",
    )
