# SPDX-License-Identifier: MIT
"""Records in the text of cdbmake, which py-lmdb's commands dump and restore use.

A record is ``+KEY_SIZE,VALUE_SIZE:KEY->VALUE`` and a line break; an empty line ends the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

# digits of a size, and bytes that are read at once, so that a wrong size does not take memory
_MOST_DIGITS, _STEP = 19, 1 << 20


def write_records(out: BinaryIO, records: Iterable[tuple[bytes, bytes]]) -> int:
    """Write records; return their number."""
    count = 0
    for key, value in records:
        out.write(b"+%d,%d:%b->%b\n" % (len(key), len(value), key, value))
        count += 1
    out.write(b"\n")
    return count


def read_records(file: BinaryIO, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records of a file that is open for buffered reading.

    :param name: of the file, for messages.
    """
    number = 0
    while (begin := file.read(1)) != b"\n":
        number += 1
        try:
            if begin != b"+":
                raise ValueError("it must begin with +KEY_SIZE,VALUE_SIZE: or be an empty line")
            sizes = _size(file, b","), _size(file, b":")
            key = _data(file, sizes[0], b"->")
            value = _data(file, sizes[1], b"\n")
        except ValueError as problem:
            raise ValueError(f"{name!r}, record {number}: {problem}") from None
        yield key, value


def _size(file: BinaryIO, end: bytes) -> int:
    digits = b""
    while (char := file.read(1)).isdigit() and len(digits) < _MOST_DIGITS:
        digits += char
    if char != end or not digits:
        raise ValueError("it must begin with +KEY_SIZE,VALUE_SIZE:")
    return int(digits)


def _data(file: BinaryIO, size: int, end: bytes) -> bytes:
    parts = []
    while size and (part := file.read(min(size, _STEP))):
        parts.append(part)
        size -= len(part)
    if size or file.read(len(end)) != end:
        raise ValueError(f"it is cut short, or its sizes are wrong: {end!r} must follow the data")
    return b"".join(parts)
