# SPDX-License-Identifier: MIT
"""Where an exception comes from."""

from __future__ import annotations


def raised_in_python(failure: BaseException) -> bool:
    """Return whether Python code raised it that the statement called, and not the statement itself.

    A method such as ``__index__`` leaves its frame in the traceback; a refusal by Python does not.
    Call this where the exception is caught.
    """
    place = failure.__traceback__
    return place is not None and place.tb_next is not None
