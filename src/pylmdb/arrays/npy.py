# SPDX-License-Identifier: MIT
"""Arrays as values: the ``.npy`` format, laid out so that the data is aligned.

A value is what ``numpy.save`` writes (format version 1.0, or 3.0 where a field's name
needs it): magic, version, length of the header, a dict with ``descr``,
``fortran_order`` and ``shape`` as text, and the data.  Readers take a header of any
length, so its padding is chosen such that the data begins on a 64-byte boundary of
the page:

- A value on pages of its own (an overflow page) begins right behind the page's
  header, of 16 bytes in LMDB 0.9 and 24 in 1.0.
- A smaller one lies in a node of a leaf page, behind 8 bytes and the key.  Nodes are
  placed from the end of the page, each before the last one; if the size of all is a
  multiple of 64, each begins on a boundary.  So zeros follow the data up to there,
  which readers do not look at.  Where no multiple of 64 is left below the largest
  node, zeros make the value large enough for a page of its own.

So among arrays all are aligned; in a leaf page with other values, as these happen to
leave them.  A database with duplicates moves its values about: there is no padding there.
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
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..types import BytesLike

MAGIC = b"\x93NUMPY"
ALIGNMENT = 64
# of how many different headers the meaning is kept
_MAX_CACHED = 4096
# by major version: where the text of the header begins, and its encoding
_VERSIONS = {1: (10, "latin1"), 2: (12, "latin1"), 3: (12, "utf8")}
_FIELDS = {"descr", "fortran_order", "shape"}


class PageLayout(NamedTuple):
    """Where values lie in an environment's pages."""

    # bytes before a value on an overflow page, and the largest node of a leaf page
    page_header: int
    node_max: int
    # whether a key takes an even number of bytes
    even_keys: bool


@functools.cache
def page_layout(version: int, page_size: int) -> PageLayout:
    """The layout of LMDB 0.9 (``version`` 0) and 1.0 (1) on 64-bit systems."""
    page_header = 24 if version else 16
    return PageLayout(page_header, ((page_size - page_header) // 2 & ~1) - 2, bool(version))


# -- writing --------------------------------------------------------------------------


class Plan(NamedTuple):
    """How an array becomes a value: a header, the data, and zeros."""

    header: bytes
    order: Literal["C", "F"]
    size: int


_plans: dict[Any, Plan] = {}


def storable(array: ArrayLike | BytesLike) -> NDArray[Any]:
    """``array`` as an ndarray that can be stored."""
    array = np.asarray(array)
    if array.dtype.hasobject:
        raise TypeError(
            f"an array of dtype {array.dtype} holds Python objects, which are not stored;"
            " give it another dtype with astype()"
        )
    return array


def without_fields(array: NDArray[Any]) -> NDArray[Any]:
    """``array`` with elements of mere bytes in page of fields: of those numpy copies
    nothing of the gaps between them, and what was in memory before would stay there."""
    if array.dtype.names is None or not array.dtype.itemsize:
        return array
    return array.view(f"V{array.dtype.itemsize}")


def plan(array: NDArray[Any], page: PageLayout | None, key_size: int) -> Plan:
    """The plan for ``array`` as the value of a key; ``page`` None: without padding."""
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
    """Write ``array`` as planned into a writable buffer of that size."""
    begin, end = len(plan.header), len(plan.header) + array.nbytes
    target[:begin] = plan.header
    source = without_fields(array)
    np.copyto(np.ndarray(source.shape, source.dtype, target, begin, None, plan.order), source)
    target[end:] = bytes(plan.size - end)


def _make_plan(
    array: NDArray[Any], order: Literal["C", "F"], page: PageLayout | None, key_size: int
) -> Plan:
    check_extent("the array", array.dtype, array.shape)  # or it could not be read again
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
    """The header of a file with an array in C order, whose data follows."""
    return _framed(_text(dtype, False, shape), 0)


def _text(dtype: np.dtype[Any], fortran: bool, shape: tuple[int, ...]) -> str:
    fields = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": fortran,
        "shape": shape,
    }
    return "{" + "".join(f"{key!r}: {value!r}, " for key, value in fields.items()) + "}"


def _framed(text: str, offset: int | None) -> bytes:
    """The header with ``text``, padded so that what follows is aligned where the header
    begins ``offset`` bytes behind a boundary."""
    try:
        raw, version = text.encode("latin1"), 1
    except UnicodeEncodeError:
        raw, version = text.encode("utf8"), 3
    if len(raw) > _MAX_HEADER - 2 * ALIGNMENT:
        raise InvalidParameterError(
            f"the dtype takes {len(raw)} bytes to describe, and {_MAX_HEADER} can be read"
        )
    before = len(MAGIC) + (4 if version == 1 else 6)
    size = before + len(raw) + 1
    padding = 0 if offset is None else -(offset + size) % ALIGNMENT
    length = (size + padding - before).to_bytes(before - len(MAGIC) - 2, "little")
    return MAGIC + bytes([version, 0]) + length + raw + b" " * padding + b"\n"


# -- reading --------------------------------------------------------------------------


class Form(NamedTuple):
    """What a header says."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    header: int
    size: int


_forms: dict[bytes, Form] = {}


def form_of(value: memoryview) -> Form:
    """What the header at the start of ``value`` (a memoryview of bytes) says.

    :raises InvalidParameterError: it is no header that can be trusted.
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
    """The same, where all of the data follows."""
    form = form_of(value)
    if form.header + form.size > len(value):
        raise _not_npy(
            f"its header asks for {form.size} bytes of data, and {len(value) - form.header} follow"
        )
    return form


def decode(value: memoryview) -> NDArray[Any]:
    """The array in ``value``, whose memory it shows."""
    form = whole_form(value)
    try:
        return np.ndarray(form.shape, form.dtype, value, form.header, None, form.order)
    except ValueError as problem:
        raise _not_npy(str(problem)) from None


def _header_end(value: memoryview) -> int:
    if len(value) < 12 or value[:6] != MAGIC:
        raise _not_npy("it does not begin as one does")
    major, minor = value[6], value[7]
    if major not in _VERSIONS or minor:
        raise _not_npy(f"version {major}.{minor} of the format is not known")
    begin, _ = _VERSIONS[major]
    end = begin + int.from_bytes(value[8:begin], "little")
    if end - begin > _MAX_HEADER or end > len(value):
        raise _not_npy(f"its header has {end - begin} bytes, and the value {len(value)}")
    return end


def _parse(header: bytes) -> Form:
    """The format says that the header is a literal of Python; nothing is executed."""
    begin, encoding = _VERSIONS[header[6]]
    try:
        text = header[begin:].decode(encoding)
        if not _LITERAL.fullmatch(text):
            raise ValueError("it is not a literal of strings, sizes, and True or False")
        fields = ast.literal_eval(text)
        if not isinstance(fields, dict) or set(fields) != _FIELDS:
            raise ValueError("it has other fields than " + ", ".join(sorted(_FIELDS)))
        shape, fortran = fields["shape"], fields["fortran_order"]
        if not isinstance(fortran, bool):
            raise ValueError("fortran_order is neither True nor False")
        if not _is_shape(shape):
            raise ValueError("shape is not a tuple of sizes")
        _check_descr(fields["descr"])
        dtype = np.lib.format.descr_to_dtype(fields["descr"])
        if dtype.hasobject:
            raise ValueError(f"dtype {dtype} holds Python objects, which are never read")
        count = math.prod(shape)
        size = count * dtype.itemsize
        if max(count, size) > sys.maxsize or len(shape) > _DIMENSIONS:
            raise ValueError(f"no array has the shape {shape}")
        check_extent("the array", dtype, shape)
        if not size:
            np.ndarray(shape, dtype)  # which has limits of its own
    except _MALFORMED as problem:
        raise _not_npy(f"its header cannot be read: {problem}") from None
    return Form(dtype, shape, "F" if fortran else "C", len(header), size)


# What numpy writes, and no more: of other literals the parser warns, and it recurs for each
# operator.  No two branches begin alike, so the search never goes back.
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
    """It is a code, or a list of fields: numpy would take much else, or warn of it."""
    if isinstance(descr, list):
        for field in descr:
            _, inner, *shape = field if type(field) is tuple else ()
            if len(shape) > 1 or not all(map(_is_shape, shape)):
                raise ValueError(f"{field!r} is not a field")
            _check_descr(inner)
    elif not isinstance(descr, str) or not _CODE.fullmatch(descr):
        raise ValueError(f"{descr!r} is not a dtype")


def check_extent(what: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Refuse a shape of which a loop takes more steps than the array has bytes.

    An array has no bytes where an axis or its elements have none, so no amount of data limits
    what its other axes claim; copying or printing it goes through all of them.

    :raises InvalidParameterError: it is such a shape.
    """
    steps = _steps(dtype, shape)
    if steps > max(math.prod(shape) * dtype.itemsize, _MAX_WITHOUT_DATA):
        raise InvalidParameterError(
            f"{what} of {dtype} and shape {shape} has {steps} elements without data, and"
            f" {_MAX_WITHOUT_DATA} are accepted"
        )


def _steps(dtype: Any, shape: tuple[int, ...]) -> int:
    """How many steps a loop over all elements and their fields takes: an axis of length 0 ends
    it for those behind it."""
    if 0 in shape:
        return math.prod(shape[: shape.index(0)])
    steps = math.prod(shape)
    if dtype.subdtype is not None:
        return steps * max(1, _steps(*dtype.subdtype))
    if dtype.names is not None:
        fields = sum(_steps(dtype.fields[name][0], ()) for name in dtype.names)
        return steps * max(1, fields)
    return steps


# what literal_eval(), decoding and numpy raise for text that is not what it should be
_MALFORMED = (
    ValueError, TypeError, SyntaxError, IndexError, KeyError, OverflowError, AttributeError,
    builtins.MemoryError, RecursionError,
)  # fmt: skip
_DIMENSIONS = 64
# how many elements without data an array may have; looking at so many takes milliseconds
_MAX_WITHOUT_DATA = 1 << 20
# A longer header is refused, as numpy refuses what is longer than 10,000 bytes.
_MAX_HEADER = 64 * 1024
#: as many bytes of a value hold any header that is accepted
MAX_HEADER = 12 + _MAX_HEADER


def _not_npy(why: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"the value is not an array in .npy format: {why}",
        hint="get() returns it as it is; put_array() stores arrays",
    )
