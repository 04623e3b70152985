# SPDX-License-Identifier: MIT
"""Pinned snapshots: their transactions have ended, and only views and arrays keep them."""

from __future__ import annotations

import time
from _warnings import warn  # that of warnings, without its import

from .._base.collecting import free_dropped_in_wait
from .._base.words import counted
from .._typing import TYPE_CHECKING
from ..errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._core_rules.writer_gate import Deadline
    from .._shared.environment import SharedEnv

# after how many seconds closing the environment warns of a pinned snapshot
LONG = 60.0
# seconds between two looks
_PAUSE = 0.002


# It runs also when the interpreter exits and has set the globals of modules to None, so what it
# needs is bound in parameters.
def after_close(
    shared: SharedEnv,
    deadline: Deadline | None,
    path: str,
    now: Callable[[], float] = time.time,
    warn: Callable[..., None] = warn,
    long: float = LONG,
) -> None:
    """After an environment was closed: wait for its views until ``deadline``, or warn of old ones.

    :raises BusyError: some are still alive at the deadline.
    """
    while deadline is not None and shared.pinned():
        if not deadline.slice():
            raise BusyError(
                "close: memoryviews or arrays still pin"
                f" {counted(len(shared.pinned()), 'snapshot')}"
                f" of {path!r}; it is closed, but its map stays until they are freed",
                hint="drop the memoryviews and arrays, or copy their content",
            )
        free_dropped_in_wait()
        time.sleep(_PAUSE)
    ages = [now() - since for _, since in shared.pinned()]
    if ages and max(ages) > long:
        warn(
            f"{path!r} was closed while memoryviews or arrays pin"
            f" {counted(len(ages), 'snapshot')} of it, one for"
            f" {counted(max(ages), 'second', '.0f')}; pages of these cannot be used again",
            ResourceWarning,
            stacklevel=3,
        )
