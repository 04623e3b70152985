# SPDX-License-Identifier: MIT
"""The wire format of protocol buffers: fields, each a tag and a value.

A tag is a varint: the number of the field times 8, plus the wire type.  Wire types are 0, a varint;
1, eight bytes; 2, a length and that many bytes; 3 and 4, the start and end of a group; 5, four
bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._base.words import counted

_FIXED = {1: 8, 5: 4}
_LENGTH, _GROUP, _END_GROUP = 2, 3, 4
# how deep groups may be nested, as in the protobuf runtime
_MAX_DEPTH = 100
_LAST_FIELD = 2**29 - 1


class MalformedError(Exception):
    """The bytes are not a protocol buffer; the message says why."""


def varint(value: int) -> bytes:
    """Encode a number below 2**64: seven bits per byte, the lowest first."""
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
    :param repeated: the number of a field of 4-byte values.  Consecutive values, each after a tag
        of one byte, are one slice, which includes the tags.
    """

    def __init__(self, view: memoryview, repeated: int = 0) -> None:
        self._view = view
        # the offset of the next byte
        self._at = 0
        self._repeated_tag = bytes([repeated << 3 | 5])

    def __iter__(self) -> Iterator[tuple[int, int, Any]]:
        end = len(self._view)
        while self._at < end:
            begin = self._at
            number, wire = self._tag()
            if not number:
                raise MalformedError(f"the tag at byte {begin} has the field number 0")
            if wire == _GROUP:
                self._skip_group(number)
            elif wire == 5 and self._view[begin : self._at] == self._repeated_tag:
                self._at = self._end_of_run(begin)
                yield number, wire, self._view[begin : self._at]
            else:
                yield number, wire, self._value(wire)

    def _tag(self) -> tuple[int, int]:
        tag = self._varint(5)
        if tag >> 3 > _LAST_FIELD:
            raise MalformedError(f"the field number {tag >> 3} is larger than {_LAST_FIELD}")
        return tag >> 3, tag & 7

    def _varint(self, longest: int = 10) -> int:
        value = shift = 0
        for byte in self._view[self._at : self._at + longest]:
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 2**64 - 1
            shift += 7
        raise MalformedError(f"the varint that ends at byte {self._at} is cut off or too long")

    def _value(self, wire: int) -> int | memoryview:
        if wire == 0:
            return self._varint()
        if wire == _LENGTH:
            size = self._varint()
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise MalformedError(f"the wire type {wire} before byte {self._at} is not allowed")
        begin = self._at
        if size > len(self._view) - begin:
            raise MalformedError(
                f"the field at byte {begin} has {counted(size, 'byte')};"
                f" {len(self._view) - begin} follow"
            )
        self._at = begin + size
        return self._view[begin : self._at]

    def _skip_group(self, number: int) -> None:
        open_groups = [number]
        while open_groups:
            number, wire = self._tag()
            if wire == _GROUP:
                open_groups.append(number)
                if len(open_groups) > _MAX_DEPTH:
                    raise MalformedError(f"its groups are nested more than {_MAX_DEPTH} deep")
            elif wire == _END_GROUP:
                if open_groups.pop() != number:
                    raise MalformedError(f"the group {number} ends, but was not started last")
            else:
                self._value(wire)

    def _end_of_run(self, begin: int) -> int:
        """Return the end of a run of 5-byte fields with the repeated tag.

        The run begins with one.  The search takes steps that grow, so its cost is in proportion to
        the length of the run.
        """
        from .._base.numpy import np

        at, end, count = begin, len(self._view), 8
        while end - at >= 5:
            count = min(8 * count, (end - at) // 5)
            tags = np.frombuffer(self._view, np.uint8, 5 * count, at)[::5]
            others = tags != self._repeated_tag[0]
            found = int(others.argmax()) if others.any() else count
            at += 5 * found
            if found < count:
                break
        if at == begin:
            raise MalformedError(f"the field at byte {begin} needs 5 bytes; {end - begin} follow")
        return at
