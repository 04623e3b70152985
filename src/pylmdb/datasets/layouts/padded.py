# SPDX-License-Identifier: MIT
"""The layout ``"padded"``: numbers of one width as keys, such as ``%08d``.

It is read only.  The layout ``"plain"`` writes such keys for samples without names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._ordering import Formatted
from ._probe import EXTRA_RECORDS, Recognised

if TYPE_CHECKING:
    from ._probe import Probe


def recognise(probe: Probe) -> Recognised | None:
    found = probe.bounds(b"0", b":")  # keys that begin with a digit
    if found is None or len({*map(len, found)}) > 1 or not all(key.isdigit() for key in found):
        return None
    first, last = map(int, found)
    count = last - first + 1
    if not 0 <= probe.entries - count <= EXTRA_RECORDS or last >= 2**63:
        return None
    key_format = b"%%0%dd" % len(found[0])
    return Recognised("padded", Formatted(count, key_format, start=first))
