# SPDX-License-Identifier: MIT
"""The core in cffi: for PyPy, and as the second implementation that tests compare."""
