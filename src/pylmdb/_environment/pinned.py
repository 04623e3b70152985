# SPDX-License-Identifier: MIT
"""Snapshots that only views hold any more: their transactions have ended."""

from __future__ import annotations

import time
from _warnings import warn  # that of warnings, without its import

from .._typing import TYPE_CHECKING
from ..errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._core_rules.writer_gate import Deadline
    from .._shared.environment import SharedEnv

# for how many seconds views may hold a snapshot before closing warns of them
LONG = 60.0
_LOOK = 0.002


# Runs also when the interpreter exits and has set the names in modules to None.
def after_close(
    shared: SharedEnv,
    deadline: Deadline | None,
    path: str,
    now: Callable[[], float] = time.time,
    warn: Callable[..., None] = warn,
    long: float = LONG,
) -> None:
    """An environment was closed: wait for the views that are left, or warn of old ones."""
    while deadline is not None and shared.pinned():
        if not deadline.slice():
            raise BusyError(
                f"close: memoryviews or arrays still hold {len(shared.pinned())} snapshot(s)"
                f" of {path!r}; it is closed, but its map stays until they are gone",
                hint="drop the memoryviews and arrays, or copy what they show",
            )
        time.sleep(_LOOK)
    ages = [now() - since for _, since in shared.pinned()]
    if ages and max(ages) > long:
        warn(
            f"{path!r} was closed while memoryviews or arrays hold {len(ages)} snapshot(s) of"
            f" it, one for {max(ages):.0f} seconds; pages that they show cannot be used again",
            ResourceWarning,
            stacklevel=3,
        )
