# SPDX-License-Identifier: MIT
"""The layout ``"pairs"``: two records for each number, such as ``image_%03d`` and ``label_%03d``.

The names that are recognised are ``image`` or ``img``, with an ``s`` or without, and ``label``.
One of ``-_/:.`` may follow, then a number of any width, padded with zeros or not.  Other pairs of
keys are read with the templates that the caller gives.  The layout is read only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..._base.numpy import np
from ...errors import InvalidParameterError
from .._ordering import Formatted, Numbers, Order
from ._probe import EXTRA_RECORDS, Recognised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._probe import Probe

    Pair = tuple[str | bytes, str | bytes]

# a format of one number: what is before it, its width, what is after it
_TEMPLATE = re.compile(rb"((?:[^%]|%%)*)%(?:0(\d+))?[diu]((?:[^%]|%%)*)", re.DOTALL)
# the most digits that an int64 always holds
_DIGITS = 18

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


def checked_templates(pairs: Pair) -> tuple[bytes, bytes]:
    """Return two templates as bytes.

    :raises InvalidParameterError: they are not two different formats of one number.
    :raises TypeError: they are not a pair of str or bytes.
    """
    if not isinstance(pairs, (tuple, list)) or not all(isinstance(e, (str, bytes)) for e in pairs):
        raise TypeError(
            "pairs must be two formats of keys, such as ('image_%03d', 'label_%03d'), not"
            f" {pairs!r}"
        )
    found = [each.encode() if isinstance(each, str) else each for each in pairs]
    matches = [_TEMPLATE.fullmatch(each) for each in found]
    narrow = all(match and int(match[2] or 1) <= _DIGITS for match in matches)
    if len({*found}) != 2 or len(found) != 2 or not narrow:
        raise InvalidParameterError(
            f"pairs must be two different formats, each with one number, such as"
            f" ('image_%03d', 'label_%03d') or ('%d.jpg', '%d.png'), not {pairs!r}"
        )
    return found[0], found[1]


def recognise_templates(probe: Probe, templates: tuple[bytes, bytes]) -> Recognised:
    """Return the samples whose keys two templates make, by the order of their numbers.

    It reads the keys that begin as the templates do, and no values.

    :raises InvalidParameterError: a number has only one of the keys; or none has both.
    """
    numbers, other = (_numbers_of(probe, each) for each in templates)
    alone = np.setxor1d(numbers, other)
    if len(alone) or not (len(numbers) or not probe.entries):
        why = f"no key has the form {templates[0].decode(errors='replace')!r}"
        if len(alone):
            keys = [each % int(alone[0]) for each in templates]
            has, lacks = keys if alone[0] in numbers else keys[::-1]
            why = f"there is {has!r}, but not {lacks!r}; each sample must have both"
        raise InvalidParameterError(
            f"{probe.env.path()!r}: {why}",
            hint="layout='plain' reads every key as a sample of its own",
        )
    order: Order = Numbers(numbers, *templates)
    if len(numbers) and numbers[-1] - numbers[0] + 1 == len(numbers):
        order = Formatted(len(numbers), *templates, start=int(numbers[0]))
    return Recognised("pairs", order, "pairs")


def _numbers_of(probe: Probe, template: bytes) -> NDArray[np.int64]:
    """Return the numbers of the keys that a template makes, sorted."""
    match = _TEMPLATE.fullmatch(template)
    if match is None or probe.flags["integerkey"]:
        return np.zeros(0, np.int64)
    before, after = (each.replace(b"%%", b"%") for each in (match[1], match[3]))
    digits = b"0|[1-9]\\d{,%d}" % (_DIGITS - 1)
    if int(match[2] or 1) > 1:
        width = int(match[2])
        digits = b"\\d{%d}|[1-9]\\d{%d,%d}" % (width, width, _DIGITS - 1)
    find = re.compile(re.escape(before) + b"(" + digits + b")" + re.escape(after)).fullmatch
    found = [int(each[1]) for each in map(find, probe.sample_keys(before)) if each]
    return np.sort(np.array(found, np.int64))
