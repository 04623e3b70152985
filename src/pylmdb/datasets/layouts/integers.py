# SPDX-License-Identifier: MIT
"""The layout ``"integers"``: consecutive integers as keys.

A key has 8 bytes, big-endian; in a database with ``integerkey=True``, 4 or 8 bytes in the byte
order of the machine.  The layout is read only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._base.numpy import np
from .._ordering import Integers
from ._probe import Recognised

if TYPE_CHECKING:
    from ._probe import Probe


def recognise(probe: Probe) -> Recognised | None:
    found = probe.ends()
    native = bool(probe.flags["integerkey"])
    if found is None or {*map(len, found)} not in ([{4}, {8}] if native else [{8}]):
        return None
    dtype = np.dtype(f"=u{len(found[0])}" if native else ">u8")
    first, last = (int(np.frombuffer(key, dtype)[0]) for key in found)
    if last - first + 1 != probe.entries:
        return None
    return Recognised("integers", Integers(probe.entries, first, dtype))
