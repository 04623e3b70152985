# SPDX-License-Identifier: MIT
"""The names of layouts: the same ones for writing and for reading."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import InvalidParameterError


class Name(NamedTuple):
    """What a name means.

    :ivar written: the layout that a Writer makes; None where nothing is written so.
    :ivar read: which ways to recognise a file are tried, in this order.
    """

    written: str | None
    read: tuple[str, ...]


_DATUM = Name("datum", ("datum",))

NAMES: dict[str, Name] = {
    "plain": Name("plain", ("plain",)),
    "datum": _DATUM,
    "numbered": Name("numbered", ("numbered",)),
    "folder2lmdb": Name("folder2lmdb", ("folder2lmdb",)),
    "ocr": Name("ocr", ("ocr",)),
    "basicsr": Name("basicsr", ("basicsr", "mmsr")),
    "mmsr": Name("mmsr", ("mmsr",)),
    # other names, and what a file can turn out to be
    "caffe": _DATUM,
    "padded": Name("plain", ("padded",)),
    "pairs": Name(None, ("pairs",)),
    "integers": Name(None, ("integers",)),
    "order": Name(None, ("order",)),
}
#: those that a Writer takes
WRITTEN = tuple(name for name, each in NAMES.items() if each.written)


def written_name(name: str) -> str:
    """The layout that a name means to a Writer.

    :raises InvalidParameterError: it is none that is written.
    """
    found = NAMES.get(name)
    if found is None or found.written is None:
        why = "is not known" if found is None else "can be read, but not written"
        raise InvalidParameterError(f"layout {name!r} {why}; written are {', '.join(WRITTEN)}")
    return found.written


def read_names(name: str) -> tuple[str, ...]:
    """The ways to recognise a file that a name means to a Dataset.

    :raises InvalidParameterError: it is no name of a layout.
    """
    if name not in NAMES:
        raise InvalidParameterError(
            f"layout {name!r} is not known; it must be 'auto' or one of {', '.join(NAMES)}"
        )
    return NAMES[name].read
