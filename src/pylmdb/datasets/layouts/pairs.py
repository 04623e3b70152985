# SPDX-License-Identifier: MIT
"""The layout ``"pairs"``: two records for each number, such as ``image_%03d`` and ``label_%03d``.

The names are ``image`` or ``img``, with an ``s`` or without, and ``label``.  One of ``-_/:.`` may
follow, then a number of any width, padded with zeros or not.  The layout is read only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .._ordering import Formatted
from ._probe import EXTRA_RECORDS, Recognised

if TYPE_CHECKING:
    from ._probe import Probe

_IMAGE_KEY = re.compile(rb"((?:image|img)s?[-_/:.]?)(\d{1,18})")


def recognise(probe: Probe) -> Recognised | None:
    found = probe.bounds(b"image", b"imagf") or probe.bounds(b"img", b"imh")
    matches = [_IMAGE_KEY.fullmatch(key) for key in found or ()]
    if not all(matches) or len({match[1] for match in matches if match}) != 1:
        return None
    (prefix, first), (_, last) = (match.groups() for match in matches if match)
    for digits, start, count in _possible_numbers(probe, prefix, first, last):
        image = prefix + digits
        label = re.sub(b"image|img", b"label", image)
        if _fits(probe, (image, label), start, count):
            return Recognised("pairs", Formatted(count, image, label, start=start), "pairs")
    return None


def _possible_numbers(
    probe: Probe, prefix: bytes, first: bytes, last: bytes
) -> list[tuple[bytes, int, int]]:
    """Return (format of the number, first number, count) for each way to number the samples."""
    start = int(not probe.has(prefix + b"0"))
    counts = [(probe.entries - extra) // 2 for extra in range(0, EXTRA_RECORDS, 2)]
    possible = [(b"%d", start, count) for count in counts]
    if len(first) == len(last):
        possible.insert(0, (b"%%0%dd" % len(first), int(first), int(last) - int(first) + 1))
    return possible


def _fits(probe: Probe, formats: tuple[bytes, bytes], start: int, count: int) -> bool:
    """Whether the first sample and the last one are there, and no sample follows."""
    extra = probe.entries - 2 * count
    return (
        all(probe.has(each % n) for each in formats for n in (start, start + count - 1))
        and 0 <= extra <= EXTRA_RECORDS
        and not probe.has(formats[0] % (start + count))
    )
