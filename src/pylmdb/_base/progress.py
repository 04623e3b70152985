# SPDX-License-Identifier: MIT
"""Progress reports of long operations."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    # True: a bar of tqdm; a function: called with the steps that are done and their total
    Progress = bool | Callable[[int, int], object] | None


_thread = threading.local()


@contextmanager
def stoppable(check: Callable[[], object]) -> Iterator[None]:
    """A ``with`` block in which operations of this thread call ``check()`` at intervals; its
    exception ends them."""
    _thread.check = check
    try:
        yield
    finally:
        del _thread.check


def can_stop() -> bool:
    """Whether :func:`check_stop` may raise an exception."""
    return hasattr(_thread, "check")


def check_stop() -> None:
    """Call the function of :func:`stoppable`."""
    check = getattr(_thread, "check", None)
    if check is not None:
        check()


class Reporter:
    """A context manager that reports the progress of an operation with ``total`` steps."""

    def __init__(self, progress: Progress, total: int, unit: str) -> None:
        self._total, self._done = total, 0
        self._bar: Any = None
        self._call: Callable[[int, int], object] | None = None
        if not callable(progress) and progress not in (None, False, True):
            raise TypeError(f"progress must be True or a function, not {type(progress).__name__}")
        if callable(progress):
            self._call = progress
        elif progress:
            try:
                from tqdm import tqdm
            except ImportError as problem:
                raise ImportError("progress=True needs tqdm: pip install tqdm") from problem
            self._bar = tqdm(total=total, unit=unit, unit_scale=True)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, steps: int) -> None:
        """Report that ``steps`` more steps are done."""
        self._done += steps
        if self._bar is not None:
            self._bar.update(steps)
        if self._call is not None:
            self._call(self._done, self._total)
        check_stop()

    def expect(self, steps: int) -> None:
        """Note that ``steps`` more steps are left."""
        self.reach(self._done, self._done + steps)

    def reach(self, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` steps are done."""
        self._total = total
        if self._bar is not None:
            self._bar.total = total
        self.add(done - self._done)
