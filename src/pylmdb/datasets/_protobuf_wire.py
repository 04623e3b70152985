# SPDX-License-Identifier: MIT
"""The wire format of protocol buffers: fields, each a tag and a value.

A tag is a varint, the field's number times 8 plus its wire type: 0 a varint, 1 eight bytes,
2 a length and so many bytes, 3 and 4 the begin and end of a group, 5 four bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_FIXED = {1: 8, 5: 4}
_LENGTH, _GROUP, _END_GROUP = 2, 3, 4
# how deep groups may be nested, as for the protobuf runtime
_DEEPEST = 100
_LAST_FIELD = 2**29 - 1


class MalformedError(Exception):
    """The bytes are no protocol buffer; the message says why."""


def varint(value: int) -> bytes:
    """A number below 2**64, seven bits to a byte, lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


class Fields:
    """Iterates over the fields of a message: (number, wire type, value).

    A value is an int (wire type 0) or a slice of ``view``.  Groups are skipped.

    :param view: a memoryview of bytes.
    :param repeated: the number of a field whose 4-byte values in a row, each behind its tag of
        one byte, come as one slice, tags included.
    """

    def __init__(self, view: memoryview, repeated: int = 0) -> None:
        self._view = view
        self._at = 0
        self._run = bytes([repeated << 3 | 5])

    def __iter__(self) -> Iterator[tuple[int, int, Any]]:
        end = len(self._view)
        while self._at < end:
            begin = self._at
            number, wire = self._tag()
            if not number:
                raise MalformedError("there is no field 0")
            if wire == _GROUP:
                self._skip_group(number)
            elif wire == 5 and self._view[begin : self._at] == self._run:
                self._at = self._end_of_run(begin)
                yield number, wire, self._view[begin : self._at]
            else:
                yield number, wire, self._value(wire)

    def _tag(self) -> tuple[int, int]:
        tag = self._varint(5)
        if tag >> 3 > _LAST_FIELD:
            raise MalformedError(f"there is no field {tag >> 3}")
        return tag >> 3, tag & 7

    def _varint(self, longest: int = 10) -> int:
        value = shift = 0
        for byte in self._view[self._at : self._at + longest]:
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 2**64 - 1
            shift += 7
        raise MalformedError(f"the number at {self._at} does not end")

    def _value(self, wire: int) -> int | memoryview:
        if wire == 0:
            return self._varint()
        if wire == _LENGTH:
            size = self._varint()
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise MalformedError(f"wire type {wire} has no place at {self._at}")
        begin = self._at
        if size > len(self._view) - begin:
            raise MalformedError(f"a field of {size} bytes goes beyond its end")
        self._at = begin + size
        return self._view[begin : self._at]

    def _skip_group(self, number: int) -> None:
        open_groups = [number]
        while open_groups:
            number, wire = self._tag()
            if wire == _GROUP:
                open_groups.append(number)
                if len(open_groups) > _DEEPEST:
                    raise MalformedError(f"its groups are nested more than {_DEEPEST} deep")
            elif wire == _END_GROUP:
                if open_groups.pop() != number:
                    raise MalformedError(f"the group {number} ends without having begun")
            else:
                self._value(wire)

    def _end_of_run(self, begin: int) -> int:
        """Where the run of 5-byte pieces with this tag ends; at least one is there.

        It is looked for in steps that grow, so that short runs cost no more than they are long.
        """
        from .._base.numpy import np

        at, end, count = begin, len(self._view), 8
        while end - at >= 5:
            count = min(8 * count, (end - at) // 5)
            others = np.frombuffer(self._view, np.uint8, 5 * count, at)[::5] != self._run[0]
            found = int(others.argmax()) if others.any() else count
            at += 5 * found
            if found < count:
                break
        if at == begin:
            raise MalformedError("a field of 4 bytes goes beyond its end")
        return at
