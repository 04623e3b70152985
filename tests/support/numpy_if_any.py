# SPDX-License-Identifier: MIT
"""``np`` for files of tests in which only some need numpy, which PyPy may not have.

Without numpy a test runs up to its first use of ``np``, and ``conftest.py`` skips the rest.
"""

import sys

try:
    import numpy as np
except ImportError as problem:
    _problem = problem

    class _Missing:
        def __getattr__(self, name):
            raise ImportError(str(_problem), name="numpy")

    np = _Missing()


def lacks_numpy(error):
    """Return whether an exception says that PyPy does not have numpy."""
    names = getattr(error, "name", None), getattr(error.__cause__, "name", None)
    return sys.implementation.name == "pypy" and "numpy" in names
