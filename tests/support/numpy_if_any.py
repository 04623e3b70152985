# SPDX-License-Identifier: MIT
"""``np`` for files of tests in which only some need numpy, which PyPy may not have.

Without numpy a test runs up to its first use of ``np``, and ``conftest.py`` skips the rest.
"""

try:
    import numpy as np
except ImportError as problem:
    _problem = problem

    class _Missing:
        def __getattr__(self, name):
            raise ImportError(str(_problem), name="numpy")

    np = _Missing()
